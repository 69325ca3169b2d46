package import JSONText
import Yams

/// One document of a YAML or JSON file, as JSON, with the lines that its values stand on.
package struct SourceDocument: Sendable {
    package let file: String
    /// From 1 on.
    package let index: Int
    /// The document as JSON. Of a JSON file these are its own bytes.
    package let value: JSONValue
    private let lines: Lines

    private enum Lines: Sendable {
        /// By the text of a pointer.
        case table([String: Int])
        /// The value is the whole file.
        case counted
    }

    /// The line of the value that a pointer names, else of the nearest one around it.
    package func line(of pointer: JSONPointer) -> Int? {
        var text = pointer.description[...]
        while true {
            switch lines {
            case .table(let table): if let line = table[String(text)] { return line }
            case .counted:
                if let inner = JSONPointer(String(text)).flatMap({ value[$0] }) {
                    return 1 + value.document(before: inner).count { $0 == UInt8(ascii: "\n") }
                }
            }
            guard let slash = text.lastIndex(of: "/") else { return nil }
            text = text[..<slash]
        }
    }

    package func problem(_ pointer: JSONPointer, _ message: String, name: String? = nil) -> FileProblem {
        FileProblem(
            file: file, document: index, line: line(of: pointer), name: name, pointer: pointer, message)
    }
}

extension JSONValue {
    /// What stands in the text before another value of it. `self` is the whole text.
    fileprivate func document(before inner: JSONValue) -> ArraySlice<UInt8> {
        // Its own bytes begin after leading whitespace, which holds lines too; a JSON file is read from its first byte.
        bytes.prefix(max(0, inner.range.lowerBound - range.lowerBound))
    }
}

// MARK: - Reading

extension SourceDocument {
    /// What a file may grow to: aliases repeat what they name.
    static let mostBytes = 64 << 20
    static let mostDepth = 64

    /// Reads all documents of a file. Empty ones are left out; they count all the same.
    ///
    /// A text that is JSON is taken as it stands, byte by byte. Anything else is YAML: strings, numbers, truth values and
    /// nulls mean what JSON can say and what all readers of YAML agree about (``PlainScalar``), the rest is a problem.
    /// - Parameter mostValues: aliases make a large document of a small text; so many values are read of one.
    package static func read(
        _ text: String, file: String, mostValues: Int = 1_000_000
    ) -> (documents: [SourceDocument], problems: [FileProblem]) {
        let bytes = Array(text.utf8)
        if let first = text.utf8.first, first == UInt8(ascii: "{") || first == UInt8(ascii: "["),
            let value = try? JSONValue.parse(bytes, limits: JSONLimits(maxDepth: mostDepth, maxBytes: mostBytes))
        {
            return ([SourceDocument(file: file, index: 1, value: value, lines: .counted)], [])
        }
        var documents: [SourceDocument] = []
        var problems: [FileProblem] = []
        var index = 0
        do {
            let parser = try Parser(yaml: text, encoding: .utf8)
            while let root = try parser.nextRoot() {
                index += 1
                var conversion = YAMLConversion(file: file, document: index, mostValues: mostValues)
                guard let document = conversion.document(of: root) else {
                    problems += conversion.problems
                    continue
                }
                if !document.isNull {
                    documents.append(
                        SourceDocument(
                            file: file, index: index, value: document, lines: .table(conversion.lines)))
                }
            }
        } catch {
            problems.append(FileProblem(file: file, document: index + 1, error))
        }
        return (documents, problems)
    }
}

extension FileProblem {
    /// A text that is no YAML.
    fileprivate init(file: String, document: Int, _ error: any Error) {
        self.init(file: file, document: document, "expected YAML or JSON")
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            line = mark.line
            let around = context.map { " \($0.text) (line \($0.mark.line))" } ?? ""
            message += ", got: \(problem), column \(mark.column)\(around)"
        case .duplicatedKeysInMapping(let names, let context):
            line = context.mark.line
            message = "expected each name once, got more of " + names.map { "'\($0)'" }.joined(separator: ", ")
        case .reader(let problem, _, _, _): message += ", got: \(problem)"
        default: message += ", got: \("\(error)".prefix { !$0.isNewline })"
        }
    }
}
