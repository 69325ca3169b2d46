import JSONText
import Testing

@testable import JSONSchema

@Suite struct ExactNumberTests {
    private func accepts(_ schema: String, _ value: String) throws -> Bool {
        try CompiledSchema(Array(schema.utf8)).validate(Array(value.utf8)).isEmpty
    }

    @Test(
        "No number is rounded",
        arguments: [
            (#"{"maximum": 9007199254740992}"#, "9007199254740993", false),
            (#"{"maximum": 9007199254740993}"#, "9007199254740993", true),
            (#"{"exclusiveMinimum": 0.1}"#, "0.1000000000000000000000001", true),
            (#"{"exclusiveMinimum": 0.1}"#, "0.10", false),
            (#"{"minimum": -1e400}"#, "-9e399", true),
            (#"{"minimum": -1e400}"#, "-1.1e400", false),
            (#"{"multipleOf": 0.01}"#, "0.07", true),
            (#"{"multipleOf": 0.01}"#, "4.35", true),
            (#"{"multipleOf": 0.01}"#, "0.075", false),
            (#"{"multipleOf": 3}"#, "100000000000000000000000000000000000000000000000000002", true),
            (#"{"multipleOf": 3}"#, "100000000000000000000000000000000000000000000000000003", false),
            (#"{"multipleOf": 7}"#, "1e1000000000000", false),
            (#"{"multipleOf": 1e-9}"#, "1e300", true),
            (#"{"multipleOf": 1e300}"#, "0", true),
            (#"{"type": "integer"}"#, "1.0", true),
            (#"{"type": "integer"}"#, "12345678901234567890.5", false),
            (#"{"type": "integer"}"#, "1e-1", false),
            (#"{"type": "integer"}"#, "10e-1", true),
            (#"{"const": 100}"#, "1.0e2", true),
            (#"{"enum": [9007199254740993]}"#, "9007199254740992", false),
            (#"{"uniqueItems": true}"#, "[1, 2, 1.0]", false),
            (#"{"uniqueItems": true}"#, #"[{"a":1,"b":[0]}, {"b":[-0.0],"a":10e-1}]"#, false),
            (#"{"uniqueItems": true}"#, "[1, true, \"1\", [1], 0, false]", true),
        ] as [(String, String, Bool)])
    func exact(schema: String, value: String, isValid: Bool) throws {
        #expect(try accepts(schema, value) == isValid)
    }

    @Test("Texts are compared by their code points, and counted in them")
    func texts() throws {
        // One é is a single code point, the other one two: equal for people, two texts for JSON.
        #expect(try accepts(#"{"const": "\u00e9"}"#, "\"é\""))
        #expect(try !accepts(#"{"const": "\u00e9"}"#, #""e\u0301""#))
        #expect(try accepts(#"{"properties": {"\u00e9": false}}"#, #"{"e\u0301": 1}"#))
        #expect(try accepts(#"{"maxLength": 2, "minLength": 2}"#, #""e\u0301""#))
        #expect(try accepts(#"{"maxLength": 1}"#, #""😀""#))
        #expect(try !accepts(#"{"uniqueItems": true}"#, #"["\u0061", "a"]"#))
    }
}
