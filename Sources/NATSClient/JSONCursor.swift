/// Reads JSON where it lies, without building values: for acknowledgements, and for the few fields of JetStream's
/// replies that this module needs.
///
/// It is lenient about what it skips and strict about what it reads. Depth is bounded, so that no reply can exhaust the
/// stack.
package struct JSONCursor {
    package static let maximumDepth = 32

    package let bytes: UnsafeRawBufferPointer
    package private(set) var position = 0
    package private(set) var hasFailed = false

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Visits the members of the object that comes next. `body` reads a member's value or leaves it.
    /// False when there is no well-formed object.
    @discardableResult
    package mutating func forEachMember(_ body: (UnsafeRawBufferPointer, inout JSONCursor) -> Void) -> Bool {
        guard take(UInt8(ascii: "{")) else { return fail() }
        if take(UInt8(ascii: "}")) { return true }
        repeat {
            guard let key = stringBytes(), take(UInt8(ascii: ":")) else { return fail() }
            skipSpace()
            let before = position
            body(key, &self)
            if position == before { skip() }
            if hasFailed { return false }
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "}")) || fail()
    }

    /// Visits the elements of the array that comes next, as above.
    @discardableResult
    package mutating func forEachElement(_ body: (inout JSONCursor) -> Void) -> Bool {
        guard take(UInt8(ascii: "[")) else { return fail() }
        if take(UInt8(ascii: "]")) { return true }
        repeat {
            skipSpace()
            let before = position
            body(&self)
            if position == before { skip() }
            if hasFailed { return false }
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "]")) || fail()
    }

    /// A whole number without sign, fraction or exponent; nil and unmoved for anything else.
    package mutating func unsigned() -> UInt64? {
        skipSpace()
        var at = position
        var value: UInt64 = 0
        while at < bytes.count, (0x30...0x39).contains(bytes[at]) {
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.addingReportingOverflow(UInt64(bytes[at] &- 0x30))
            if overflow || carry { return nil }
            value = sum
            at += 1
        }
        guard at > position else { return nil }
        position = at
        return value
    }

    /// A whole number that may be negative.
    package mutating func signed() -> Int64? {
        skipSpace()
        let start = position
        let isNegative = position < bytes.count && bytes[position] == UInt8(ascii: "-")
        if isNegative { position += 1 }
        guard let magnitude = unsigned(), magnitude <= UInt64(Int64.max) else {
            position = start
            return nil
        }
        return isNegative ? -Int64(magnitude) : Int64(magnitude)
    }

    package mutating func bool() -> Bool? {
        if word("true") { return true }
        if word("false") { return false }
        return nil
    }

    /// A string with its escapes undone; nil and unmoved if there is none.
    package mutating func string() -> String? {
        let start = position
        guard let raw = stringBytes() else {
            position = start
            return nil
        }
        guard raw.contains(UInt8(ascii: "\\")) else { return String(validating: raw) }
        return Self.unescaped(raw)
    }

    /// The bytes between the quotes, escapes as they stand.
    package mutating func stringBytes() -> UnsafeRawBufferPointer? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                defer { position += 1 }
                return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
            }
            position += byte == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }

    /// Passes over one value of any kind.
    package mutating func skip() {
        skipSpace()
        var depth = 0
        repeat {
            skipSpace()
            guard position < bytes.count else { return giveUp() }
            switch bytes[position] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                position += 1
                if depth > Self.maximumDepth { return giveUp() }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return giveUp() }
                depth -= 1
                position += 1
            case UInt8(ascii: "\""):
                if stringBytes() == nil { return giveUp() }
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                if depth == 0 { return giveUp() }
                position += 1
            default: skipLiteral()
            }
        } while depth > 0 && !hasFailed
    }

    private mutating func skipLiteral() {
        let start = position
        while position < bytes.count, bytes[position] > 0x20, !",:]}[{\"".utf8.contains(bytes[position]) {
            position += 1
        }
        if position == start { giveUp() }
    }

    private mutating func word(_ text: StaticString) -> Bool {
        skipSpace()
        let end = position + text.utf8CodeUnitCount
        guard end <= bytes.count else { return false }
        let here = UnsafeRawBufferPointer(rebasing: bytes[position..<end])
        guard text.withUTF8Buffer({ here.elementsEqual($0) }) else { return false }
        position = end
        return true
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
    }

    private mutating func giveUp() { hasFailed = true }

    private mutating func fail() -> Bool {
        giveUp()
        return false
    }

    private static func unescaped(_ raw: UnsafeRawBufferPointer) -> String {
        var units: [UInt16] = []
        var at = 0
        var plain: [UInt8] = []
        func flush() {
            units.append(contentsOf: String(validating: plain).utf16)
            plain.removeAll(keepingCapacity: true)
        }
        while at < raw.count {
            guard raw[at] == UInt8(ascii: "\\"), at + 1 < raw.count else {
                plain.append(raw[at])
                at += 1
                continue
            }
            at += 2
            switch raw[at - 1] {
            case UInt8(ascii: "n"): plain.append(0x0A)
            case UInt8(ascii: "t"): plain.append(0x09)
            case UInt8(ascii: "r"): plain.append(0x0D)
            case UInt8(ascii: "b"): plain.append(0x08)
            case UInt8(ascii: "f"): plain.append(0x0C)
            case UInt8(ascii: "u"):
                flush()
                let end = min(at + 4, raw.count)
                let digits = String(validating: UnsafeRawBufferPointer(rebasing: raw[at..<end]))
                units.append(UInt16(digits, radix: 16) ?? 0xFFFD)
                at = end
            default: plain.append(raw[at - 1])
            }
        }
        flush()
        return String(decoding: units, as: UTF16.self)
    }
}

extension UnsafeRawBufferPointer {
    /// Compares with a name in the source, without making a String.
    package func equals(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { elementsEqual($0) }
    }
}
