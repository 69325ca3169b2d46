import Recurrence
import TestSupport

/// Random day, month, weekday and year fields with `L`, `W`, `#`, `+` and `?`, together with what they mean, worked out
/// from the calendar without the parser.
struct RandomDays {
    /// One item of the day-of-month field.
    private enum MonthDay {
        case any
        case range(ClosedRange<Int>, step: Int)
        case last(before: Int)
        case nearest(Int)
        case lastWorkingDay
    }

    /// One item of the day-of-week field; Sunday is 0.
    private enum Weekday {
        case any
        case every(Int)
        case nth(Int, Int)
        case last(Int)
    }

    /// A day as the calendar has it.
    struct Day {
        let year: Int
        let month: Int
        let day: Int
        let length: Int
        let weekday: Int

        /// The days of some years, in order.
        static func all(_ years: ClosedRange<Int>) -> [Day] {
            var days: [Day] = []
            guard let start = LocalDateTime(year: years.lowerBound, month: 1, day: 1) else { return [] }
            // 1 January 1970 was a Thursday.
            guard case .unique(let first) = ZoneRules.utc.resolve(start) else { return [] }
            var number = Int(first.milliseconds / 86_400_000)
            for year in years {
                let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
                for (month, usual) in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].enumerated() {
                    let length = month == 1 && isLeap ? 29 : usual
                    for day in 1...length {
                        let weekday = ((number + 4) % 7 + 7) % 7
                        days.append(Day(year: year, month: month + 1, day: day, length: length, weekday: weekday))
                        number += 1
                    }
                }
            }
            return days
        }
    }

    let text: String
    /// Nil for none.
    let years: ClosedRange<Int>?
    private let monthDays: [MonthDay]
    private let weekdays: [Weekday]
    private let months: Set<Int>
    private let isAnd: Bool

    init(using generator: inout SeededGenerator) {
        let names = ["SUN", "Mon", "tue", "3", "THU", "FRI", "6"]
        func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
        var (days, dayText): ([MonthDay], String) = ([.any], number(0...1) == 0 ? "*" : "?")
        switch number(0...9) {
        case 0: (days, dayText) = ([.lastWorkingDay], "LW")
        case 1:
            let day = number(1...31)
            (days, dayText) = ([.nearest(day)], "\(day)W")
        case 2...5:
            let before = number(0...9)
            let first = number(1...31)
            let range = first...number(first...31)
            let step = number(1...9)
            days = [.range(range, step: step), .last(before: before)]
            dayText = "\(range.lowerBound)-\(range.upperBound)/\(step),\(before == 0 ? "L" : "L-\(before)")"
        default: break
        }
        var (chosen, weekdayText): ([Weekday], String) = ([.any], number(0...1) == 0 ? "*" : "?")
        switch number(0...5) {
        case 0, 1:
            let (day, last, week) = (number(0...6), number(0...6), number(1...5))
            chosen = [.nth(day, week), .last(last)]
            weekdayText = "\(names[day])#\(week),\(names[last])\(number(0...1) == 0 ? "L" : "#L")"
        case 2:
            let (first, second) = (number(0...6), number(0...6))
            chosen = [.every(first), .every(second)]
            weekdayText = "\(first == 0 ? "7" : names[first]),\(names[second])"
        default: break
        }
        isAnd = number(0...1) == 0
        let month = number(1...12)
        months = number(0...1) == 0 ? [month] : Set(1...12)
        let first = number(1970...2199)
        years = number(0...2) == 0 ? first...min(2199, first + number(0...60)) : nil
        monthDays = days
        weekdays = chosen
        let year = years.map { " \($0.lowerBound)-\($0.upperBound)" } ?? ""
        text = "\(dayText) \(months.count == 1 ? "\(month)" : "*") \(isAnd ? "+" : "")\(weekdayText)\(year)"
    }

    func matches(_ day: Day) -> Bool {
        guard months.contains(day.month), years?.contains(day.year) ?? true else { return false }
        let (byDay, byWeekday) = (
            monthDays.contains { matches($0, day) }, weekdays.contains { matches($0, day) }
        )
        if case .any = weekdays[0] { return byDay }
        if case .any = monthDays[0] { return byWeekday }
        return isAnd ? byDay && byWeekday : byDay || byWeekday
    }

    private func matches(_ item: MonthDay, _ day: Day) -> Bool {
        func isWorkingDay(_ other: Int) -> Bool {
            let weekday = ((day.weekday + other - day.day) % 7 + 7) % 7
            return (1...5).contains(weekday)
        }
        switch item {
        case .any: return true
        case .range(let range, let step): return range.contains(day.day) && (day.day - range.lowerBound) % step == 0
        case .last(let before): return day.day == day.length - before
        case .lastWorkingDay:
            return isWorkingDay(day.day) && !(day.day + 1..<day.length + 1).contains(where: isWorkingDay)
        case .nearest(let wanted):
            guard wanted <= day.length else { return false }
            let candidates = [0, -1, 1, -2, 2].map { wanted + $0 }.filter { (1...day.length).contains($0) }
            return candidates.first(where: isWorkingDay) == day.day
        }
    }

    private func matches(_ item: Weekday, _ day: Day) -> Bool {
        switch item {
        case .any: true
        case .every(let weekday): day.weekday == weekday
        case .nth(let weekday, let week): day.weekday == weekday && (day.day + 6) / 7 == week
        case .last(let weekday): day.weekday == weekday && day.day > day.length - 7
        }
    }
}
