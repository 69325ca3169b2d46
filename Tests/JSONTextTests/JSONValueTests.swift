import JSONText
import Testing

@Suite("What a parsed value answers")
struct JSONValueTests {
    @Test("Every value keeps the bytes it was written as")
    func keepsBytes() throws {
        let text = #" { "a" : [ 1.50 , "\u0041" , { } ] , "b" : { "c" : -0.0e+0 } , "é" : null } "#
        let value = try JSONValue.parse(text)
        #expect(source(value) == text.dropFirst().dropLast())
        #expect(value["a"].map(source) == #"[ 1.50 , "\u0041" , { } ]"#)
        #expect(value["a"]?.elements.map(source) == ["1.50", #""\u0041""#, "{ }"])
        #expect(value["b"]?["c"].map(source) == "-0.0e+0")
        #expect(value.members.map(\.name) == ["a", "b", "é"])
        #expect(value["é"]?.isNull == true)
        #expect(value["é"]?.range == 70..<74)
        #expect((value.count, value["a"]?.count, value["b"]?.count) == (3, 3, 1))
    }

    @Test("Names are compared byte by byte, escapes resolved")
    func looksUpNames() throws {
        let value = try JSONValue.parse("{\"\\u0061\\/\":1,\"e\u{301}\":2,\"\u{e9}\":3,\"\":4}")
        #expect(value["a/"]?.int64 == 1)
        #expect(value["e\u{301}"]?.int64 == 2)
        #expect(value["\u{e9}"]?.int64 == 3)
        #expect(value[""]?.int64 == 4)
        #expect(value["a"] == nil)
        #expect(try JSONValue.parse("[1]")["0"] == nil)
    }

    @Test("An accessor of another kind answers nothing")
    func refusesOtherKinds() throws {
        for text in ["null", "true", "1", "\"1\"", "[1]", "{\"a\":1}"] {
            let value = try JSONValue.parse(text)
            #expect((value.bool != nil) == (value.kind == .bool))
            #expect((value.int64 != nil) == (value.kind == .number))
            #expect((value.double != nil) == (value.kind == .number))
            #expect((value.numberText != nil) == (value.kind == .number))
            #expect((value.string != nil) == (value.kind == .string))
            #expect(value.elements.underestimatedCount == (value.kind == .array ? 1 : 0))
            #expect(value.members.underestimatedCount == (value.kind == .object ? 1 : 0))
            #expect(value.isNull == (value.kind == .null))
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("0.0", 0), ("0e999999999999999999999", 0), ("1", 1), ("-1", -1), ("10", 10),
            ("100", 100), ("5.0", 5), ("0.5e1", 5), ("50e-1", 5), ("500.00e-2", 5), ("1e18", 1_000_000_000_000_000_000),
            ("9223372036854775807", .max), ("-9223372036854775808", .min), ("9223372036854775807.000", .max),
            ("922337203685477580.7e1", .max), ("9223372036854775808", nil), ("-9223372036854775809", nil),
            ("1e19", nil), ("18446744073709551616", nil), ("0.5", nil), ("5e-1", nil), ("1.5", nil), ("15e-1", nil),
            ("1e-99999999999999999999", nil), ("1e99999999999999999999", nil), ("10e-2", nil),
            ("9007199254740993", 9_007_199_254_740_993),
            ("0.00000000000000000000000000001e29", 1), ("100000000000000000000000000000e-29", 1), ("123.4500e2", 12345),
            ("1000000000000000000000", nil),
        ] as [(String, Int64?)])
    func readsWholeNumbersExactly(_ text: String, expected: Int64?) throws {
        #expect(try JSONValue.parse(text).int64 == expected)
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", -0.0), ("0.1", 0.1), ("1e308", 1e308), ("1e309", nil), ("-1e309", nil),
            ("5e-324", .leastNonzeroMagnitude), ("1e-400", 0),
            ("123456789012345678901234567890", 1.2345678901234568e29),
            ("1.7976931348623157e308", .greatestFiniteMagnitude), ("0.30000000000000004", 0.1 + 0.2),
        ] as [(String, Double?)])
    func readsDoubles(_ text: String, expected: Double?) throws {
        #expect(try JSONValue.parse(text).double == expected)
    }

    @Test(arguments: [
        (#""""#, ""), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0000""#, "\u{0}"),
        (#""a\u00e9b""#, "a\u{e9}b"), (#""\uD83D\uDE00!""#, "😀!"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
        (#""\ud800\udc00""#, "\u{10000}"), (#""\\u0041""#, "\\u0041"), (#""\uFFFF""#, "\u{FFFF}"),
        ("\"é\\né\"", "é\né"),
    ])
    func resolvesEscapes(_ text: String, expected: String) throws {
        let string = try #require(try JSONValue.parse(text).string)
        #expect(string.unicodeScalars.elementsEqual(expected.unicodeScalars))
    }

    @Test("Names that repeat are found among many")
    func findsDuplicatesAmongMany() throws {
        for count in [2, 7, 8, 9, 10, 100, 5000] {
            let members = (0..<count).map { "\"n\($0)\":{\"n0\":[\($0)]}" }
            let value = try JSONValue.parse("{" + members.joined(separator: ",") + "}")
            #expect(value.count == count)
            #expect(value["n\(count - 1)"]?["n0"]?.elements.first { _ in true }?.int64 == Int64(count - 1))
            for repeated in [0, count / 2, count - 1] {
                let text = "{" + members.joined(separator: ",") + ",\"\\u006e\(repeated)\":0}"
                #expect { try JSONValue.parse(text) } throws: { error in
                    let error = error as? JSONError
                    return error?.code == .duplicateName && error?.pointer == "/n\(repeated)"
                }
            }
        }
    }

    @Test(
        "RFC 6901's own examples",
        arguments: [
            ("", nil), ("/foo/0", "\"bar\""), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"), ("/e^f", "3"), ("/g|h", "4"),
            ("/i\\j", "5"), ("/k\"l", "6"), ("/ ", "7"), ("/m~0n", "8"),
            ("/foo/2", nil), ("/foo/01", nil), ("/foo/-", nil), ("/foo/-1", nil), ("/nope", nil), ("/foo/0/0", nil),
        ] as [(String, String?)])
    func resolvesPointers(_ text: String, expected: String?) throws {
        let document = #"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#
        let value = try JSONValue.parse(document)
        let pointer = try #require(JSONPointer(text))
        #expect(value[pointer].map(source) == (text.isEmpty ? document : expected))
        #expect(pointer.tokens.reduce(JSONPointer.root) { $0.appending($1) } == pointer)
    }

    @Test(arguments: ["a", "a/b", "/~", "/~2", "/a~b"])
    func refusesMalformedPointers(_ text: String) {
        #expect(JSONPointer(text) == nil)
    }

    private func source(_ value: JSONValue) -> String { String(decoding: value.bytes, as: UTF8.self) }
}
