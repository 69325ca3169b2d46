/// A run of bytes of a recurrence's text, and where it begins in it.
struct RuleText {
    let bytes: ArraySlice<UInt8>

    var start: Int { bytes.startIndex }
    var end: Int { bytes.endIndex }
    var isEmpty: Bool { bytes.isEmpty }

    /// Letters in upper case, as the names and values of iCalendar are compared.
    var upper: String {
        String(decoding: bytes.map { (97...122).contains($0) ? $0 - 32 : $0 }, as: UTF8.self)
    }

    /// The lines of a text, which end with LF or CR LF.
    static func lines(_ bytes: [UInt8]) -> [RuleText] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
            .map { RuleText(bytes: $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0) }
    }

    /// The byte at an offset of the whole text, nil behind this run. The run is part of one that holds it.
    func byte(at offset: Int) -> UInt8? { offset < bytes.endIndex ? bytes[offset] : nil }

    func suffix(from offset: Int) -> RuleText { RuleText(bytes: bytes[offset...]) }

    func prefix(upTo marks: [UInt8]) -> RuleText { RuleText(bytes: bytes.prefix { !marks.contains($0) }) }

    func split(_ separator: UInt8) -> [RuleText] {
        bytes.split(separator: separator, omittingEmptySubsequences: false).map { RuleText(bytes: $0) }
    }

    func unexpected(_ code: RuleError.Code, _ part: String?, _ expected: String) -> RuleError {
        // What stands there is shown as it is, but never a page of it.
        let shown = String(decoding: bytes.prefix(40), as: UTF8.self)
        return RuleError(
            code, part, at: start, expected: expected,
            found: isEmpty ? "nothing" : "`\(shown)\(bytes.count > 40 ? "…" : "")`")
    }
}

// MARK: - Values

extension RuleText {
    func number(_ part: String, in range: ClosedRange<Int>) throws(RuleError) -> Int {
        guard let value = digits, range.contains(value) else {
            throw unexpected(
                digits == nil ? .syntax : .outOfRange, part,
                "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The set that a list of numbers makes.
    func bits(_ part: String, in range: ClosedRange<Int>) throws(RuleError) -> UInt64 {
        var bits: UInt64 = 0
        for item in split(UInt8(ascii: ",")) { bits |= 1 << UInt64(try item.number(part, in: range)) }
        return bits
    }

    /// Numbers from 1 to `most`, or from -`most` to -1, which count from the end; ascending, each once.
    func signedNumbers(_ part: String, upTo most: Int) throws(RuleError) -> [Int] {
        var numbers: Set<Int> = []
        for item in split(UInt8(ascii: ",")) {
            let (sign, rest) = item.sign
            guard let value = rest.digits, (1...most).contains(value) else {
                throw item.unexpected(
                    rest.digits == nil ? .syntax : .outOfRange, part,
                    "a number from 1 to \(most), or from -\(most) to -1")
            }
            numbers.insert(sign * value)
        }
        return numbers.sorted()
    }

    func weekday(_ part: String, withOrdinal: Bool) throws(RuleError) -> RecurrenceRule.Weekday {
        let (sign, rest) = sign
        let name = RuleText(bytes: rest.bytes.suffix(2)).upper
        let number = RuleText(bytes: rest.bytes.dropLast(2))
        let expected = "one of MO, TU, WE, TH, FR, SA, SU\(withOrdinal ? ", with a number before it or not" : "")"
        guard let day = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"].firstIndex(of: name) else {
            throw unexpected(.syntax, part, expected)
        }
        if number.isEmpty, rest.start == start { return RecurrenceRule.Weekday(ordinal: 0, day: day) }
        guard withOrdinal, let ordinal = number.digits else { throw unexpected(.syntax, part, expected) }
        guard (1...53).contains(ordinal) else {
            throw unexpected(.outOfRange, part, "a number from 1 to 53, or from -53 to -1, before the weekday")
        }
        return RecurrenceRule.Weekday(ordinal: sign * ordinal, day: day)
    }

    /// `20261224T090000`, or with a `Z` behind it; nil for anything else, and for what no calendar has.
    var dateTime: (seconds: Int, isUTC: Bool)? {
        let isUTC = bytes.last == UInt8(ascii: "Z") || bytes.last == UInt8(ascii: "z")
        let text = Array(isUTC ? bytes.dropLast() : bytes)
        guard text.count == 15, text[8] | 0x20 == UInt8(ascii: "t") else { return nil }
        func field(_ range: Range<Int>) -> Int { RuleText(bytes: text[range]).digits ?? -1 }
        guard
            let local = LocalDateTime(
                year: field(0..<4), month: field(4..<6), day: field(6..<8), hour: field(9..<11),
                minute: field(11..<13), second: field(13..<15))
        else { return nil }
        return (local.wallSeconds, isUTC)
    }

    private var sign: (sign: Int, rest: RuleText) {
        switch bytes.first {
        case UInt8(ascii: "-"): (-1, RuleText(bytes: bytes.dropFirst()))
        case UInt8(ascii: "+"): (1, RuleText(bytes: bytes.dropFirst()))
        default: (1, self)
        }
    }

    /// One to nine digits.
    private var digits: Int? {
        guard (1...9).contains(bytes.count), bytes.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return bytes.reduce(0) { $0 * 10 + Int($1 - 48) }
    }
}
