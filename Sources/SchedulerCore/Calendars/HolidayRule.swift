package import Recurrence

/// The days that a holiday's rule names: the one place where calendars meet RFC 5545.
package enum HolidayRule {
    /// - Parameter most: more days than these are refused.
    /// - Returns: the days on which its occurrences begin, ascending, through 2199.
    package static func days(of holiday: RecurringHoliday, most: Int) throws(HolidayRuleError) -> [CalendarDay] {
        throw HolidayRuleError(rule: holiday.rule, "recurring holidays are not supported by this version")
    }
}
