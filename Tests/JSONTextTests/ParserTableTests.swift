import JSONText
import Testing

@Suite("What the parser takes and refuses")
struct ParserTableTests {
    @Test(arguments: [
        "null", "true", "false", "0", "-0", "1", "-1", "10", "0.0", "0.5", "1e5", "1E+5", "1e-5", "-0e0",
        "123456789012345678901234567890",
        "1e999", "1e-999", "0.1e1", #""""#, #""a""#, #""\"\\\/\b\f\n\r\t""#, #""\u0000""#, #""\u00e9""#,
        #""\uD83D\uDE00""#, #""\ud800\udc00""#,
        #""\uDBFF\uDFFF""#, #""\uFFFF""#, "\"\u{7F}\"", "\"\u{2028}\u{2029}\"", "\"\u{10FFFF}\"", "\"é😀\"",
        #""\\u0000""#, #""\\""#, "[]", "[ ]", "[null]", "[1,2]",
        "[[],[]]", "{}", "{ }", #"{"a":1}"#, #"{"":0}"#, #"{"a":{"a":{}}}"#, #"{"a":1,"b":2}"#,
        " \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n",
        #"{"A":1,"a":2}"#, "{\"\u{e9}\":1,\"e\u{301}\":2}", #"[1,"a",null,true,{"b":[]}]"#, #"{"__proto__":null}"#,
        #""\u0041""#, "0e0", "-1.5e+300",
    ])
    func takes(_ text: String) throws {
        let value = try JSONValue.parse(text)
        let trimmed = text.drop { " \t\r\n".utf8.contains($0.utf8.first ?? 0) }
        #expect(value.bytes.first == trimmed.utf8.first)
    }

