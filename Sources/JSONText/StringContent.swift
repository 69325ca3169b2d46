/// What stands between a string's quotes. The parser has proved it well formed before anything here runs.
extension JSONDocument {
    /// The text of a string node, escapes resolved.
    func text(of node: JSONNode) -> String {
        guard node.hasEscapes else { return String(decoding: bytes[node.content], as: UTF8.self) }
        return bytes.withUnsafeBufferPointer { source in
            String(decoding: StringContent.resolve(UnsafeBufferPointer(rebasing: source[node.content])), as: UTF8.self)
        }
    }
}

enum StringContent {
    /// The UTF-8 of a string's content with its escapes resolved.
    static func resolve(_ content: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(content.count)
        var offset = 0
        while offset < content.count {
            let byte = content[offset]
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                offset += 1
                continue
            }
            let escape = content[offset + 1]
            offset += 2
            guard escape == UInt8(ascii: "u") else {
                text.append(shortEscape(escape) ?? escape)
                continue
            }
            var scalar = UInt32(hex4(content, at: offset) ?? 0)
            offset += 4
            if 0xD800..<0xDC00 ~= scalar {
                let low = UInt32(hex4(content, at: offset + 2) ?? 0)
                scalar = 0x10000 + (scalar & 0x3FF) << 10 | (low & 0x3FF)
                offset += 6
            }
            text += UTF8.encode(Unicode.Scalar(scalar) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter
        }
        return text
    }

    /// The byte that `\` and this letter stand for; `nil` for anything that is no such escape, `u` among them.
    static func shortEscape(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): letter
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    /// Four hexadecimal digits as a number; `nil` when they are not all there.
    static func hex4(_ source: UnsafeBufferPointer<UInt8>, at offset: Int) -> UInt16? {
        guard offset + 4 <= source.count else { return nil }
        var value: UInt16 = 0
        for byte in source[offset..<offset + 4] {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    /// The length of the well-formed UTF-8 sequence of a scalar above U+007F that begins at `offset`;
    /// `nil` when it is overlong, a surrogate, beyond U+10FFFF, or cut off (Unicode 15, table 3-7).
    static func multibyteLength(_ source: UnsafeBufferPointer<UInt8>, at offset: Int) -> Int? {
        let second: ClosedRange<UInt8>
        let length: Int
        switch source[offset] {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return nil
        }
        guard offset + length <= source.count, second ~= source[offset + 1] else { return nil }
        for byte in source[offset + 2..<offset + length] where byte & 0xC0 != 0x80 { return nil }
        return length
    }
}
