import JSONText
import Yams

/// Writes a YAML document as JSON, and notes where each value stands.
struct YAMLConversion {
    let file: String
    let document: Int
    private let mostValues: Int
    private(set) var problems: [FileProblem] = []
    /// The line of each value, by the text of its pointer.
    private(set) var lines: [String: Int] = [:]
    /// What the text has grown to.
    private var bytes = 0

    init(file: String, document: Int, mostValues: Int) {
        self.file = file
        self.document = document
        self.mostValues = mostValues
    }

    /// Nil where something is wrong; the problems say what.
    mutating func document(of root: Node) -> JSONValue? {
        var writer = JSONWriter(capacity: 4096)
        write(root, at: .root, depth: 0, into: &writer)
        guard problems.isEmpty else { return nil }
        do {
            return try JSONValue.parse(
                writer.bytes,
                limits: JSONLimits(maxDepth: SourceDocument.mostDepth + 1, maxBytes: SourceDocument.mostBytes))
        } catch {
            report(.root, root, "\(error)")
            return nil
        }
    }

    private mutating func report(_ pointer: JSONPointer, _ node: Node, _ message: String) {
        problems.append(
            FileProblem(file: file, document: document, line: node.mark?.line, pointer: pointer, message))
    }

    private mutating func write(
        _ node: Node, at pointer: JSONPointer, depth: Int, line: Int? = nil, into writer: inout JSONWriter
    ) {
        guard lines.count < mostValues, bytes < SourceDocument.mostBytes, depth <= SourceDocument.mostDepth else {
            if problems.isEmpty {
                let isDeep = depth > SourceDocument.mostDepth
                report(pointer, node, isDeep ? "expected less nesting" : "the document is too large")
            }
            return writer.null()
        }
        lines[pointer.description] = line ?? node.mark?.line
        switch node {
        case .scalar(let scalar): write(scalar, node, at: pointer, into: &writer)
        case .sequence(let sequence):
            expectTag(sequence.tag, "seq", pointer, node)
            writer.beginArray()
            for (index, element) in sequence.enumerated() {
                write(element, at: pointer.appending(index), depth: depth + 1, into: &writer)
            }
            writer.endArray()
        case .mapping(let mapping):
            expectTag(mapping.tag, "map", pointer, node)
            write(mapping, at: pointer, depth: depth, into: &writer)
        case .alias:
            report(pointer, node, "expected a value, got an alias")
            writer.null()
        }
    }

    private mutating func write(
        _ mapping: Node.Mapping, at pointer: JSONPointer, depth: Int, into writer: inout JSONWriter
    ) {
        var names: Set<String> = []
        writer.beginObject()
        for (key, value) in mapping {
            guard let name = name(of: key, in: pointer) else { continue }
            guard names.insert(name).inserted else {
                report(pointer.appending(name), key, "expected each name once")
                continue
            }
            bytes += name.utf8.count
            writer.name(dynamic: name)
            write(value, at: pointer.appending(name), depth: depth + 1, line: key.mark?.line, into: &writer)
        }
        writer.endObject()
    }

    /// Names are text in JSON: `on` and `yes` are what they look like, `1` and `null` need quotes.
    private mutating func name(of key: Node, in pointer: JSONPointer) -> String? {
        guard case .scalar(let scalar) = key else {
            report(pointer, key, "expected a name in front of ':', got a list or an object")
            return nil
        }
        if scalar.style == .plain, scalar.tag.description != Self.tag("str") {
            switch PlainScalar(scalar.string) {
            case .string, .ambiguous("true or false"): break
            default:
                report(pointer, key, "expected a name, got \(scalar.string): write it in quotes")
                return nil
            }
        }
        return scalar.string
    }

    private mutating func write(
        _ scalar: Node.Scalar, _ node: Node, at pointer: JSONPointer, into writer: inout JSONWriter
    ) {
        let text = scalar.string
        bytes += text.utf8.count
        let tag = scalar.tag.description
        guard tag.isEmpty || tag == "!" || tag == Self.tag("str") else {
            report(pointer, node, "expected no tag, got \(tag): only !!str is read")
            return writer.null()
        }
        guard tag.isEmpty, scalar.style == .plain || scalar.style == .any else { return writer.value(text) }
        switch PlainScalar(text) {
        case .null: writer.null()
        case .bool(let bool): writer.value(bool)
        case .number: writer.raw(text.utf8)
        case .string: writer.value(text)
        case .ambiguous(let meaning):
            report(pointer, node, "\(text) is \(meaning) to some readers of YAML: write \"\(text)\" for a text")
            writer.null()
        }
    }

    private mutating func expectTag(_ tag: Tag, _ name: String, _ pointer: JSONPointer, _ node: Node) {
        let text = tag.description
        if !text.isEmpty, text != "!", text != Self.tag(name) { report(pointer, node, "expected no tag, got \(text)") }
    }

    private static func tag(_ name: String) -> String { "tag:yaml.org,2002:\(name)" }
}