    @Test(
        arguments: [
            ("", .unexpectedEnd, 0), ("  ", .unexpectedEnd, 2), ("\u{FEFF}1", .byteOrderMark, 0),
            ("nul", .unexpectedByte, 0), ("nulL", .unexpectedByte, 0),
            ("True", .unexpectedByte, 0), ("NaN", .unexpectedByte, 0), ("Infinity", .unexpectedByte, 0),
            ("-Infinity", .invalidNumber, 1), ("nullx", .trailingBytes, 4),
            ("01", .invalidNumber, 1), ("-01", .invalidNumber, 2), ("00", .invalidNumber, 1), ("1.", .invalidNumber, 2),
            (".1", .unexpectedByte, 0), ("-", .invalidNumber, 1),
            ("+1", .unexpectedByte, 0), ("1e", .invalidNumber, 2), ("1e+", .invalidNumber, 3),
            ("1.e1", .invalidNumber, 2), ("0x10", .trailingBytes, 1), ("1_000", .trailingBytes, 1),
            ("1 2", .trailingBytes, 2), ("--1", .invalidNumber, 1), ("1a", .trailingBytes, 1),
            ("[1.]", .invalidNumber, 3), ("'a'", .unexpectedByte, 0), ("\"a", .unexpectedEnd, 2),
            ("\"", .unexpectedEnd, 1), ("\"\\", .unexpectedEnd, 2), (#""\"#, .unexpectedEnd, 2),
            (#""\""#, .unexpectedEnd, 3), (#""\x41""#, .invalidEscape, 1), (#""\'""#, .invalidEscape, 1),
            (#""\u""#, .invalidEscape, 1), (#""\u12""#, .invalidEscape, 1), (#""\u123g""#, .invalidEscape, 1),
            (#""\U0041""#, .invalidEscape, 1), (#""\u+123""#, .invalidEscape, 1),
            (#""\ud800""#, .loneSurrogate, 1), (#""\ud800x""#, .loneSurrogate, 1), (#""\ud800\n""#, .loneSurrogate, 1),
            (#""\ud800\ud800""#, .loneSurrogate, 1), (#""a\udc00""#, .loneSurrogate, 2),
            (#""\ud800\u00""#, .invalidEscape, 1), ("\"\n\"", .controlCharacter, 1), ("\"\t\"", .controlCharacter, 1),
            ("\"\u{0}\"", .controlCharacter, 1), ("\"\u{1F}\"", .controlCharacter, 1),
            ("[", .unexpectedEnd, 1), ("[1", .unexpectedEnd, 2), ("[1,", .unexpectedEnd, 3),
            ("[,1]", .unexpectedByte, 1), ("[1,]", .unexpectedByte, 3), ("[1,,2]", .unexpectedByte, 3),
            ("[1 2]", .unexpectedByte, 3),
            ("]", .unexpectedByte, 0), ("[1]]", .trailingBytes, 3), ("[1}", .unexpectedByte, 2),
            ("{", .unexpectedEnd, 1), ("{\"a\"", .unexpectedEnd, 4), ("{\"a\":", .unexpectedEnd, 5),
            ("{\"a\":1", .unexpectedEnd, 6),
            ("{\"a\":1,", .unexpectedEnd, 7), ("{\"a\":1,}", .unexpectedByte, 7), ("{,}", .unexpectedByte, 1),
            ("{\"a\" 1}", .unexpectedByte, 5), ("{a:1}", .unexpectedByte, 1), ("{1:1}", .unexpectedByte, 1),
            ("{\"a\":1]", .unexpectedByte, 6),
            ("{null:1}", .unexpectedByte, 1), ("{\"a\"::1}", .unexpectedByte, 5), ("{}{}", .trailingBytes, 2),
            ("// c\n1", .unexpectedByte, 0), ("/**/1", .unexpectedByte, 0), ("1//", .trailingBytes, 1),
            ("\u{A0}1", .unexpectedByte, 0),
            ("\u{B}1", .unexpectedByte, 0), ("1\u{0}", .trailingBytes, 1), ("[\u{C}]", .unexpectedByte, 1),
            (#"{"a":1,"a":1}"#, .duplicateName, 7), (#"{"a":1,"\u0061":1}"#, .duplicateName, 7),
            (#"{"":1,"":1}"#, .duplicateName, 6),
            (#"{"\u0061":1,"\u0061":1}"#, .duplicateName, 12), (#"[{"a":{"b":1,"c":2,"b":3}}]"#, .duplicateName, 19),
            (#"{"a":[{"b":1}],"b":{"b":1},"a":0}"#, .duplicateName, 27),
        ] as [(String, JSONError.Code, Int)])
    func refuses(_ text: String, code: JSONError.Code, offset: Int) {
        #expect { try JSONValue.parse(text) } throws: { error in
            guard let error = error as? JSONError else { return false }
            #expect((error.code, error.offset) == (code, offset), "\(error)")
            return true
        }
    }

    @Test(
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
            [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
            [0xF0, 0x9F, 0x98], [0xFE], [0xFF], [0xF8, 0x88, 0x80, 0x80, 0x80],
        ] as [[UInt8]])
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        for text in [[0x22] + bytes + [0x22], Array("{\"".utf8) + bytes + Array("\":0}".utf8), [0x22] + bytes] {
            #expect { try JSONValue.parse(text) } throws: { ($0 as? JSONError)?.code == .invalidUTF8 }
        }
    }

    @Test("UTF-8 is refused exactly where the standard library repairs it")
    func agreesWithTheStandardLibraryOnUTF8() {
        var disagreements: [[UInt8]] = []
        let interesting: [UInt8] = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
            0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        for first in interesting where first >= 0x80 {
            for second in interesting where second >= 0x41 {
                for third in interesting where third >= 0x41 {
                    for fourth in [0x41, 0x80, 0xBF, 0xC0] as [UInt8] {
                        let bytes = [first, second, third, fourth]
                        let isValid = String(validating: bytes, as: UTF8.self) != nil
                        let isTaken = (try? JSONValue.parse([0x22] + bytes + [0x22])) != nil
                        if isValid != isTaken { disagreements.append(bytes) }
                    }
                }
            }
        }
        #expect(disagreements.isEmpty)
    }

    @Test(arguments: [0, 1, 2, 31, 32, 33, 1000])
    func boundsDepth(_ depth: Int) {
        let text = String(repeating: "[", count: depth) + "0" + String(repeating: "]", count: depth)
        let code = error(text)?.code
        #expect(code == (depth > 32 ? .tooDeep : nil))
        #expect(error(text, JSONLimits(maxDepth: depth))?.code == nil)
        #expect(error("{\"a\":[" + text + "]}", JSONLimits(maxDepth: depth))?.code == .tooDeep)
    }

    @Test("A text of exactly the limit is read, one byte more is not")
    func boundsSize() {
        let limits = JSONLimits(maxBytes: 10)
        #expect(error("\"12345678\"", limits) == nil)
        #expect(error("\"123456789\"", limits)?.code == .tooLarge)
        let bytes = Array("\"123456789\"".utf8)
        #expect(bytes.withUnsafeBytes { memory in (try? JSONValue.parse(memory, limits: limits)) == nil })
        #expect(bytes.withUnsafeBytes { memory in (try? JSONValue.parse(memory))?.string } == "123456789")
    }

    @Test(arguments: [
        ("[1,[2,{\"a\":[0,x]}]]", "/1/1/a/1"), (#"{"a/b":{"m~n":01}}"#, "/a~1b/m~0n"), (#"{"\u0041":[nope]}"#, "/A/0"),
        ("[[],[],", "/2"), ("[{\"a\":1},2,x]", "/2"),
        (#"{"a":1,"b":2,"a":3}"#, "/a"), (#"{"x":{"a":1,"b":2,"a":3}}"#, "/x/a"), (#"{"a":1,x"#, ""),
        (#"{"a":"\ud800"}"#, "/a"), ("x", ""), ("[0] x", ""),
    ])
    func pointsAtTheError(_ text: String, pointer: String) {
        #expect(error(text)?.pointer == pointer)
    }

    @Test("A hostile name does not make the error as large as the text")
    func boundsThePointer() {
        let name = String(repeating: "n", count: 100_000)
        #expect(error("{\"a\":{\"\(name)\":x}}")?.pointer == "/a")
    }

    @Test("Errors say what was expected, what came and where")
    func describesErrors() {
        #expect(error("[1;2]")?.description == #"expected "," or "]", got ";" at byte 2"#)
        #expect(error("{\"a\":[\u{1}]}")?.description == "expected a value, got byte 0x01 at byte 6 in /a/0")
        #expect(error("[")?.description == "expected a value, got the end at byte 1 in /0")
    }

    private func error(_ text: String, _ limits: JSONLimits = JSONLimits()) -> JSONError? {
        do {
            _ = try JSONValue.parse(text, limits: limits)
            return nil
        } catch {
            return error
        }
    }
}
