import Recurrence
import SchedulerCore
import Testing

@Suite("Business calendars") struct BusinessCalendarTests {
    private func day(_ text: String) throws -> CalendarDay { try #require(CalendarDay(iso8601: text)) }

    @Test("Business days are working weekdays that are no holidays; not_on asks for holidays alone")
    func days() throws {
        var definition = CalendarDefinition()
        definition.holidays = [.days(try day("2026-12-24")...day("2026-12-27"), name: nil)]
        let calendar = try BusinessCalendar(definition)
        for (text, isBusiness, isNoHoliday) in [
            ("2026-12-23", true, true), ("2026-12-24", false, false), ("2026-12-26", false, false),
            ("2026-12-28", true, true), ("2027-01-02", false, true),
        ] {
            #expect(try calendar.businessDays.contains(day(text)) == isBusiness, "\(text)")
            #expect(try calendar.notHolidays.contains(day(text)) == isNoHoliday, "\(text)")
        }
    }

    @Test(
        "Recurring holidays: each occurrence begins its days, the start is one, exceptions are none",
        arguments: [
            (
                "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25", "2020-12-25", 2, [],
                ["2020-12-25", "2026-12-25", "2026-12-26", "2199-12-25"], ["2019-12-25", "2026-12-27"]
            ),
            ("FREQ=YEARLY;COUNT=2", "2026-05-01", 1, [], ["2026-05-01", "2027-05-01"], ["2028-05-01"]),
            ("FREQ=YEARLY", "2026-05-01", 1, ["2027-05-01"], ["2026-05-01", "2028-05-01"], ["2027-05-01"]),
            // Thanksgiving; the start is a holiday although the rule does not name it.
            (
                "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "2026-01-01", 1, [], ["2026-01-01", "2026-11-26", "2027-11-25"],
                ["2027-01-01"]
            ),
        ])
    func recurring(
        rule: String, start: String, length: Int, except: [String], holidays: [String], others: [String]
    ) throws {
        var definition = CalendarDefinition()
        definition.holidays = [
            .rule(RecurringHoliday(rule: rule, start: try day(start), length: length, except: try except.map(day)))
        ]
        let calendar = try BusinessCalendar(definition)
        for text in holidays { #expect(try !calendar.notHolidays.contains(day(text)), "\(text)") }
        for text in others { #expect(try calendar.notHolidays.contains(day(text)), "\(text)") }
    }

    @Test(
        "A rule that no calendar can hold is refused",
        arguments: ["FREQ=HOURLY", "FREQ=SOMETIMES", "", "FREQ=DAILY;BYHOUR=9"])
    func refusesRules(rule: String) throws {
        var definition = CalendarDefinition()
        definition.holidays = [.rule(RecurringHoliday(rule: rule, start: try day("2026-01-01")))]
        #expect(throws: HolidayRuleError.self) { try BusinessCalendar(definition) }
        // Every day of 230 years, twice over.
        definition.holidays = Array(
            repeating: .rule(RecurringHoliday(rule: "FREQ=DAILY", start: try day("1970-01-01"))), count: 2)
        #expect(throws: HolidayRuleError.self) { try BusinessCalendar(definition) }
    }

    @Test("A timing names the calendars it needs, and says which one is missing")
    func placement() throws {
        var timing = Timing(type: .interval)
        timing.intervalMilliseconds = 3_600_000
        let source = try timing.source(anchor: dawn, hash: 0, zones: { _ in .utc })
        let free = try timing.placement(of: source, zones: { _ in .utc }, calendars: [:])
        #expect(free == nil)
        timing.constraint.onlyOn = try CalendarName("de")
        let error = #expect(throws: TimingError.self) {
            try timing.placement(of: source, zones: { _ in .utc }, calendars: [:])
        }
        #expect(error?.field == "only_on")
        let calendars = [try CalendarName("de"): try BusinessCalendar(CalendarDefinition())]
        let placement = try #require(try timing.placement(of: source, zones: { _ in .utc }, calendars: calendars))
        // dawn is a Saturday.
        #expect(placement.firstFiring(after: at(0)) == at(2 * 86_400))
    }
}
