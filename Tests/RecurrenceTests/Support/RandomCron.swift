import TestSupport

/// A random expression together with what it means, worked out without the parser: a date and a time are compared
/// with each part of it.
struct RandomCron {
    enum DayTerm {
        case value(Int)
        /// The last day, or that many days before it.
        case last(before: Int)
        /// The working day of the month that is nearest to a day.
        case nearestWeekday(to: Int)
        case lastWeekday
    }

    enum WeekdayTerm {
        case value(Int)
        case nth(Int, weekday: Int)
        case last(weekday: Int)
    }

    let text: String
    /// The same with croniter's spelling of the last weekday: `L5` for `5L`.
    let croniterText: String
    /// Indexed by the value.
    let seconds: [Bool]
    let minutes: [Bool]
    let hours: [Bool]
    let months: [Bool]
    let days: [DayTerm]
    let weekdays: [WeekdayTerm]
    /// Nil for any.
    let years: Set<Int>?
    let isWildcard: Bool
    /// Whether the hour is `*`.
    let isHourly: Bool
    let hasSeconds: Bool

    enum DayRule { case both, either }
    let dayRule: DayRule
}

extension RandomCron {
    func matches(_ date: WalkedDate) -> Bool {
        guard months[date.month], years?.contains(date.year) ?? true else { return false }
        let dayMatches = days.contains { matches($0, date) }
        let weekdayMatches = weekdays.contains { matches($0, date) }
        return dayRule == .either ? dayMatches || weekdayMatches : dayMatches && weekdayMatches
    }

    /// Whether a reading of the wall clock matches, in seconds since it showed 1970-01-01T00:00:00.
    func matches(shown: Int) -> Bool {
        let second = (shown % 86_400 + 86_400) % 86_400
        guard seconds[second % 60], minutes[second / 60 % 60], hours[second / 3600] else { return false }
        return matches(WalkedDate(seconds: shown))
    }

    /// Whether any day of a year matches.
    func matchesDay(ofYear year: Int) -> Bool {
        var date = WalkedDate(newYear: year)
        while date.year == year {
            if matches(date) { return true }
            date.advance()
        }
        return false
    }

    private func matches(_ term: DayTerm, _ date: WalkedDate) -> Bool {
        switch term {
        case .value(let day): date.day == day
        case .last(let before): date.day == date.lastDay - before
        case .nearestWeekday(let day): date.day == date.workingDay(nearestTo: day)
        case .lastWeekday: date.day == date.workingDay(nearestTo: date.lastDay)
        }
    }

    private func matches(_ term: WeekdayTerm, _ date: WalkedDate) -> Bool {
        switch term {
        case .value(let weekday): date.weekday == weekday
        case .nth(let n, let weekday): date.weekday == weekday && (date.day - 1) / 7 + 1 == n
        case .last(let weekday): date.weekday == weekday && date.day + 7 > date.lastDay
        }
    }
}

/// A day of the calendar that is reached by counting days up from another one.
struct WalkedDate {
    private(set) var year: Int
    private(set) var month: Int
    private(set) var day: Int
    /// 0 is Sunday.
    private(set) var weekday: Int

    /// The calendar repeats after 400 years, weekdays included, so the walk to any day begins in its cycle.
    init(daysSince1970 days: Int) {
        let cycles = (days - (days < 0 ? 146_096 : 0)) / 146_097
        (year, month, day, weekday) = (1970 + 400 * cycles, 1, 1, 4)
        var rest = days - cycles * 146_097
        while rest >= lastDay {
            rest -= lastDay
            weekday = (weekday + lastDay) % 7
            month += 1
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        day += rest
        weekday = (weekday + rest) % 7
    }

    /// The day of a reading of the wall clock, in seconds since it showed 1970-01-01T00:00:00.
    init(seconds: Int) {
        self.init(daysSince1970: (seconds - (seconds % 86_400 + 86_400) % 86_400) / 86_400)
    }

    /// 1 January, found by counting the days of the years since 1970, or up to it.
    init(newYear year: Int) {
        let isLeap = { (year: Int) in year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) }
        let years = year < 1970 ? year..<1970 : 1970..<year
        let days = years.reduce(0) { $0 + (isLeap($1) ? 366 : 365) }
        self.init(daysSince1970: year < 1970 ? -days : days)
    }

    mutating func advance() {
        weekday = (weekday + 1) % 7
        day += 1
        guard day > lastDay else { return }
        (day, month) = (1, month + 1)
        if month > 12 { (year, month) = (year + 1, 1) }
    }

    var lastDay: Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) ? 29 : 28
        default: 31
        }
    }

    /// The day of this month from Monday to Friday that is nearest to a day of it; nil if the month lacks that day.
    func workingDay(nearestTo wanted: Int) -> Int? {
        guard wanted <= lastDay else { return nil }
        let working = (1...lastDay).filter { (1...5).contains((weekday + ($0 - day) % 7 + 7) % 7) }
        return working.min { abs($0 - wanted) < abs($1 - wanted) }
    }
}
