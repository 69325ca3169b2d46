package import Recurrence

/// 128 bits in the order of their text: comparing two values compares their canonical texts.
package struct UUIDValue: Hashable, Comparable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness, so that new rows land at an index's right edge.
    package static func version7(at instant: Instant, random: inout some RandomNumberGenerator) -> UUIDValue {
        let time = UInt64(max(0, instant.milliseconds)) << 16
        let high = time | 0x7000 | (random.next() & 0x0FFF)
        let low = (random.next() & (UInt64.max >> 2)) | (1 << 63)
        return UUIDValue(high: high, low: low)
    }

    /// The smallest UUID whose leading 48 bits say `instant`: a partition's bound, or where a scan by time begins.
    package static func lowest(at instant: Instant) -> UUIDValue {
        UUIDValue(high: UInt64(max(0, instant.milliseconds)) << 16, low: 0)
    }

    package static func < (left: UUIDValue, right: UUIDValue) -> Bool {
        left.high == right.high ? left.low < right.low : left.high < right.high
    }

    /// Reads the canonical form of 36 characters, in either case; anything else is nil.
    package init?(text: some StringProtocol) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var digits = 0
        var position = 0
        for byte in text.utf8 {
            if position == 8 || position == 13 || position == 18 || position == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
            } else {
                guard let digit = hexDigitValue(byte), digits < 32 else { return nil }
                if digits < 16 { high = high << 4 | digit } else { low = low << 4 | digit }
                digits += 1
            }
            position += 1
        }
        guard position == 36 else { return nil }
        self.init(high: high, low: low)
    }

    /// The canonical lower-case text.
    package var text: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            writeText(to: buffer)
            return 36
        }
    }

    /// The 32 hexadecimal digits without hyphens.
    package var hexadecimal: String {
        String(unsafeUninitializedCapacity: 32) { buffer in
            for index in 0..<16 {
                buffer[index] = hexDigit(high >> UInt64(60 - 4 * index))
                buffer[16 + index] = hexDigit(low >> UInt64(60 - 4 * index))
            }
            return 32
        }
    }

    package func append(to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: 36))
        bytes.withUnsafeMutableBufferPointer { buffer in
            writeText(to: UnsafeMutableBufferPointer(rebasing: buffer[start...]))
        }
    }

    private func writeText(to buffer: UnsafeMutableBufferPointer<UInt8>) {
        var out = 0
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                buffer[out] = UInt8(ascii: "-")
                out += 1
            }
            buffer[out] =
                digit < 16 ? hexDigit(high >> UInt64(60 - 4 * digit)) : hexDigit(low >> UInt64(60 - 4 * (digit - 16)))
            out += 1
        }
    }
}

@inline(__always)
private func hexDigit(_ value: UInt64) -> UInt8 {
    let nibble = UInt8(truncatingIfNeeded: value & 15)
    return nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") - 10 + nibble
}

@inline(__always)
private func hexDigitValue(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
}

/// A UUID that names one kind of thing: read, written and ordered as the UUID, and never taken for another kind's.
package protocol Identifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    var uuid: UUIDValue { get }

    init(_ uuid: UUIDValue)
}

extension Identifier {
    /// Reads the canonical text; anything else is nil.
    package init?(text: some StringProtocol) {
        guard let uuid = UUIDValue(text: text) else { return nil }
        self.init(uuid)
    }

    package var description: String { uuid.text }

    package static func < (left: Self, right: Self) -> Bool { left.uuid < right.uuid }
}

/// Names one schedule for ever; a UUIDv7, so that ids sort by creation.
package struct ScheduleID: Identifier {
    package let uuid: UUIDValue

    package init(_ uuid: UUIDValue) { self.uuid = uuid }

    /// The share that this schedule belongs to, 0 to 255 (`Share`). Stable for ever: it is stored with the timer.
    package var partition: UInt8 {
        var hash = uuid.high ^ (uuid.low &* 0x9E37_79B9_7F4A_7C15)
        hash ^= hash >> 29
        hash = hash &* 0xBF58_476D_1CE4_E5B9
        return UInt8(truncatingIfNeeded: hash >> 56)
    }
}

/// Names one incarnation of a process: made at its start, fenced at its end, never used again.
package struct InstanceID: Identifier {
    package let uuid: UUIDValue

    package init(_ uuid: UUIDValue) { self.uuid = uuid }
}

/// Names one execution: the same on every instance, because it is a hash of the occurrence's identity (contract.md §5).
///
/// A UUIDv8: 48 bits of `scheduled_for` in milliseconds, which name the row's partition, then 74 bits of a SHA-256.
package struct ExecutionID: Identifier {
    package let uuid: UUIDValue

    package init(_ uuid: UUIDValue) { self.uuid = uuid }
}
