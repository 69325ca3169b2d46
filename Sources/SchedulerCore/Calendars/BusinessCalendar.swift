package import Recurrence

/// Days that a calendar takes out.
package enum Holiday: Hashable, Sendable {
    case days(ClosedRange<CalendarDay>, name: String?)
    /// Each occurrence of an RFC 5545 rule begins `length` days, but for those that begin on an excepted one.
    case rule(RecurringHoliday)
}

package struct RecurringHoliday: Hashable, Sendable {
    package var rule: String
    package var start: CalendarDay
    package var length: Int
    package var except: [CalendarDay]
    package var name: String?

    package init(rule: String, start: CalendarDay, length: Int = 1, except: [CalendarDay] = [], name: String? = nil) {
        self.rule = rule
        self.start = start
        self.length = length
        self.except = except
        self.name = name
    }
}

/// What a business calendar says: the weekdays that are worked, and the days that are not.
package struct CalendarDefinition: Hashable, Sendable {
    /// The most entries that a calendar keeps.
    package static let mostHolidays = 2000
    /// The most days that its rules may name, all together, through the year 2199.
    package static let mostRuleDays = 100_000
    /// A calendar that has no business day for longer than this in a row moves nothing anywhere useful.
    package static let longestClosure = 366

    package var workingDays = Weekdays.mondayToFriday
    package var holidays: [Holiday] = []

    package init() {}
}

/// A calendar made ready to be asked: its business days, and all days but its holidays.
package struct BusinessCalendar: Hashable, Sendable {
    /// The working weekdays that are no holidays: what `only_on` means.
    package let businessDays: DaySet
    /// Every day that is no holiday: what `not_on` means.
    package let notHolidays: DaySet

    /// - Throws: a rule that cannot be read, or that names more days than are kept.
    package init(_ definition: CalendarDefinition) throws(HolidayRuleError) {
        var open = DaySet(.all)
        var named = 0
        for holiday in definition.holidays {
            switch holiday {
            case .days(let days, _): open.remove(days)
            case .rule(let rule):
                let starts = try HolidayRule.days(of: rule, most: CalendarDefinition.mostRuleDays - named)
                named += starts.count
                let except = Set(rule.except)
                for start in starts where !except.contains(start) {
                    open.remove(start...start.adding(days: max(0, rule.length - 1)))
                }
            }
        }
        notHolidays = open
        businessDays = open.intersection(DaySet(definition.workingDays))
    }
}

/// A holiday's rule that means nothing here, with a sentence that says what was expected and what came.
package struct HolidayRuleError: Error, Hashable, Sendable, CustomStringConvertible {
    package let rule: String
    package let description: String

    package init(rule: String, _ description: String) {
        self.rule = rule
        self.description = description
    }
}
