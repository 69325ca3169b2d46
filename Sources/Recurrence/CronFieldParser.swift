/// Reads one field: a list of items, each `*`, a value or a range, with an optional step on `*` or a range.
struct CronFieldParser {
    let field: CronField
    let word: CronWord
    private var position: Int

    init(_ field: CronField, word: CronWord) {
        self.field = field
        self.word = word
        position = word.offset
    }

    /// The values as bits, and the number of list items.
    mutating func parse() throws(CronError) -> (mask: UInt64, items: Int) {
        var mask: UInt64 = 0
        var items = 0
        repeat {
            mask |= try item()
            items += 1
        } while skip(",")
        guard isAtEnd else { throw unexpected("`,` or the end of the field") }
        if field == .dayOfWeek, mask.hasBit(7) {
            mask = (mask | 1).bits(before: 7)
        }
        return (mask, items)
    }

    private mutating func item() throws(CronError) -> UInt64 {
        let start = position
        if skip("*") {
            return try stepped(field.everything, from: start)
        }
        if current == UInt8(ascii: "/") {
            throw bareStep(from: start)
        }
        let first = try value()
        guard skip("-") else {
            guard current == UInt8(ascii: "/") else { return 1 << UInt64(first) }
            throw stepOnValue(first, from: start)
        }
        // Sunday ends a week that begins with any other day: `FRI-SUN` is 5-7.
        let isSundayLast = field == .dayOfWeek && name == "SUN" && first > 0
        let named = try value()
        let last = isSundayLast ? 7 : named
        guard first <= last else { throw reversed(first, last, from: start) }
        return try stepped(first...last, from: start)
    }

    /// The bits of a range, of every *n*th value if a step follows.
    private mutating func stepped(_ range: ClosedRange<Int>, from start: Int) throws(CronError) -> UInt64 {
        var step = 1
        if skip("/") {
            let stepStart = position
            guard let number = number() else { throw unexpected("a step, a number from 1 on") }
            guard number > 0 else {
                throw error(
                    .step, at: stepStart, "a step from 1 on", found: "`0`",
                    suggestion: text(from: start, to: stepStart - 1))
            }
            // A step beyond the range leaves its first value, as OCPS has it; 64 is beyond every range.
            step = min(number, 64)
        }
        var mask: UInt64 = 0
        for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { mask |= 1 << UInt64(value) }
        return mask
    }

    private mutating func value() throws(CronError) -> Int {
        let start = position
        if let number = number() {
            guard field.values.contains(number) else {
                throw error(.outOfRange, at: start, field.expectation, found: "`\(text(from: start, to: position))`")
            }
            return number
        }
        let name = name
        if let index = field.valueNames.firstIndex(of: name) {
            position += name.utf8.count
            return field.values.lowerBound + index
        }
        if let short = field.valueNames.first(where: { name.hasPrefix($0) }) {
            throw error(.syntax, at: start, field.expectation, found: "`\(name)`", suggestion: short)
        }
        throw unexpected(field.expectation)
    }

    /// Nil without a digit; numbers too long to be any value become `Int.max`.
    private mutating func number() -> Int? {
        let digits = word.bytes[position...].prefix { decimalDigit($0) != nil }
        if digits.isEmpty { return nil }
        position += digits.count
        return Int(String(decoding: digits, as: UTF8.self)) ?? .max
    }

    /// The name that begins here, in capitals; empty without letters.
    private var name: String {
        String(decoding: word.bytes[position...].prefix { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A }, as: UTF8.self)
            .uppercased()
    }

    private var isAtEnd: Bool { position == word.bytes.endIndex }

    private var current: UInt8? { isAtEnd ? nil : word.bytes[position] }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private func text(from start: Int, to end: Int) -> String {
        String(decoding: word.bytes[start..<end], as: UTF8.self)
    }
}

// MARK: - Errors

extension CronFieldParser {
    /// Letters and signs with a meaning in other dialects, and what they mean there.
    private static let foreign: [UInt8: String] = [
        UInt8(ascii: "L"): "last day", UInt8(ascii: "W"): "nearest weekday", UInt8(ascii: "#"): "nth weekday",
        UInt8(ascii: "?"): "no value", UInt8(ascii: "H"): "hashed value", UInt8(ascii: "+"): "both day fields",
    ]

    private func error(
        _ code: CronError.Code, at offset: Int, _ expected: String, found: String, suggestion: String? = nil
    ) -> CronError {
        CronError(code: code, field: field, offset: offset, expected: expected, found: found, suggestion: suggestion)
    }

    private func unexpected(_ expected: String) -> CronError {
        guard let current else { return error(.syntax, at: position, expected, found: "the end of the field") }
        let rest = String(decoding: word.bytes[position...], as: UTF8.self)
        let upper = current >= 0x61 && current <= 0x7A ? current - 0x20 : current
        if let meaning = CronFieldParser.foreign[upper] {
            let suggestion = current == UInt8(ascii: "?") ? "*" : nil
            return error(
                .unsupported, at: position, expected, found: "`\(rest)` (\(meaning)), which is not supported",
                suggestion: suggestion)
        }
        return error(.syntax, at: position, expected, found: "`\(rest)`")
    }

    /// `/30`: the step stands on nothing.
    private func bareStep(from start: Int) -> CronError {
        let rest = String(decoding: word.bytes[start...].prefix { $0 != UInt8(ascii: ",") }, as: UTF8.self)
        return error(
            .step, at: start, "`*` or a range before the step", found: "`\(rest)`", suggestion: "*" + rest)
    }

    /// `5/15`: some read it as 5 and every 15th after it, others as 5 alone.
    private func stepOnValue(_ first: Int, from start: Int) -> CronError {
        let item = word.bytes[start...].prefix { $0 != UInt8(ascii: ",") }
        let step = String(decoding: word.bytes[position..<item.endIndex], as: UTF8.self)
        let suggestion = "\(first)-\(max(field.everything.upperBound, first))\(step)"
        return error(
            .step, at: start, "`*` or a range before the step", found: "`\(String(decoding: item, as: UTF8.self))`",
            suggestion: suggestion)
    }

    /// `22-2`: two ranges, up to the greatest value and from the least one on.
    private func reversed(_ first: Int, _ last: Int, from start: Int) -> CronError {
        let highest = field.values.upperBound
        // Sunday is 7 at the end of a range, so that a week's second part begins with Monday.
        let lowest = field == .dayOfWeek ? 1 : field.values.lowerBound
        let upper = first == highest ? "\(first)" : "\(first)-\(highest)"
        let lower = last <= lowest ? "\(last)" : "\(lowest)-\(last)"
        let suggestion = field == .dayOfWeek && last == 0 ? upper : "\(upper),\(lower)"
        return error(
            .reversedRange, at: start, "a range that rises", found: "`\(text(from: start, to: position))`",
            suggestion: suggestion)
    }
}
