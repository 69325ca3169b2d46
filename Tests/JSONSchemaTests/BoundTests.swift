import JSONText
import Testing

@testable import JSONSchema

/// Hostile schemas and values together: each of these would take hours, or a stack without end, were work not counted.
@Suite struct BoundTests {
    private func problems(_ schema: String, _ value: String) throws -> [SchemaProblem] {
        try CompiledSchema(Array(schema.utf8)).validate(Array(value.utf8))
    }

    @Test(
        "A hostile pattern ends with a problem that says so",
        arguments: [
            (#"^(a+)+$"#, "a", 60), (#"^(([a-z])+.)+[A-Z]([a-z])+$"#, "a", 60_000),
            (#"(.*)(.*)(.*)(.*)(.*)\d$"#, "y", 10_000), (#"(?:(?:a?){30}){10}[bc]"#, "a", 5000),
            (#"^(?<x>a|(?&x)(?&x))*$"#, "a", 40), ("a", "b", Pattern.longestSubject),
        ] as [(String, String, Int)])
    func patterns(pattern: String, letter: String, count: Int) throws {
        var writer = JSONWriter(capacity: 256)
        writer.object { $0.member("pattern", pattern) }
        let subject = String(repeating: letter, count: count) + "!"
        let problems = try problems(writer.text, "\"\(subject)\"")
        #expect(problems.count == 1 && problems[0].message.contains("it is refused"), "\(problems)")
    }

    @Test("Ordinary patterns on long texts are no trouble")
    func ordinaryPatterns() throws {
        let words = Array(repeating: "\"2026-11-21T09:30:00Z\"", count: 5000).joined(separator: ",")
        let dates = #"{"items": {"pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$"}}"#
        #expect(try problems(dates, "[\(words)]").isEmpty)
        #expect(try problems(#"{"pattern": "^[a-z]*$"}"#, "\"" + String(repeating: "a", count: 60_000) + "\"").isEmpty)
    }

    @Test(
        "Patterns mean what ECMA 262 means",
        arguments: [
            ("^a$", #""a\n""#, false), (#"^\u00e9$"#, "\"é\"", true), (#"^.$"#, "\"😀\"", true),
            (#"^[^]$"#, #""\n""#, true), (#"^\d$"#, "\"٣\"", false), (#"a\/b"#, "\"a/b\"", true),
            (#"^\cA$"#, #""\u0001""#, true),
        ] as [(String, String, Bool)])
    func ecma(pattern: String, value: String, isValid: Bool) throws {
        var writer = JSONWriter(capacity: 256)
        writer.object { $0.member("pattern", pattern) }
        #expect(try problems(writer.text, value).isEmpty == isValid)
    }

    @Test("Alternatives that double at each level end after their steps, and not with a wrong answer inside 'not'")
    func doubling() throws {
        let levels = (0..<40).map { level in
            ##""l\##(level)": {"anyOf": [{"$ref": "#/definitions/l\##(level + 1)"}, {"$ref": "#/definitions/l\##(level + 1)"}]}"##
        }
        let definitions = levels.joined(separator: ",") + #","l40": false"#
        let schema = ##"{"definitions": {\##(definitions)}, "not": {"$ref": "#/definitions/l0"}}"##
        let problems = try problems(schema, "1")
        #expect(problems.last?.message.contains("takes more than") == true, "\(problems)")
    }

    @Test("A recursive schema follows a value as deep as it goes")
    func recursion() throws {
        let schema = ##"{"additionalProperties": {"$ref": "#"}, "items": {"$ref": "#"}, "type": ["object", "array"]}"##
        let deep = String(repeating: #"{"a":["#, count: 15) + String(repeating: "]}", count: 15)
        #expect(try problems(schema, deep).isEmpty)
        #expect(try problems(schema, deep.replacing("[]", with: "[1]")).count == 1)
    }

    @Test("References one behind the other end at a depth that says so, and take no stack when they are compiled")
    func chains() throws {
        let links = (0..<5000).map { ##""c\##($0)": {"$ref": "#/definitions/c\##($0 + 1)"}"## }.joined(separator: ",")
        let schema = ##"{"definitions": {\##(links), "c5000": true}, "$ref": "#/definitions/c0"}"##
        #expect(try problems(schema, "1").first?.message.contains("inside one another") == true)
    }

    @Test("Thousands of equal-looking elements are compared in one pass")
    func uniqueness() throws {
        let elements = (0..<5000).map { #"{"a":\#($0),"b":[{}]}"# }.joined(separator: ",")
        #expect(try problems(#"{"uniqueItems": true}"#, "[\(elements)]").isEmpty)
    }
}
