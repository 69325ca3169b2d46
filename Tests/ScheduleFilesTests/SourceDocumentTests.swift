import JSONText
import LocalServers
import TestSupport
import Testing

@testable import ScheduleFiles

@Suite struct SourceDocumentTests {
    private static func json(_ text: String) -> String {
        let (documents, problems) = SourceDocument.read(text, file: "f")
        return (documents.map { String(decoding: $0.value.bytes, as: UTF8.self) } + problems.map(\.description))
            .joined(separator: "|")
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let yaml: String
        let json: String
        var testDescription: String { yaml }
    }

    @Test(arguments: [
        Case(yaml: "cron_expression: 0 9 * * *", json: #"{"cron_expression":"0 9 * * *"}"#),
        Case(yaml: "a: 12345678901234567890123\nb: 0.10", json: #"{"a":12345678901234567890123,"b":0.10}"#),
        Case(yaml: "a: 'yes'\nb: \"010\"\nc: !!str 12", json: #"{"a":"yes","b":"010","c":"12"}"#),
        Case(yaml: "on: succeeded\nyes: 1", json: #"{"on":"succeeded","yes":1}"#),
        Case(yaml: "a: |\n  x\n  y\nb: >-\n  x\n  y", json: #"{"a":"x\ny\n","b":"x y"}"#),
        Case(yaml: "a: &x {k: [1, ~, true]}\nb: *x", json: #"{"a":{"k":[1,null,true]},"b":{"k":[1,null,true]}}"#),
        Case(yaml: "a: 1\n---\n---\nb: 2\n", json: #"{"a":1}|{"b":2}"#), Case(yaml: "# nothing\n", json: ""),
        Case(yaml: #"{ "a" : 1.50 , "b":"\ud83d\ude00" }"#, json: #"{ "a" : 1.50 , "b":"\ud83d\ude00" }"#),
    ]) func aDocumentBecomesTheJSONThatItLooksLike(expected: Case) {
        #expect(Self.json(expected.yaml) == expected.json)
    }

    @Test(arguments: [
        Case(yaml: "a: 1\nb: yes", json: "f:2: document 1, /b: yes is true or false to some readers"),
        Case(yaml: "a: 1\n---\nb:\n- 2026-12-25", json: #"{"a":1}|f:4: document 2, /b/0: 2026-12-25 is a date"#),
        Case(yaml: "1: x", json: "f:1: document 1: expected a name, got 1: write it in quotes"),
        Case(yaml: "a: 1\na: 2", json: "f:1: document 1: expected each name once, got more of 'a'"),
        Case(yaml: "yes: 1\n\"yes\": 2", json: "f:2: document 1, /yes: expected each name once"),
        Case(yaml: "a: [1\nb: 2", json: "f:2: document 1: expected YAML or JSON, got: did not find expected"),
        Case(yaml: "a: !!binary eA==", json: "f:1: document 1, /a: expected no tag, got tag:yaml.org,2002:binary"),
        Case(yaml: "a: *nobody", json: "f:1: document 1: expected YAML or JSON, got: found undefined alias"),
        Case(yaml: "a: {<<: {b: 1}}", json: "f:1: document 1, /a: expected a name, got <<"),
        Case(yaml: "? [a]\n: 1", json: "f:1: document 1: expected a name in front of ':'"),
        Case(
            yaml: "a: \"\u{1}\"", json: "f: document 1: expected YAML or JSON, got: control characters are not allowed"),
    ]) func aFaultHasItsFileAndLine(expected: Case) {
        let text = Self.json(expected.yaml)
        #expect(text.hasPrefix(expected.json), "\(text)")
    }

    @Test func nestingAndAliasesThatGrowWithoutEndAreRefused() {
        #expect(Self.json(String(repeating: "[", count: 2000)).contains("f:"))
        let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
        #expect(Self.json("a: " + deep).contains("expected less nesting"))
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...8 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            bomb += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let (documents, problems) = SourceDocument.read(bomb, file: "f", mostValues: 1000)
        #expect(documents.isEmpty && problems.map(\.message) == ["the document is too large"])
    }

    @Test func linesAreThoseOfTheValues() {
        let yaml = SourceDocument.read("a:\n  b:\n    - 1\n    - c: 2\n", file: "f").documents[0]
        let json = SourceDocument.read("{\"a\":\n{\"b\":\n[1,\n{\"c\":2}]}}", file: "f").documents[0]
        for (pointer, line) in [("/a/b/1/c", 4), ("/a/b/0", 3), ("/a/b", 2), ("/a/b/9/z", 2)] {
            #expect(yaml.line(of: JSONPointer(pointer) ?? .root) == line)
        }
        #expect(json.line(of: JSONPointer("/a/b/1/c") ?? .root) == 4)
        #expect(json.line(of: JSONPointer("/a/b/1/nothing") ?? .root) == 4)
    }
}

@Suite("YAML beside PyYAML") struct YAMLOracleTests {
    private static let pieces = [
        "0", "-1", "12", "1.5", "010", "1e3", "1.0e+3", "yes", "no", "true", "True", "null", "~", "x", "0 9 * * *",
        "10:30",
        "09:30", "2026-12-25", "0x1F", "1_0", "+1", ".5", "5.", ".inf", "'a b'", "\"c\\n\\u00e9\"", "[1, x]", "{k: 2}",
        "on", "a-b", "é", "1.2.3", "123e4", "=", "!!str 5", "|\n    l1\n    l2",
    ]

    /// What we accept, PyYAML reads as the same value: no file means one thing here and another there.
    @Test(.timeLimit(.minutes(1))) func readsTheSameFromWhatWeAccept() async throws {
        var generator = TestForm.generator(for: "yaml")
        var texts: [String] = []
        for _ in 0..<TestForm.count(400, long: 20_000) {
            let count = Int.random(in: 1...5, using: &generator)
            texts.append(
                (0..<count).map { index in
                    let piece = Self.pieces[Int.random(in: 0..<Self.pieces.count, using: &generator)]
                    return Bool.random(using: &generator) || piece.hasPrefix("|")
                        ? "k\(index): \(piece)\n" : "k\(index):\n  - \(piece)\n  - z: \(piece)\n"
                }.joined())
        }
        let accepted = texts.compactMap { text -> (String, String)? in
            let (documents, problems) = SourceDocument.read(text, file: "f")
            guard problems.isEmpty, let document = documents.first else { return nil }
            return (text, String(decoding: document.value.bytes, as: UTF8.self))
        }
        #expect(accepted.count * 20 > texts.count, "too few are accepted to prove anything")
        let answers = try await PythonOracle.ask(
            "yaml_json.py", accepted.map { ["yaml": $0.0, "json": $0.1] })
        try #require(answers.count == accepted.count)
        for (answer, question) in zip(answers, accepted) {
            #expect(answer == "same", "\(question): \(answer); TEST_SEED=\(TestForm.seed)")
        }
    }
}

/// Asks a script of `Tests/Oracles`.
enum PythonOracle {
    /// - Returns: one text for each question.
    static func ask(_ script: String, _ questions: [[String: String]]) async throws -> [String] {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        var writer = JSONWriter()
        writer.array { writer in
            for question in questions {
                writer.object { writer in
                    for (name, text) in question.sorted(by: { $0.key < $1.key }) {
                        writer.name(dynamic: name)
                        writer.value(text)
                    }
                }
            }
        }
        try Filesystem.write(writer.text, to: folder + "/question")
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let path = (parts + ["Oracles", script[...]]).joined(separator: "/")
        try await Tool.run(Tool.python, [path, folder + "/question", folder + "/answer"], in: folder)
        let answer = Filesystem.tail(folder + "/answer", bytes: 64 << 20)
        return try JSONValue.parse(answer).elements.map { $0.string ?? "?" }
    }
}
