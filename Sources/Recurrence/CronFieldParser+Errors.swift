// What was wrong in a field, and what was probably meant.
extension CronFieldParser {
    /// Signs with a meaning elsewhere in the expression, and where that is.
    private static let modifiers: [UInt8: String] = [
        UInt8(ascii: "L"): "`L` (last) belongs to the day fields",
        UInt8(ascii: "W"): "`W` (nearest weekday) follows one day of the month",
        UInt8(ascii: "#"): "`#` (nth weekday) follows a weekday", UInt8(ascii: "?"): "`?` belongs to the day fields",
        UInt8(ascii: "H"): "`H` (hashed value) is an item of its own",
        UInt8(ascii: "+"): "`+` (both day fields) begins the day-of-week field",
        UInt8(ascii: "~"): "random values are not supported, hashed ones are",
    ]

    func error(
        _ code: CronError.Code, at offset: Int, _ expected: String, found: String, suggestion: String? = nil
    ) -> CronError {
        CronError(code: code, field: field, offset: offset, expected: expected, found: found, suggestion: suggestion)
    }

    func unexpected(_ expected: String) -> CronError {
        guard let current else { return error(.syntax, at: position, expected, found: "the end of the field") }
        let rest = text(from: position, to: word.bytes.endIndex)
        let capital = isLetter(current) ? current & ~0x20 : current
        guard let meaning = CronFieldParser.modifiers[capital] else {
            return error(.syntax, at: position, expected, found: "`\(rest)`")
        }
        guard current == capital else { return lowercased(expected, rest) }
        var suggestion: String?
        if current == UInt8(ascii: "?") { suggestion = "*" }
        if current == UInt8(ascii: "~") { suggestion = tilde() }
        if field == .dayOfWeek, word.bytes.elementsEqual("L".utf8) {
            return error(.modifier, at: position, "a weekday in front of `L`, such as `FRI#L`", found: "`L`")
        }
        return error(.modifier, at: position, expected, found: "`\(rest)`; \(meaning)", suggestion: suggestion)
    }

    /// `l`, `w` and `h`: modifiers are capitals, unlike names (OCPS 1.3 §4).
    private func lowercased(_ expected: String, _ rest: String) -> CronError {
        let item = itemText(at: position)
        let isName = item.utf8.allSatisfy(isLetter) && item.utf8.count > 2
        return error(
            .syntax, at: position, expected, found: "`\(rest)`",
            suggestion: isName || field == .year ? nil : item.uppercased())
    }

    /// `0~30`: a random value of a range in other dialects.
    private func tilde() -> String? {
        let parts = itemText(at: position).split(separator: "~", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = Int(parts[0]), let last = Int(parts[1]), first <= last, field != .year,
            field.values.contains(first), field.values.contains(last)
        else { return nil }
        return "H(\(first)-\(last))"
    }

    /// A word that is none of the field's names.
    func unknownName() -> CronError {
        let letters = word.bytes[position...].prefix(while: isLetter)
        let name = String(decoding: letters, as: UTF8.self)
        let capitals = name.uppercased()
        if letters.count > 2, let short = field.valueNames.first(where: { capitals.hasPrefix($0) }) {
            return error(.syntax, at: position, field.expectation, found: "`\(name)`", suggestion: short)
        }
        let rest = text(from: position, to: word.bytes.endIndex)
        if letters.count > 2, field == .dayOfWeek || field == .year, rest.contains("/") || capitals == rest {
            return error(
                .syntax, at: position, field.expectation,
                found: "`\(rest)`; a time zone is no field of the expression, it stands in front as `CRON_TZ=…`")
        }
        return unexpected(field.expectation)
    }

    func outOfRange(_ number: Int, at start: Int) -> CronError {
        let suggestion: String? =
            switch field {
            case .second, .minute: number == 60 ? "0" : nil
            case .hour: number == 24 ? "0" : nil
            case .year: number < 100 ? String(2000 + number) : nil
            default: nil
            }
        return error(
            .outOfRange, at: start, field.expectation, found: "`\(text(from: start, to: position))`",
            suggestion: suggestion)
    }

    /// `/30`: the step stands on nothing.
    func bareStep(from start: Int) -> CronError {
        let item = itemText(at: start)
        return error(
            .step, at: start, "`*` or a range before the step", found: "`\(item)`", suggestion: "*" + item)
    }

    /// `5/15`: some read it as 5 and every 15th after it, others as 5 alone.
    func stepOnValue(_ first: Int, from start: Int) -> CronError {
        let item = itemText(at: start)
        let step = item.utf8.drop { $0 != UInt8(ascii: "/") }
        return error(
            .step, at: start, "`*` or a range before the step", found: "`\(item)`",
            suggestion: "\(first)-\(max(field.everything.upperBound, first))\(Substring(step))")
    }

    /// A step of 0; `position` is behind it.
    func zeroStep(from start: Int, at stepStart: Int) -> CronError {
        error(
            .step, at: stepStart, "a step from 1 on", found: "`0`", suggestion: text(from: start, to: stepStart - 1))
    }

    /// `22-2`: two ranges, up to the greatest value and from the least one on. `position` is behind the range.
    func reversed(_ first: Int, _ last: Int, from start: Int) -> CronError {
        error(
            .reversedRange, at: start, "a range that rises", found: "`\(text(from: start, to: position))`",
            suggestion: field == .year ? "\(last)-\(first)" : wrapped(first, last))
    }

    private func wrapped(_ first: Int, _ last: Int) -> String {
        let highest = field.values.upperBound
        // Sunday is 7 at the end of a range, so that a week's second part begins with Monday.
        let lowest = field == .dayOfWeek ? 1 : field.values.lowerBound
        let upper = first == highest ? "\(first)" : "\(first)-\(highest)"
        let lower = last <= lowest ? "\(last)" : "\(lowest)-\(last)"
        return field == .dayOfWeek && last == 0 ? upper : "\(upper),\(lower)"
    }

    /// `H(29-0)`; one range is all that `H` takes.
    func reversedHash(_ first: Int, _ last: Int, from start: Int) -> CronError {
        error(
            .reversedRange, at: start, "a range that rises", found: "`\(first)-\(last)`",
            suggestion: "H(\(last)-\(first))")
    }

    /// `1-15W`, `MON-FRI#2`: a modifier concerns one day. `position` is behind the range.
    func modifiedRange(from start: Int) -> CronError {
        error(
            .modifier, at: start, "one day in front of `\(text(from: position, to: position + 1))`",
            found: "`\(itemText(at: start))`")
    }

    /// `1,15W`: OCPS 1.3 §4.3 has `W` stand alone.
    func nearestInList(from start: Int) -> CronError {
        error(
            .modifier, at: start, "`W` with its day alone in the field", found: "`\(word.text)`",
            suggestion: result.nearestWeekday == CronPattern.lastWeekday ? "LW" : "\(result.nearestWeekday)W")
    }

    func text(from start: Int, to end: Int) -> String {
        String(decoding: word.bytes[start..<end], as: UTF8.self)
    }

    /// The list item that a position lies in.
    private func itemText(at position: Int) -> String {
        let comma = UInt8(ascii: ",")
        let start = word.bytes[..<position].lastIndex(of: comma).map { $0 + 1 } ?? word.bytes.startIndex
        return String(decoding: word.bytes[start...].prefix { $0 != comma }, as: UTF8.self)
    }
}
