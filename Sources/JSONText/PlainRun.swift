/// Bytes of a string that stand for themselves: all but quotes, backslashes and control characters.
enum PlainRun {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// The offset of the first byte at or after `start` that JSON escapes, or the count.
    @inline(__always)
    static func end(of text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var offset = start
        let raw = UnsafeRawBufferPointer(text)
        while offset + 8 <= text.count {
            if hasSpecial(raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) { break }
            offset += 8
        }
        while offset < text.count, !isSpecial(text[offset]) { offset += 1 }
        return offset
    }

    @inline(__always)
    static func isSpecial(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// Whether any of eight bytes is special. `x - 1 & ~x & 0x80` is set for a byte that is 0 (and after a borrow, which
    /// needs a 0 byte below): the classic test for a zero byte, here on the distance to each special byte.
    @inline(__always)
    private static func hasSpecial(_ word: UInt64) -> Bool {
        let control = (word &- ones &* 0x20) & ~word
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let isQuote = (quote &- ones) & ~quote
        let isBackslash = (backslash &- ones) & ~backslash
        return (control | isQuote | isBackslash) & highBits != 0
    }
}
