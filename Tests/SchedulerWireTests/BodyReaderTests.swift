import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

private enum Colour: String, CaseIterable {
    case red, green
}

/// A body, read by one accessor, and the error that its end throws.
private func problems(_ text: String, _ read: (inout BodyReader) -> Void) throws -> [String] {
    var body = BodyReader(try JSONValue.parse(Array(text.utf8)))
    read(&body)
    do {
        try body.finish()
        return []
    } catch {
        return zip(body.problems, error.details).map { "\($1.pointer) \($0.code.name)" }
    }
}

@Suite("Reading the members of a body") struct BodyReaderTests {
    @Test("Nothing, null and {} are the same", arguments: [nil, "null", "{}"])
    func emptyBodies(text: String?) throws {
        var body = BodyReader(try text.map { try JSONValue.parse(Array($0.utf8)) })
        #expect(body.string("a") == nil && body.bool("b") == nil && body.integer("c", in: 0...1) == nil)
        try body.finish()
    }

    @Test("Anything else that is no object is one problem", arguments: ["[]", "1", "\"a\"", "true"])
    func notObjects(text: String) throws {
        #expect(try problems(text) { _ = $0.string("a") } == [" not_an_object"])
    }

    @Test("null is as if a member were absent, and is taken all the same")
    func nulls() throws {
        let found = try problems(#"{"a":null,"b":null}"#) { #expect($0.string("a") == nil && $0.bool("b") == nil) }
        #expect(found == [])
    }

    @Test("A text with a NUL, which no text column holds, is refused")
    func nulCharacters() throws {
        #expect(try problems(#"{"a":"x\u0000"}"#) { _ = $0.string("a") } == ["/a invalid_value"])
    }

    @Test("What nobody took is unknown, each by its own escaped pointer, in the body's order")
    func unknownMembers() throws {
        let found = try problems(#"{"z":1,"known":"x","a/b~c":{},"":2}"#) { _ = $0.string("known") }
        #expect(found == ["/z unknown_field", "/a~1b~0c unknown_field", "/ unknown_field"])
    }

    @Test(
        "Strings",
        arguments: [
            (#""abc""#, "abc", nil), (#""äöü""#, "äöü", nil), (#""abcd""#, nil, "invalid_value"),
            ("3", nil, "wrong_type"),
            ("[]", nil, "wrong_type"), ("true", nil, "wrong_type"),
        ] as [(String, String?, String?)])
    func strings(text: String, expected: String?, problem: String?) throws {
        let found = try problems(#"{"a":\#(text)}"#) { #expect($0.string("a", most: 3) == expected) }
        #expect(found == (problem.map { ["/a \($0)"] } ?? []))
    }

    @Test(
        "Whole numbers, however they are written",
        arguments: [
            ("5", 5, nil), ("1e1", 10, nil), ("10.0", 10, nil), ("-0", 0, nil), ("11", nil, "invalid_value"),
            ("-1", nil, "invalid_value"), ("1.5", nil, "wrong_type"), (#""5""#, nil, "wrong_type"),
            ("9223372036854775808", nil, "wrong_type"), ("1e400", nil, "wrong_type"), ("true", nil, "wrong_type"),
        ] as [(String, Int64?, String?)])
    func integers(text: String, expected: Int64?, problem: String?) throws {
        let found = try problems(#"{"a":\#(text)}"#) { #expect($0.integer("a", in: 0...10) == expected) }
        // Beyond what a Double holds exactly it is no whole number, or out of bounds: a problem either way.
        #expect(found.count == (problem == nil ? 0 : 1))
        if let problem, text != "9223372036854775808", text != "1e400" { #expect(found == ["/a \(problem)"]) }
    }

    @Test("Numbers past 2^53 are read exactly, not through a Double")
    func largeIntegers() throws {
        let found = try problems(#"{"a":9007199254740993,"b":9223372036854775807}"#) {
            #expect($0.integer("a", in: 0...Int64.max) == 9_007_199_254_740_993)
            #expect($0.integer("b", in: 0...Int64.max) == Int64.max)
        }
        #expect(found == [])
    }

    @Test(
        "Seconds in whole milliseconds",
        arguments: [
            ("0.1", 100, nil), ("1", 1000, nil), ("0.001", 1, nil), ("2.5e1", 25_000, nil),
            ("1.0005", nil, "invalid_value"),
            ("0.0001", nil, "invalid_value"), ("101", nil, "invalid_value"), ("1e999", nil, "invalid_value"),
            (#""1""#, nil, "wrong_type"),
        ] as [(String, Int64?, String?)])
    func milliseconds(text: String, expected: Int64?, problem: String?) throws {
        let found = try problems(#"{"a":\#(text)}"#) { #expect($0.milliseconds("a", seconds: 0.001...100) == expected) }
        #expect(found.count == (problem == nil ? 0 : 1))
        if let problem, text != "1e999" { #expect(found == ["/a \(problem)"]) }
    }

    @Test("Instants, choices and booleans")
    func others() throws {
        let good = try problems(#"{"i":"2026-11-21T01:00:00+01:00","c":"green","b":false}"#) {
            #expect($0.instant("i")?.rfc3339 == "2026-11-21T00:00:00.000000Z")
            #expect($0.choice("c", of: Colour.self) == .green)
            #expect($0.bool("b") == false)
        }
        #expect(good == [])
        let bad = try problems(#"{"i":"2026-11-21","c":"blue","b":0,"j":5,"d":[]}"#) {
            #expect($0.instant("i") == nil && $0.instant("j") == nil && $0.bool("b") == nil)
            #expect($0.choice("c", of: Colour.self) == nil && $0.choice("d", of: Colour.self) == nil)
        }
        #expect(
            bad == ["/i invalid_value", "/j wrong_type", "/b wrong_type", "/c invalid_value", "/d wrong_type"])
    }
}

@Suite("Bodies that are no object") struct NoObjectTests {
    @Test("Nothing else is told of them, whatever is required", arguments: ["[]", "7"])
    func hasOneProblem(text: String) throws {
        let zones: ZoneLookup = { name throws(ZoneError) in .utc }
        var reader = DefinitionReader(
            BodyReader(try JSONValue.parse(Array(text.utf8))), defaults: DefinitionDefaults(), zones: zones)
        let body = reader.read(onto: nil, idName: try ScheduleName("x")).body
        #expect(body.problems.map(\.code) == [.notAnObject])
    }
}
