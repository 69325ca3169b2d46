// RFC 3339 text, read and written byte by byte: timestamps stand in every message, so neither
// direction allocates more than its result.

extension Instant {
    /// Reads an RFC 3339 timestamp: `2026-11-21T07:40:00Z`, with an optional fraction of up to nine
    /// digits (cut to milliseconds) and `Z` or an offset `±hh:mm`.
    ///
    /// Nil for anything else: another separator than `T`, a leap second, a date that does not exist, a
    /// result outside the years 0001 to 9999.
    package init?(rfc3339 text: some StringProtocol) {
        let read = withUTF8(of: text) { bytes -> Int64? in
            var reader = TimestampReader(bytes: bytes)
            guard let local = reader.dateTime(), let offset = reader.offsetSeconds(), reader.isAtEnd else { return nil }
            return Int64(local.wallSeconds - offset) * 1000 + Int64(local.millisecond)
        }
        guard let read, read >= Instant.earliest.milliseconds, read <= Instant.latest.milliseconds else { return nil }
        self.init(milliseconds: read)
    }

    /// RFC 3339 in UTC with microseconds: `2026-11-21T07:40:00.123000Z`.
    package var rfc3339: String {
        String(unsafeUninitializedCapacity: Instant.textLength) { text in
            writeRFC3339(to: text)
            return Instant.textLength
        }
    }

    /// Appends the 27 bytes of `rfc3339`.
    package func appendRFC3339(to bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Instant.textLength) { text in
            writeRFC3339(to: text)
            bytes.append(contentsOf: text)
        }
    }

    private static let textLength = 27

    /// `text` has room for `textLength` bytes.
    private func writeRFC3339(to text: UnsafeMutableBufferPointer<UInt8>) {
        let seconds = wholeSeconds
        let millisecond = Int(milliseconds) - seconds * 1000
        var writer = TimestampWriter(bytes: text)
        writer.dateTime(LocalDateTime(wallSeconds: seconds, millisecond: millisecond))
        writer.character(".")
        writer.digits(millisecond, count: 3)
        writer.digits(0, count: 3)
        writer.character("Z")
    }
}

extension Instant: CustomStringConvertible {
    package var description: String { rfc3339 }
}

extension LocalDateTime {
    /// Reads `2026-11-21T07:40:00` with an optional fraction of up to nine digits, cut to milliseconds.
    ///
    /// Nil for anything else; an offset or `Z` makes it an instant, which `Instant(rfc3339:)` reads.
    package init?(iso8601 text: some StringProtocol) {
        let read = withUTF8(of: text) { bytes -> LocalDateTime? in
            var reader = TimestampReader(bytes: bytes)
            guard let local = reader.dateTime(), reader.isAtEnd else { return nil }
            return local
        }
        guard let read else { return nil }
        self = read
    }

    /// ISO 8601 without a zone, with milliseconds only if there are any: `2026-11-21T07:40:00`.
    package var iso8601: String {
        String(unsafeUninitializedCapacity: 24) { text in
            var writer = TimestampWriter(bytes: text)
            writer.dateTime(self)
            if millisecond != 0 {
                writer.character(".")
                writer.digits(millisecond, count: 3)
            }
            return writer.position
        }
    }
}

extension LocalDateTime: CustomStringConvertible {
    package var description: String { iso8601 }
}

/// Fills a buffer that has room for what is written: at most 24 bytes for a date and time.
private struct TimestampWriter {
    let bytes: UnsafeMutableBufferPointer<UInt8>
    var position = 0

    mutating func dateTime(_ local: LocalDateTime) {
        // A local reading of the last instant of 9999 may show the year 10000.
        digits(local.year, count: local.year > 9999 ? 5 : 4)
        character("-")
        digits(local.month, count: 2)
        character("-")
        digits(local.day, count: 2)
        character("T")
        digits(local.hour, count: 2)
        character(":")
        digits(local.minute, count: 2)
        character(":")
        digits(local.second, count: 2)
    }

    @inline(__always)
    mutating func character(_ character: Unicode.Scalar) {
        bytes[position] = UInt8(ascii: character)
        position += 1
    }

    /// The last `count` decimal digits of a number that is not negative.
    @inline(__always)
    mutating func digits(_ value: Int, count: Int) {
        var rest = UInt32(truncatingIfNeeded: value)
        for index in stride(from: position + count - 1, through: position, by: -1) {
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        position += count
    }
}

private func withUTF8<Result>(
    of text: some StringProtocol, _ body: (UnsafeBufferPointer<UInt8>) -> Result
) -> Result {
    if let result = text.utf8.withContiguousStorageIfAvailable(body) { return result }
    return Array(text.utf8).withUnsafeBufferPointer(body)
}

/// A cursor over the bytes of one timestamp. Each step returns nil where the text leaves the grammar.
private struct TimestampReader {
    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0

    var isAtEnd: Bool { position == bytes.count }

    mutating func dateTime() -> LocalDateTime? {
        guard let year = digits(4), skip("-"), let month = digits(2), skip("-"), let day = digits(2),
            skip("T") || skip("t"),
            let hour = digits(2), skip(":"), let minute = digits(2), skip(":"), let second = digits(2),
            let millisecond = fraction()
        else { return nil }
        return LocalDateTime(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, millisecond: millisecond)
    }

    mutating func offsetSeconds() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let sign: Int
        if skip("+") {
            sign = 1
        } else if skip("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = digits(2), hours <= 23, skip(":"), let minutes = digits(2), minutes <= 59 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }

    /// Milliseconds of an optional fraction: 0 without one, nil for a point without one to nine digits.
    private mutating func fraction() -> Int? {
        guard skip(".") else { return 0 }
        var milliseconds = 0
        var count = 0
        while position < bytes.count, let digit = decimalDigit(bytes[position]) {
            if count < 3 { milliseconds = milliseconds * 10 + digit }
            count += 1
            position += 1
        }
        guard (1...9).contains(count) else { return nil }
        while count < 3 {
            milliseconds *= 10
            count += 1
        }
        return milliseconds
    }

    private mutating func digits(_ count: Int) -> Int? {
        guard bytes.count - position >= count else { return nil }
        var value = 0
        for index in position..<position + count {
            guard let digit = decimalDigit(bytes[index]) else { return nil }
            value = value * 10 + digit
        }
        position += count
        return value
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }
}

/// The value of an ASCII digit, nil for any other byte.
@inline(__always)
func decimalDigit(_ byte: UInt8) -> Int? {
    let value = byte &- UInt8(ascii: "0")
    return value < 10 ? Int(value) : nil
}
