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

    @Test("A timing names the calendars it needs, and says which one is missing")
    func placement() throws {
        var timing = Timing(type: .interval)
        timing.intervalMilliseconds = 3_600_000
        let source = try timing.source(anchor: dawn, zones: { _ in .utc })
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
