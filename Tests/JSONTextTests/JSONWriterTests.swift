import JSONText
import TestSupport
import Testing

@Suite("What the writer writes")
struct JSONWriterTests {
    @Test("Commas stand between and nowhere else")
    func setsCommas() throws {
        var writer = JSONWriter()
        writer.object { writer in
            writer.object("a") { _ in }
            writer.array("b") { writer in
                writer.array { _ in }
                writer.object { $0.member("x", 1) }
                writer.value("s")
                writer.null()
                writer.value(true)
                writer.raw(Array("[1, 2]".utf8))
            }
            writer.nullMember("c")
            writer.member("d", false)
            writer.name(dynamic: "e\"\n")
            writer.value(2.5)
            writer.member("f", ifPresent: nil as String?)
            writer.member("g", ifPresent: 7 as Int?)
            writer.member("h", raw: "{}".utf8.lazy.map { $0 })
        }
        let expected = #"{"a":{},"b":[[],{"x":1},"s",null,true,[1, 2]],"c":null,"d":false,"e\"\n":2.5,"g":7,"h":{}}"#
        #expect(writer.text == expected)
        #expect(writer.bytes == Array(expected.utf8))
        #expect(try JSONValue.parse(writer.bytes).count == 7)
    }

    @Test("After a reset nothing of the old text is left, not even its comma")
    func resets() {
        var writer = JSONWriter(capacity: 0)
        for number in 0..<3 {
            writer.reset()
            writer.array { $0.value(number) }
            #expect(writer.text == "[\(number)]")
        }
    }

    @Test("Every scalar in every place of a word survives a round trip")
    func escapes() throws {
        let scalars =
            (0...0x7F).map { Unicode.Scalar(UInt8($0)) } + [
                "\u{80}", "\u{7FF}", "\u{800}", "\u{FFFF}", "\u{1F600}", "\u{DC}", "\u{A2}",
            ]
        for scalar in scalars {
            for padding in 0..<18 {
                let text =
                    String(repeating: "x", count: padding) + String(scalar)
                    + String(repeating: "y", count: 17 - padding)
                var writer = JSONWriter(capacity: 1)
                writer.value(text)
                #expect(
                    try JSONValue.parse(writer.bytes).string?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
            }
        }
        var writer = JSONWriter()
        writer.value("\u{0}\u{1}\u{8}\u{9}\u{A}\u{C}\u{D}\u{1F}\"\\/\u{7F}é")
        #expect(writer.text == #""\u0000\u0001\b\t\n\f\r\u001f\"\\/\#u{7F}é""#)
    }

    @Test("A string of nothing but escapes outgrows its reservation safely")
    func growsOnEscapes() throws {
        for count in [1, 9, 10, 11, 63, 64, 65, 1000] {
            let text = String(repeating: "\u{1}", count: count)
            var writer = JSONWriter(capacity: 1)
            writer.array { $0.value(text) }
            #expect(try JSONValue.parse(writer.bytes).elements.first { _ in true }?.string == text)
        }
    }

    @Test(arguments: [0, 1, -1, 9, 10, 99, 100, -100, .max, .min, 9_007_199_254_740_993] as [Int64])
    func writesIntegers(_ number: Int64) {
        var writer = JSONWriter()
        writer.value(number)
        #expect(writer.text == number.description)
    }

    @Test("Integers beyond 64 signed bits are written in full")
    func writesWideIntegers() {
        var writer = JSONWriter(capacity: 1)
        writer.array { writer in
            writer.value(UInt64.max)
            writer.value(UInt8.max)
            writer.value(UInt128.max)
        }
        #expect(writer.text == "[18446744073709551615,255,340282366920938463463374607431768211455]")
    }

    @Test(
        arguments: [
            (0, "0"), (-0.0, "0"), (5, "5"), (-5, "-5"), (0.1, "0.1"), (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"), (0x1p53, "9007199254740992"), (1e300, "1e+300"),
            (.leastNonzeroMagnitude, "5e-324"),
            (-2.5, "-2.5"), (.nan, "null"), (.infinity, "null"), (-.infinity, "null"),
        ] as [(Double, String)])
    func writesDoubles(_ number: Double, expected: String) {
        var writer = JSONWriter()
        writer.value(number)
        #expect(writer.text == expected)
    }

    @Test("Random doubles read back as themselves")
    func roundTripsDoubles() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<5000 {
            let number = Double(bitPattern: random.next())
            guard number.isFinite else { continue }
            var writer = JSONWriter()
            writer.value(number)
            #expect(try JSONValue.parse(writer.bytes).double == number)
        }
    }
}
