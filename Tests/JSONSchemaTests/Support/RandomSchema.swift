import JSONText
import TestSupport

/// Random schemas and values from small alphabets, so that a value often satisfies a schema and often does not.
struct RandomSchema {
    private var random: SeededGenerator

    init(_ random: SeededGenerator) { self.random = random }

    private static let names = ["a", "b", "c", "é", "a/b"]
    private static let strings = [#""""#, #""a""#, #""ab""#, #""b1""#, #""é""#, #""e\u0301""#, #""😀""#, #""1""#]
    private static let numbers = [
        "0", "1", "-1", "2", "3", "1.0", "1.5", "0.1", "0.3", "1e2", "100", "-0.0", "9007199254740993",
        "9007199254740992", "9007199254740993.0", "0.30000000000000001",
    ]
    private static let patterns = ["^a", "b$", "[a-c]+", "^.$", "[0-9]", "^$", "a|é"]
    private static let types = ["null", "boolean", "integer", "number", "string", "array", "object"]

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private mutating func count(_ most: Int) -> Int { Int.random(in: 0...most, using: &random) }

    private func quoted(_ text: String) -> String {
        var writer = JSONWriter(capacity: 32)
        writer.value(text)
        return writer.text
    }

    // MARK: Values

    mutating func value(_ depth: Int = 3) -> String {
        switch count(depth > 0 ? 9 : 5) {
        case 0: return pick(["null", "true", "false"])
        case 1, 2, 3: return pick(Self.numbers)
        case 4, 5: return pick(Self.strings)
        case 6, 7: return "[" + (0..<count(3)).map { _ in value(depth - 1) }.joined(separator: ",") + "]"
        default:
            let members = Self.names.filter { _ in chance(45) }.map { "\(quoted($0)):\(value(depth - 1))" }
            return "{" + members.joined(separator: ",") + "}"
        }
    }

    // MARK: Schemas

    /// A root with definitions, which refer to one another: in place only to later ones, so that nothing is endless.
    mutating func document() -> String {
        let definitions = (0..<3).map { #""d\#($0)":\#(schema(2, after: $0))"# }.joined(separator: ",")
        let own = keywords(3, after: -1)
        return "{" + (own + [#""definitions":{\#(definitions)}"#]).joined(separator: ",") + "}"
    }

    /// - Parameter number: definitions up to this one may not be referred to in place; nil: all may.
    private mutating func schema(_ depth: Int, after number: Int?) -> String {
        if chance(8) { return pick(["true", "false", "{}"]) }
        let first = (number ?? -1) + 1
        if chance(12), first < 3 {
            return ##"{"$ref":"#/definitions/d\##(Int.random(in: first..<3, using: &random))"}"##
        }
        if chance(4), number == nil { return ##"{"$ref":"#"}"## }
        return "{" + keywords(depth, after: number).joined(separator: ",") + "}"
    }

    private mutating func keywords(_ depth: Int, after number: Int?) -> [String] {
        var found: [String: String] = [:]
        for _ in 0...count(2) {
            let made = depth > 0 && chance(65) ? nested(depth - 1, number) : plain()
            found.merge(made) { first, _ in first }
        }
        // jsonschema 4.26 fails on this beside an `items` that is no list; the draft ignores it there.
        if found["items"]?.hasPrefix("[") != true { found["additionalItems"] = nil }
        return found.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\($0.value)" }
    }

    private mutating func plain() -> [String: String] {
        switch count(8) {
        case 0: return ["type": quoted(pick(Self.types))]
        case 1:
            let types = Set((0...2).map { _ in pick(Self.types) }).sorted().map(quoted)
            return ["type": "[" + types.joined(separator: ",") + "]"]
        case 2: return ["enum": "[" + (0...3).map { _ in value(1) }.joined(separator: ",") + "]"]
        case 3: return ["const": value(2)]
        case 4: return ["multipleOf": pick(["1", "2", "0.1", "0.5", "1.5", "3"])]
        case 5: return [pick(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]): pick(Self.numbers)]
        case 6:
            return [
                pick(["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"]):
                    "\(count(3))"
            ]
        case 7: return ["pattern": quoted(pick(Self.patterns))]
        default:
            let names = Self.names.filter { _ in chance(30) }.map(quoted)
            return ["required": "[" + names.joined(separator: ",") + "]", "uniqueItems": pick(["true", "false"])]
        }
    }

    private mutating func nested(_ depth: Int, _ number: Int?) -> [String: String] {
        // Inside the value any definition may be referred to; in place, later ones.
        func list(_ number: Int?) -> String {
            "[" + (0...count(2)).map { _ in schema(depth, after: number) }.joined(separator: ",") + "]"
        }
        func map(_ names: [String], _ number: Int?) -> String {
            let members = names.filter { _ in chance(50) }.map { "\(quoted($0)):\(schema(depth, after: number))" }
            return "{" + members.joined(separator: ",") + "}"
        }
        switch count(10) {
        case 0: return ["items": schema(depth, after: nil)]
        case 1: return ["items": list(nil), "additionalItems": schema(depth, after: nil)]
        case 2: return ["contains": schema(depth, after: nil)]
        case 3, 4:
            return ["properties": map(Self.names, nil), "additionalProperties": schema(depth, after: nil)]
        case 5: return ["patternProperties": map(Self.patterns, nil), "propertyNames": schema(depth, after: nil)]
        case 6: return ["dependencies": map(Self.names, number)]
        case 7: return [pick(["allOf", "anyOf"]): list(number)]
        case 8: return ["oneOf": list(number)]
        case 9: return ["not": schema(depth, after: number)]
        default:
            return [
                "if": schema(depth, after: number), "then": schema(depth, after: number),
                "else": schema(depth, after: number),
            ]
        }
    }
}
