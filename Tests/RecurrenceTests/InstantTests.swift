import Recurrence
import TestSupport
import Testing

@Suite("Instants and their RFC 3339 spelling")
struct InstantTests {
    @Test(
        "reads timestamps",
        arguments: [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2026-11-21T07:40:00.123456789Z", 1_795_246_800_123),
            ("2026-11-21T08:40:00.1+01:00", 1_795_246_800_100),
            ("2026-11-20T21:55:00-09:45", 1_795_246_800_000),
            ("2026-11-21t07:40:00z", 1_795_246_800_000),
            ("2026-11-21T07:40:00-00:00", 1_795_246_800_000),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999),
        ])
    func reads(text: String, milliseconds: Int64) {
        #expect(Instant(rfc3339: text)?.milliseconds == milliseconds)
        #expect(Instant(rfc3339: "[\(text)]".dropFirst().dropLast())?.milliseconds == milliseconds)
    }

    @Test(
        "refuses everything else",
        arguments: [
            "", "2026", "2026-11-21", "2026-11-21T07:40Z", "2026-11-21T07:40:00", "2026-11-21 07:40:00Z",
            "2026-11-21T07:40:00.Z", "2026-11-21T07:40:00.1234567890Z", "2026-11-21T07:40:00,5Z",
            "2026-11-21T24:00:00Z", "2026-11-21T07:60:00Z", "2026-11-21T23:59:60Z", "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-00T00:00:00Z", "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "2026-11-21T07:40:00+24:00", "2026-11-21T07:40:00+01:60",
            "2026-11-21T07:40:00+0100", "2026-11-21T07:40:00Z ", " 2026-11-21T07:40:00Z", "+026-11-21T07:40:00Z",
            "2026-11-21T07:40:00ZZ", "2026-1-21T07:40:00Z", "٢٠٢٦-11-21T07:40:00Z",
            "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
        ])
    func refuses(text: String) {
        #expect(Instant(rfc3339: text) == nil)
    }

    @Test("writes what it reads, for instants all over the range")
    func roundTrips() {
        var generator = SeededGenerator(seed: 1)
        let range = Instant.earliest.milliseconds...Instant.latest.milliseconds
        let samples = (0..<2000).map { _ in Int64.random(in: range, using: &generator) }
        for milliseconds in samples + [range.lowerBound, range.upperBound, 0, -1, 999] {
            let instant = Instant(milliseconds: milliseconds)
            #expect(instant.rfc3339.utf8.count == 27)
            #expect(Instant(rfc3339: instant.rfc3339) == instant)
            var bytes: [UInt8] = [0x5B]
            instant.appendRFC3339(to: &bytes)
            #expect(String(decoding: bytes, as: UTF8.self) == "[" + instant.rfc3339)
        }
        #expect(Instant(milliseconds: 1_795_246_800_123).rfc3339 == "2026-11-21T07:40:00.123000Z")
    }

    @Test("stays within its range whatever is added")
    func saturates() {
        #expect(Instant(milliseconds: .max) == .latest)
        #expect(Instant(milliseconds: .min) == .earliest)
        #expect(Instant.latest.adding(milliseconds: .max) == .latest)
        #expect(Instant.earliest.adding(milliseconds: .min) == .earliest)
        #expect(Instant(milliseconds: 5).adding(milliseconds: -7).milliseconds == -2)
        #expect(Instant.earliest.milliseconds(since: .latest) == -315_537_897_599_999)
    }

    @Test(
        "reads and writes local times",
        arguments: ["2026-11-21T07:40:00", "2026-11-21T07:40:00.120", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999"])
    func localTimes(text: String) throws {
        #expect(try #require(LocalDateTime(iso8601: text)).iso8601 == text)
        #expect(LocalDateTime(iso8601: text + "Z") == nil)
    }

    @Test("knows the calendar day by day")
    func calendar() throws {
        // An independent walk: one day after the other through leap, century and 400-year rules.
        var (year, month, day, weekday) = (1895, 1, 1, 2)  // A Tuesday.
        var instant = try instant("1895-01-01T00:00:00Z")
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        while year < 2110 {
            let local = ZoneRules.utc.localTime(at: instant)
            guard local.year == year, local.month == month, local.day == day else {
                Issue.record("expected \(year)-\(month)-\(day), got \(local)")
                return
            }
            let expected = try #require(LocalDateTime(year: year, month: month, day: day))
            #expect(ZoneRules.utc.resolve(expected) == .unique(instant))
            if day == 1 {
                let noon = try cron("0 12 * * \(weekday)")
                #expect(noon.next(after: instant) == instant.adding(milliseconds: 12 * 3_600_000))
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            day += 1
            weekday = (weekday + 1) % 7
            if day > lengths[month - 1] + (month == 2 && isLeap ? 1 : 0) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
            instant = instant.adding(milliseconds: 86_400_000)
        }
    }
}
