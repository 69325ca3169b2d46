import Recurrence
import SchedulerCore
import TestSupport
import Testing

@Suite("Holidays from iCalendar") struct ICalendarTests {
    private func calendar(_ events: String...) -> String {
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
            + events.map { "BEGIN:VEVENT\r\n\($0.replacing("\n", with: "\r\n"))\r\nEND:VEVENT\r\n" }.joined()
            + "END:VCALENDAR\r\n"
    }

    private func text(_ holiday: Holiday) -> String {
        switch holiday {
        case .days(let days, let name): "\(days.lowerBound) \(days.upperBound) \(name ?? "-")"
        case .rule(let rule):
            "\(rule.rule) \(rule.start) \(rule.length) \(rule.except.map(\.description)) \(rule.name ?? "-")"
        }
    }

    @Test(
        "Whole days are holidays",
        arguments: [
            ("DTSTART;VALUE=DATE:20261225\nSUMMARY:Christmas", ["2026-12-25 2026-12-25 Christmas"]),
            ("DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227", ["2026-12-25 2026-12-26 -"]),
            ("DTSTART:20261225\nDURATION:P1W", ["2026-12-25 2026-12-31 -"]),
            (
                "DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20270101,20280101",
                ["FREQ=YEARLY 2026-01-01 1 [\"2027-01-01\", \"2028-01-01\"] -"]
            ),
            (
                "DTSTART:20261225\nRDATE:20261231,20261226\nEXDATE:20261231",
                ["2026-12-25 2026-12-25 -", "2026-12-26 2026-12-26 -"]
            ),
            ("DTSTART:20261225\nSTATUS:CANCELLED", []),
            ("DTSTART:20261225\nSUMMARY:St. Stephen\\, and\n  so on", ["2026-12-25 2026-12-25 St. Stephen, and so on"]),
            (
                "DTSTART:20261225\nX-A;B=\"c:d\":20260101\nBEGIN:VALARM\nDTSTART:19990101\nEND:VALARM",
                ["2026-12-25 2026-12-25 -"]
            ),
        ])
    func readsEvents(event: String, expected: [String]) throws {
        #expect(try ICalendarText.holidays(in: calendar(event)).map(text) == expected)
    }

    @Test("Lines that end with a line feed alone, and other components, are read over")
    func readsOtherTexts() throws {
        let text =
            "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:X\nEND:VTIMEZONE\nBEGIN:VEVENT\nDTSTART:20260101\nEND:VEVENT\nEND:VCALENDAR\n"
        #expect(try ICalendarText.holidays(in: text).count == 1)
        #expect(try ICalendarText.holidays(in: calendar()).isEmpty)
    }

    @Test(
        "What is no calendar of holidays is refused with its line",
        arguments: [
            ("nonsense", "line 1: expected NAME:value"), ("", "line 1: expected BEGIN:VCALENDAR first"),
            ("BEGIN:VEVENT\nEND:VEVENT", "line 1: expected BEGIN:VCALENDAR first"),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101", "line 3: VEVENT is not ended"),
            ("BEGIN:VCALENDAR\nEND:VEVENT", "line 2: END:VEVENT ends nothing that is open"),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR", "line 2: the event has no DTSTART"),
            (
                "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101T090000Z\nEND:VEVENT\nEND:VCALENDAR",
                "line 3: expected whole days such as DTSTART;VALUE=DATE:20261225, got '20260101T090000Z'"
            ),
            (
                "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260102\nDTEND:20260102\nEND:VEVENT\nEND:VCALENDAR",
                "line 2: expected an event of 1 to 3660 days, got 0"
            ),
            (
                "BEGIN:VCALENDAR\nBEGIN:VEVENT\nRECURRENCE-ID:20260102\nEND:VEVENT\nEND:VCALENDAR",
                "line 3: a change of a single occurrence (RECURRENCE-ID) is not supported"
            ),
            (
                "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDURATION:PT5M\nEND:VEVENT\nEND:VCALENDAR",
                "line 3: expected a DURATION of whole days such as P1D, got 'PT5M'"
            ),
        ])
    func refuses(text: String, expected: String) {
        let error = #expect(throws: ICalendarError.self) { try ICalendarText.holidays(in: text) }
        #expect(error?.description == expected)
    }

    @Test("No text makes the reader fall over", arguments: 0..<4)
    func survives(seed: Int) {
        var random = SeededGenerator(seed: 0x1CA1 + UInt64(seed))
        let parts = [
            "BEGIN:", "END:", "VCALENDAR", "VEVENT", "\n", "\r\n ", "DTSTART", ";", ":", "20260101", "\"", "P", "9999W",
            "DURATION:", "RRULE:", "EXDATE:", ",", "é", "\u{0}", "DTEND:99991231",
        ]
        for _ in 0..<3000 {
            var text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\n"
            for _ in 0..<Int.random(in: 0..<30, using: &random) {
                text += parts[Int.random(in: 0..<parts.count, using: &random)]
            }
            let holidays = (try? ICalendarText.holidays(in: text)) ?? []
            #expect(holidays.count < 30)
        }
    }
}
