import TestSupport

/// A random five-field expression together with what it means, worked out without the parser.
struct RandomCron {
    let text: String
    let minutes: Set<Int>
    let hours: Set<Int>
    let days: Set<Int>
    let months: Set<Int>
    /// 0 to 6.
    let weekdays: Set<Int>
    let isWildcard: Bool

    private let dayIsRestricted: Bool
    private let weekdayIsRestricted: Bool

    /// Mostly expressions that fire in the small hours, when clocks are changed.
    init(using generator: inout SeededGenerator) {
        let minute = RandomCron.field(0...59, starChance: 4, using: &generator)
        let hour =
            Bool.random(using: &generator)
            ? RandomCron.field(0...4, starChance: 0, using: &generator)
            : RandomCron.field(0...23, starChance: 2, using: &generator)
        let day = RandomCron.field(1...31, starChance: 7, using: &generator)
        let month = RandomCron.field(1...12, starChance: 8, using: &generator)
        let weekday = RandomCron.field(0...6, starChance: 7, using: &generator)
        text = [minute, hour, day, month, weekday].map(\.text).joined(separator: " ")
        minutes = minute.values
        hours = hour.values
        days = day.values
        months = month.values
        weekdays = weekday.values
        isWildcard = minute.text.hasPrefix("*") || hour.text.hasPrefix("*")
        dayIsRestricted = day.text != "*"
        weekdayIsRestricted = weekday.text != "*"
    }

    func matches(month: Int, day: Int, weekday: Int, hour: Int, minute: Int) -> Bool {
        guard minutes.contains(minute), hours.contains(hour), months.contains(month) else { return false }
        let dayMatches = days.contains(day)
        let weekdayMatches = weekdays.contains(weekday)
        return dayIsRestricted && weekdayIsRestricted ? dayMatches || weekdayMatches : dayMatches && weekdayMatches
    }

    /// `starChance` in ten for `*`; else a value, a range, a step or a list; never the whole range, nor a range of one.
    private static func field(
        _ range: ClosedRange<Int>, starChance: Int, using generator: inout SeededGenerator
    ) -> (text: String, values: Set<Int>) {
        if Int.random(in: 0..<10, using: &generator) < starChance { return ("*", Set(range)) }
        let first = Int.random(in: range, using: &generator)
        let last = Int.random(in: first...range.upperBound, using: &generator)
        let step = Int.random(in: 2...max(2, range.count / 2), using: &generator)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0 where first < last && last - first + 1 < range.count:
            return ("\(first)-\(last)", Set(first...last))
        case 1 where starChance > 0:
            return ("*/\(step)", Set(stride(from: range.lowerBound, through: range.upperBound, by: step)))
        case 2 where first < last:
            return ("\(first)-\(last)/\(step)", Set(stride(from: first, through: last, by: step)))
        case 3:
            return ("\(first),\(last)", [first, last])
        default:
            return ("\(first)", [first])
        }
    }
}
