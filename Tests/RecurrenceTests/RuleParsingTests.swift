import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Recurrence rules are read")
struct RecurrenceRuleParsingTests {
    @Test(
        "what RFC 5545 allows is accepted",
        arguments: [
            "FREQ=DAILY", "freq=weekly;byday=mo,tu;wkst=su", "RRULE:FREQ=MONTHLY;BYDAY=-1FR", "BYHOUR=9;FREQ=DAILY",
            "FREQ=YEARLY;BYWEEKNO=-1,20;BYDAY=MO", "FREQ=YEARLY;BYDAY=+53MO,-53SU", "FREQ=HOURLY;INTERVAL=32767",
            "FREQ=DAILY;UNTIL=20261231T235959Z", "FREQ=DAILY;COUNT=10000", "FREQ=SECONDLY;BYYEARDAY=366,-366",
            "RRULE:FREQ=DAILY\r\nEXDATE:20261224T090000,20261225T080000Z\r\nRDATE:20261226T100000",
            "EXDATE:20261224T090000\nRRULE:FREQ=DAILY\n", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "FREQ=YEARLY;BYMONTHDAY=\((1...31).map { "\($0),-\($0)" }.joined(separator: ","))",
        ])
    func accepts(text: String) throws {
        #expect(try RecurrenceRule(parsing: text).text == text)
    }

    struct Refusal: CustomTestStringConvertible {
        let text: String
        let code: RuleError.Code
        let part: String?
        let offset: Int

        var testDescription: String { text }

        init(_ text: String, _ code: RuleError.Code, _ part: String?, _ offset: Int) {
            self.text = text
            self.code = code
            self.part = part
            self.offset = offset
        }
    }

