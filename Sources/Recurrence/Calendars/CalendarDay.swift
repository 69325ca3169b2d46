/// A day of the calendar, without a time of day or a zone.
package struct CalendarDay: Hashable, Comparable, Sendable {
    /// Days since 1970-01-01, negative before it.
    package let number: Int

    package init(number: Int) { self.number = number }

    /// Reads `2026-12-25`; nil for anything else, and for dates that do not exist.
    package init?(iso8601 text: some StringProtocol) {
        guard text.utf8.count == 10, let local = LocalDateTime(iso8601: text + "T00:00:00") else { return nil }
        self.init(year: local.year, month: local.month, day: local.day)
    }

    /// Reads the basic form that iCalendar has: `20261225`.
    package init?(basic text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 8, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let value = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        guard LocalDateTime(year: value / 10_000, month: value / 100 % 100, day: value % 100) != nil else { return nil }
        self.init(year: value / 10_000, month: value / 100 % 100, day: value % 100)
    }

    private init(year: Int, month: Int, day: Int) {
        number = CivilDate(year: year, month: month, day: day).daysSince1970
    }

    package var weekday: Weekday { Weekday(number: CivilDate.weekday(daysSince1970: number)) }

    package func adding(days: Int) -> CalendarDay { CalendarDay(number: number + days) }

    package static func < (left: CalendarDay, right: CalendarDay) -> Bool { left.number < right.number }
}

extension CalendarDay: CustomStringConvertible {
    /// `2026-12-25`.
    package var description: String {
        String(LocalDateTime(wallSeconds: number * CivilDate.secondsPerDay, millisecond: 0).iso8601.prefix(10))
    }
}
