import Foundation
import JSONText
import TestSupport
import Testing

@Suite("Texts that nobody would write")
struct FuzzTests {
    private static let count = TestForm.count(20_000, long: 200_000)

    @Test("A mutated text is refused with a place inside it, or read, written and read again as the same")
    func survivesMutations() throws {
        var texts = MutatedTexts(seed: 42)
        var taken = 0
        for _ in 0..<Self.count {
            let text = texts.next()
            let value: JSONValue
            do {
                value = try JSONValue.parse(text)
            } catch {
                #expect(0...text.count ~= error.offset)
                continue
            }
            taken += 1
            var writer = JSONWriter(capacity: 1)
            write(value, to: &writer)
            var rewritten = JSONWriter()
            write(try JSONValue.parse(writer.bytes), to: &rewritten)
            #expect(rewritten.bytes == writer.bytes)
        }
        #expect(taken > Self.count / 10)
    }

    @Test("Python's json module takes and refuses the same texts, and reads the same values")
    func agreesWithPython() throws {
        var texts = MutatedTexts(seed: 4711)
        let sample = (0..<4000).map { _ in texts.next() }
        let answers = try askPython(sample)
        try #require(answers.count == sample.count)
        for (text, answer) in zip(sample, answers) {
            let ours = (try? JSONValue.parse(text, limits: JSONLimits(maxDepth: 500))).map(canonical) ?? "refused"
            #expect(ours == answer, "\(String(decoding: text, as: UTF8.self))")
        }
    }

    /// Writes a value from its accessors, not from its bytes.
    private func write(_ value: JSONValue, to writer: inout JSONWriter) {
        switch value.kind {
        case .null: writer.null()
        case .bool: writer.value(value.bool ?? false)
        case .number: writer.raw((value.numberText ?? "").utf8)
        case .string: writer.value(value.string ?? "")
        case .array:
            writer.array { writer in
                for element in value.elements { write(element, to: &writer) }
            }
        case .object:
            writer.object { writer in
                for member in value.members {
                    writer.name(dynamic: member.name)
                    write(member.value, to: &writer)
                }
            }
        }
    }

    /// A form that two languages can agree on byte by byte: strings as hexadecimal digits, numbers as their text.
    private func canonical(_ value: JSONValue) -> String {
        switch value.kind {
        case .null: "null"
        case .bool: value.bool == true ? "true" : "false"
        case .number: value.numberText ?? ""
        case .string: hex(value.string ?? "")
        case .array: "[" + value.elements.map(canonical).joined(separator: ",") + "]"
        case .object: "{" + value.members.map { hex($0.name) + ":" + canonical($0.value) }.joined(separator: ",") + "}"
        }
    }

    private func hex(_ text: String) -> String { "'" + hexDigits(Array(text.utf8)) + "'" }

    private func hexDigits(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Asks `json.loads` about each text, made as strict as ours: no repeated names, no NaN, no lone surrogates.
    private func askPython(_ texts: [[UInt8]]) throws -> [String] {
        let script = """
            import json, sys
            def pairs(members):
                if len({name for name, _ in members}) != len(members): raise ValueError('repeated name')
                return ('object', members)
            def refuse(name): raise ValueError(name)
            def form(value):
                if value is None: return 'null'
                if value is True: return 'true'
                if value is False: return 'false'
                if isinstance(value, str): return "'" + value.encode('utf-8').hex() + "'"
                if isinstance(value, list): return '[' + ','.join(map(form, value)) + ']'
                kind, content = value
                if kind == 'number': return content
                return '{' + ','.join(form(name) + ':' + form(member) for name, member in content) + '}'
            number = lambda text: ('number', text)
            for line in open(sys.argv[1]):
                try:
                    text = bytes.fromhex(line).decode('utf-8')
                    print(form(json.loads(text, object_pairs_hook=pairs, parse_constant=refuse, parse_int=number, parse_float=number)))
                except ValueError:
                    print('refused')
            """
        let file = FileManager.default.temporaryDirectory.appending(path: "json-\(UUID().uuidString).txt")
        defer { try? FileManager.default.removeItem(at: file) }
        try texts.map(hexDigits).joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
        let python = Process()
        let output = Pipe()
        python.executableURL = URL(filePath: "/usr/bin/env")
        python.arguments = ["python3", "-c", script, file.path]
        python.standardOutput = output
        try python.run()
        let answers = try output.fileHandleForReading.readToEnd() ?? Data()
        python.waitUntilExit()
        return String(decoding: answers, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