    @Test(
        "what is refused names the part and the byte",
        arguments: [
            Refusal("", .empty, nil, 0), Refusal("\n\n", .missing, nil, 0), Refusal("DAILY", .syntax, nil, 0),
            Refusal("EXDATE:20261224T090000", .missing, nil, 0), Refusal("RRULE:", .syntax, "RRULE", 6),
            Refusal("FREQ=DAILY;", .syntax, "RRULE", 11), Refusal("INTERVAL=2", .missing, "FREQ", 0),
            Refusal("FREQ=FORTNIGHTLY", .outOfRange, "FREQ", 5),
            Refusal("FREQ=DAILY;FREQ=DAILY", .repeated, "FREQ", 11),
            Refusal("FREQ=DAILY;INTERVAL=0", .outOfRange, "INTERVAL", 20),
            Refusal("FREQ=DAILY;INTERVAL=32768", .outOfRange, "INTERVAL", 20),
            Refusal("FREQ=DAILY;INTERVAL=-1", .syntax, "INTERVAL", 20),
            Refusal("FREQ=DAILY;COUNT=0", .outOfRange, "COUNT", 17),
            Refusal("FREQ=DAILY;COUNT=10001", .outOfRange, "COUNT", 17),
            Refusal("FREQ=DAILY;COUNT=3;UNTIL=20261231T000000Z", .conflict, "UNTIL", 19),
            Refusal("FREQ=DAILY;UNTIL=20261231", .syntax, "UNTIL", 17),
            Refusal("FREQ=DAILY;UNTIL=20261231T000000", .syntax, "UNTIL", 17),
            Refusal("FREQ=DAILY;UNTIL=20260230T000000Z", .syntax, "UNTIL", 17),
            Refusal("FREQ=DAILY;BYHOUR=24", .outOfRange, "BYHOUR", 18),
            Refusal("FREQ=DAILY;BYHOUR=9,", .syntax, "BYHOUR", 20),
            Refusal("FREQ=DAILY;BYSECOND=60", .unsupported, "BYSECOND", 20),
            Refusal("FREQ=MONTHLY;BYMONTHDAY=0", .outOfRange, "BYMONTHDAY", 24),
            Refusal("FREQ=MONTHLY;BYMONTHDAY=32", .outOfRange, "BYMONTHDAY", 24),
            Refusal("FREQ=MONTHLY;BYDAY=54MO", .outOfRange, "BYDAY", 19),
            Refusal("FREQ=MONTHLY;BYDAY=XX", .syntax, "BYDAY", 19),
            Refusal("FREQ=MONTHLY;BYDAY=6MO", .neverMatches, "BYDAY", 13),
            Refusal("FREQ=WEEKLY;BYDAY=1MO", .conflict, "BYDAY", 12),
            Refusal("FREQ=DAILY;WKST=1MO", .syntax, "WKST", 16),
            Refusal("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", .conflict, "BYDAY", 23),
            Refusal("FREQ=MONTHLY;BYWEEKNO=1", .conflict, "BYWEEKNO", 13),
            Refusal("FREQ=DAILY;BYYEARDAY=1", .conflict, "BYYEARDAY", 11),
            Refusal("FREQ=WEEKLY;BYMONTHDAY=1", .conflict, "BYMONTHDAY", 12),
            Refusal("FREQ=DAILY;BYSETPOS=1", .conflict, "BYSETPOS", 11),
            Refusal("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", .neverMatches, "BYMONTHDAY", 22),
            Refusal("RSCALE=GREGORIAN;FREQ=DAILY", .unsupported, "RSCALE", 0),
            Refusal("FREQ=YEARLY;BYEASTER=0", .unsupported, "BYEASTER", 12),
            Refusal("FREQ=DAILY;X-NAME=1", .unsupported, "RRULE", 11),
            Refusal("FREQ=DAILY;DTSTART=20260101T000000", .unsupported, "DTSTART", 11),
            Refusal("DTSTART:20260101T090000\nRRULE:FREQ=DAILY", .unsupported, "DTSTART", 0),
            Refusal("RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY", .repeated, "RRULE", 23),
            Refusal("RRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY", .unsupported, nil, 17),
            Refusal("RRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20261224T090000", .unsupported, "EXDATE", 24),
            Refusal("RRULE:FREQ=DAILY\nEXDATE:20261224", .syntax, "EXDATE", 24),
            Refusal("FREQ=DAILY;BYHOUR=" + String(repeating: "9,", count: 2100) + "9", .tooLong, nil, 4096),
            Refusal(
                "FREQ=DAILY\nRDATE:" + Array(repeating: "20261224T090000", count: 201).joined(separator: ","), .tooLong,
                "RDATE", 17 + 200 * 16),
        ])
    func refuses(refusal: Refusal) throws {
        let error = try #require(throws: RuleError.self) { try RecurrenceRule(parsing: refusal.text) }
        #expect(error.code == refusal.code, "\(error)")
        #expect(error.part == refusal.part, "\(error)")
        #expect(error.offset == refusal.offset, "\(error)")
    }

    @Test("an error is a sentence that says what was expected and what came")
    func sentence() throws {
        let error = try #require(throws: RuleError.self) { try RecurrenceRule(parsing: "FREQ=DAILY;BYHOUR=24") }
        #expect(error.description == "BYHOUR (byte 18) expected a number from 0 to 23, but got `24`.")
    }

    @Test("no text crashes the reader or takes long", .timeLimit(.minutes(1)))
    func fuzz() throws {
        var generator = SeededGenerator(seed: 23)
        let words = [
            "FREQ=", "DAILY", "YEARLY", "MONTHLY", ";", ",", "=", ":", "\n", "BYDAY", "-", "1MO", "SU", "BYSETPOS",
            "366",
            "RRULE", "EXDATE", "RDATE", "20261224T090000", "Z", "UNTIL", "COUNT", "BYWEEKNO", "é", "\u{0}",
            "99999999999",
        ]
        for _ in 0..<10_000 {
            let length = Int.random(in: 0..<14, using: &generator)
            let text = (0..<length).map { _ in words.randomElement(using: &generator) ?? "" }.joined()
            do {
                let rule = try RecurrenceRule(parsing: text)
                #expect(rule.text == text)
            } catch {
                #expect((0...max(text.utf8.count, 1)).contains(error.offset), "\(text): \(error)")
            }
        }
    }
}
