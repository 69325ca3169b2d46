package import Recurrence

/// The days that a holiday's rule names: the one place where calendars meet RFC 5545.
package enum HolidayRule {
    private static let dayMilliseconds: Int64 = 86_400_000

    /// The day on which a rule starts is one of them, as RFC 5545 says of DTSTART.
    ///
    /// - Parameter most: more days than these are refused.
    /// - Returns: the days on which its occurrences begin, ascending, through 2199.
    package static func days(of holiday: RecurringHoliday, most: Int) throws(HolidayRuleError) -> [CalendarDay] {
        let recurrence = try recurrence(of: holiday)
        var days = [holiday.start]
        var cursor = instant(of: holiday.start)
        while let next = recurrence.next(after: cursor) {
            guard next.milliseconds % dayMilliseconds == 0 else {
                throw HolidayRuleError(
                    rule: holiday.rule, "expected a rule of whole days, but it recurs within a day")
            }
            let day = CalendarDay(number: Int(next.milliseconds / dayMilliseconds))
            guard day.number < DaySet.covered.upperBound else { break }
            guard days.count < most else {
                throw HolidayRuleError(
                    rule: holiday.rule,
                    "expected the rules of a calendar to name at most \(CalendarDefinition.mostRuleDays) days through 2199"
                )
            }
            days.append(day)
            cursor = next
        }
        return days
    }

    /// The rule in a time without zones: a day is its midnight.
    private static func recurrence(of holiday: RecurringHoliday) throws(HolidayRuleError) -> Recurrence {
        do {
            let rule = try RecurrenceRule(parsing: holiday.rule)
            return .rrule(try ZonedRule(rule, zone: .utc, policy: .utc, start: instant(of: holiday.start)))
        } catch {
            throw HolidayRuleError(rule: holiday.rule, error.description)
        }
    }

    private static func instant(of day: CalendarDay) -> Instant {
        Instant(milliseconds: Int64(day.number) * dayMilliseconds)
    }
}
