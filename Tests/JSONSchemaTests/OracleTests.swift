import JSONText
import LocalServers
import TestSupport
import Testing

@testable import JSONSchema

/// Random schemas and values, judged by Python's jsonschema too.
@Suite struct OracleTests {
    @Test("jsonschema gives the same answers on random schemas and values", .timeLimit(.minutes(1)))
    func sameAnswers() async throws {
        let seed = Filesystem.environment("TEST_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: 0...0xFFFF_FFFF)
        print("JSONSchemaTests: TEST_SEED=\(seed) repeats this run's random schemas")
        var random = RandomSchema(SeededGenerator(seed: seed))
        let questions = (0..<TestForm.count(250, long: 2000)).map { _ in
            (schema: random.document(), values: (0..<12).map { _ in random.value() })
        }
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let text = questions.map { "[\($0.schema),[\($0.values.joined(separator: ","))]]" }.joined(separator: ",\n")
        try Filesystem.write("[\(text)]", to: folder + "/question")
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let script = parts.joined(separator: "/") + "/Oracles/schema_answers.py"
        try await Tool.run(Tool.python, [script, folder + "/question", folder + "/answer"], in: folder)
        let answers = try JSONValue.parse(contents(of: folder + "/answer"))
        #expect(answers.count == questions.count)
        var valid = 0
        for (question, answer) in zip(questions, answers.elements) {
            let schema = try CompiledSchema(Array(question.schema.utf8))
            for (value, expected) in zip(question.values, answer.elements) {
                let problems = schema.validate(Array(value.utf8))
                if problems.isEmpty { valid += 1 }
                #expect(
                    problems.isEmpty == expected.bool, "\(question.schema) \(value): \(problems.map(\.description))")
            }
        }
        // Neither answer is rare, or little would be compared.
        #expect(valid > questions.count * 2 && valid < questions.count * 10, "\(valid)")
    }
}
