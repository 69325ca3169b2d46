import JSONText
import Testing

@testable import JSONSchema

@Suite struct ProblemTests {
    static let schema = """
        {"type": "object", "required": ["id", "lines"], "additionalProperties": false,
         "properties": {
           "id": {"type": "integer", "minimum": 1},
           "note": {"type": ["string", "null"], "maxLength": 5, "pattern": "^[a-z]+$"},
           "kind": {"enum": ["a", "b"]},
           "lines": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {
             "properties": {"a/b~c": {"exclusiveMaximum": 3}}, "dependencies": {"x": ["y"]}}}}}
        """

    @Test("Every problem is told, with its place and in words")
    func places() throws {
        let schema = try CompiledSchema(Array(Self.schema.utf8))
        let value = """
            {"id": 0, "note": "Toolong", "kind": 3, "more": 1, "lines": [{"a/b~c": 3}, {"x": 1}, {"a/b~c": 3.0}]}
            """
        #expect(
            schema.validate(Array(value.utf8)).map(\.description).sorted() == [
                "/id: expected a number at least 1, got 0",
                "/kind: expected one of \"a\", \"b\", got 3",
                "/lines/0/a~1b~0c: expected a number below 3, got 3",
                "/lines/1: expected a member 'y' where 'x' is, got none",
                "/lines/2/a~1b~0c: expected a number below 3, got 3.0",
                "/lines: expected different elements, got the same at 0 and 2",
                "/more: expected nothing here, got 1",
                "/note: expected a match of the pattern ^[a-z]+$, got \"Toolong\"",
                "/note: expected at most 5 characters, got 7",
            ])
        #expect(
            schema.validate(Array("{}".utf8)).map(\.description) == [
                "expected a member 'id', got none", "expected a member 'lines', got none",
            ])
        #expect(schema.validate(Array("[".utf8)).count == 1)
    }

    @Test("Of a hundred thousand problems a hundred are told")
    func many() throws {
        let schema = try CompiledSchema(Array(#"{"items": {"type": "string"}}"#.utf8))
        let value = "[" + Array(repeating: "1", count: 100_000).joined(separator: ",") + "]"
        #expect(schema.validate(Array(value.utf8)).count == CompiledSchema.mostProblems)
    }

    @Test(
        "What is no schema is refused with the place in it",
        arguments: [
            (#"{"type": "strin"}"#, "/type", SchemaError.Code.invalid),
            (#"{"properties": {"a": {"minLength": -1}}}"#, "/properties/a/minLength", .invalid),
            (#"{"properties": {"a": 3}}"#, "/properties/a", .invalid),
            (#"{"items": [{"multipleOf": 0}]}"#, "/items/0/multipleOf", .invalid),
            (#"{"multipleOf": 1.234567890123456789012}"#, "/multipleOf", .invalid),
            (#"{"pattern": "a("}"#, "/pattern", .invalid),
            (#"{"patternProperties": {"[": true}}"#, "/patternProperties/[", .invalid),
            (#"{"required": "id"}"#, "/required", .invalid),
            (#"{"allOf": []}"#, "/allOf", .invalid),
            (#"{"$schema": "https://json-schema.org/draft/2020-12/schema"}"#, "/$schema", .invalid),
            (##"{"unknown": {"type": 3}, "not": {"$ref": "#/unknown"}}"##, "/unknown/type", .invalid),
            (#"{"items": {"$ref": "other.json"}}"#, "/items/$ref", .unresolved),
            (#"{"items": {"$ref": "http://example.com/a.json#/b"}}"#, "/items/$ref", .unresolved),
            (##"{"items": {"$ref": "#/definitions/none"}}"##, "/items/$ref", .unresolved),
            (##"{"items": {"$ref": "#name"}}"##, "/items/$ref", .unresolved),
            (##"{"$ref": "#"}"##, "", .endless),
            (##"{"anyOf": [{"not": {"$ref": "#"}}, true]}"##, "", .endless),
            (
                ##"{"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}, "$ref": "#/definitions/a"}"##,
                "/definitions/a", .endless
            ),
            ("[1", "", .badJSON),
            ("3", "", .invalid),
        ] as [(String, String, SchemaError.Code)])
    func refused(text: String, pointer: String, code: SchemaError.Code) throws {
        let error = #expect(throws: SchemaError.self) { try CompiledSchema(Array(text.utf8)) }
        #expect(error?.code == code)
        #expect(error?.problems.first?.pointer.description == pointer, "\(String(describing: error))")
        #expect(error?.description.contains("\n") == false)
    }

    @Test("References by pointer, by $id and by a name find what the document holds")
    func references() throws {
        let schema = try CompiledSchema(
            Array(
                """
                {"$id": "http://example.com/root.json", "properties": {
                   "a": {"$ref": "#/definitions/A"}, "b": {"$ref": "other.json"}, "c": {"$ref": "t/inner.json#foo"},
                   "d": {"$ref": "other.json#/definitions/X"}, "e": {"$ref": "http://example.com/root.json#/properties/a"}},
                 "definitions": {"A": {"type": "string"},
                   "B": {"$id": "other.json", "type": "integer", "definitions": {"X": {"type": "null"},
                     "Y": {"$id": "t/inner.json", "definitions": {"Z": {"$id": "#foo", "type": "boolean"}}}}}}}
                """.utf8))
        #expect(schema.validate(Array(#"{"a":"","b":1,"c":true,"d":null,"e":""}"#.utf8)).isEmpty)
        let wrong = schema.validate(Array(#"{"a":1,"b":"","c":1,"d":1,"e":1}"#.utf8))
        #expect(wrong.map(\.pointer.description) == ["/a", "/b", "/c", "/d", "/e"])
    }

    @Test("format judges nothing")
    func annotations() throws {
        let schema = try CompiledSchema(
            Array(#"{"format": "date-time", "contentEncoding": "base64", "$comment": "x", "default": 3}"#.utf8))
        #expect(schema.validate(Array(#""never""#.utf8)).isEmpty)
    }
}
