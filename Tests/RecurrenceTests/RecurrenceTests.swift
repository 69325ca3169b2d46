import Recurrence
import TestSupport
import Testing

@Suite("Recurrences as sets of instants")
struct RecurrenceTests {
    @Test(
        "cron in UTC",
        arguments: [
            ("* * * * *", "2026-11-21T07:40:00Z", "2026-11-21T07:41:00Z"),
            ("* * * * *", "2026-11-21T07:39:59.999Z", "2026-11-21T07:40:00Z"),
            ("* * * * * *", "2026-11-21T07:40:00Z", "2026-11-21T07:40:01Z"),
            ("30 * * * * *", "2026-11-21T07:40:30.001Z", "2026-11-21T07:41:30Z"),
            ("59 59 23 31 12 *", "2026-11-21T00:00:00Z", "2026-12-31T23:59:59Z"),
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
            ("0 0 29 2 *", "1896-03-01T00:00:00Z", "1904-02-29T00:00:00Z"),
            ("0 12 1 * MON", "2026-11-21T00:00:00Z", "2026-11-23T12:00:00Z"),
            ("0 12 1 * MON", "2026-11-30T12:00:00Z", "2026-12-01T12:00:00Z"),
            ("0 0 */2 * MON", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"),
            ("0 0 30 2 MON", "2026-11-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("0 9 * * MON-FRI", "2026-11-20T09:00:00Z", "2026-11-23T09:00:00Z"),
            ("15 10 * * *", "0001-01-01T00:00:00Z", "0001-01-01T10:15:00Z"),
            ("0 0 1 1 *", "9998-12-31T00:00:00Z", "9999-01-01T00:00:00Z"),
        ])
    func inUTC(text: String, after: String, next: String) throws {
        #expect(try cron(text).next(after: instant(after)).map(brief) == next)
    }

    @Test("ends with the year 9999 and begins with the year 1", arguments: ["UTC", "Pacific/Apia", "America/New_York"])
    func ends(zone: String) throws {
        let daily = try cron("0 0 1 1 *", zone: zone)
        let last = try #require(daily.latest(through: .latest))
        #expect(daily.next(after: last) == nil)
        #expect(daily.next(after: .latest) == nil)
        let first = try #require(daily.next(after: .earliest))
        #expect(daily.latest(through: first.adding(milliseconds: -1)).map { $0 == .earliest } ?? true)
        // One a year: 9,998 or 9,999 of them, depending on the zone's side of UTC.
        #expect((9997...9999).contains(daily.count(after: .earliest, through: .latest)))
    }

    @Test(
        "count equals counting, and latest undoes next",
        arguments: [
            "*/7 * * * *", "0 3 * * *", "30 2 * * SUN", "0 0 31 * *", "0 0 13 * FRI", "15,45 1-3 * 3,11 *",
            "0 0 29 2 *", "*/20 */5 2 * * *",
        ],
        ["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Gaza"])
    func countsByArithmetic(text: String, zone: String) throws {
        var generator = SeededGenerator(seed: 7)
        let from = try instant("1971-01-01T00:00:00Z").milliseconds
        let to = try instant("2480-01-01T00:00:00Z").milliseconds
        for policy in DSTPolicy.allCases {
            let recurrence = try cron(text, zone: zone, policy: policy)
            let start = Instant(milliseconds: Int64.random(in: from...to, using: &generator))
            let fires = recurrence.fires(after: start, count: 120)
            for (index, fire) in fires.enumerated() {
                #expect(recurrence.count(after: start, through: fire) == index + 1)
                #expect(recurrence.latest(through: fire) == fire)
                let justBefore = fire.adding(milliseconds: -1)
                #expect(recurrence.count(after: start, through: justBefore) == index)
                if index > 0 { #expect(recurrence.latest(through: justBefore) == fires[index - 1]) }
            }
        }
    }

    @Test("a count over centuries is the sum of its parts")
    func countIsAdditive() throws {
        var generator = SeededGenerator(seed: 11)
        let range = Instant.earliest.milliseconds...Instant.latest.milliseconds
        for text in ["* * * * * *", "0 0 * * *", "30 2 * * 1-5", "*/10 1 1,15 * SAT"] {
            let recurrence = try cron(text, zone: "Europe/Dublin")
            for _ in 0..<5 {
                let cuts = (0..<3).map { _ in Int64.random(in: range, using: &generator) }.sorted()
                    .map { Instant(milliseconds: $0) }
                let parts =
                    recurrence.count(after: cuts[0], through: cuts[1])
                    + recurrence.count(after: cuts[1], through: cuts[2])
                #expect(recurrence.count(after: cuts[0], through: cuts[2]) == parts)
            }
        }
        let perSecond = try cron("* * * * * *")
        #expect(perSecond.count(after: .earliest, through: .latest) == 315_537_897_599)
        #expect(perSecond.count(after: .latest, through: .earliest) == 0)
    }

    @Test("intervals keep to their anchor")
    func intervals() throws {
        let anchor = try instant("2026-11-21T07:40:00.250Z")
        let series = Recurrence.interval(periodMilliseconds: 1500, anchor: anchor)
        #expect(series.next(after: .earliest) == anchor)
        #expect(series.next(after: anchor.adding(milliseconds: -1)) == anchor)
        #expect(series.next(after: anchor) == anchor.adding(milliseconds: 1500))
        #expect(series.next(after: anchor.adding(milliseconds: 1499)) == anchor.adding(milliseconds: 1500))
        #expect(series.latest(through: anchor.adding(milliseconds: -1)) == nil)
        #expect(series.latest(through: anchor) == anchor)
        #expect(series.latest(through: anchor.adding(milliseconds: 4000)) == anchor.adding(milliseconds: 3000))
        #expect(series.count(after: .earliest, through: anchor) == 1)
        #expect(series.count(after: anchor, through: anchor.adding(milliseconds: 3000)) == 2)
        #expect(series.fires(after: anchor, count: 3).map { $0.milliseconds(since: anchor) } == [1500, 3000, 4500])
        let last = try #require(series.latest(through: .latest))
        #expect(series.next(after: last) == nil)
        #expect(series.count(after: last, through: .latest) == 0)
        let endless = Recurrence.interval(periodMilliseconds: .max, anchor: anchor)
        #expect(endless.next(after: anchor) == nil)
        #expect(endless.count(after: .earliest, through: .latest) == 1)
    }

    @Test("once is once")
    func once() throws {
        let moment = try instant("2026-11-21T07:40:00.250Z")
        let before = moment.adding(milliseconds: -1)
        let once = Recurrence.once(moment)
        #expect(once.next(after: before) == moment)
        #expect(once.next(after: moment) == nil)
        #expect(once.latest(through: before) == nil)
        #expect(once.latest(through: moment) == moment)
        #expect(once.count(after: before, through: moment) == 1)
        #expect(once.count(after: moment, through: .latest) == 0)
        #expect(once.fires(after: .earliest, count: 5) == [moment])
    }
}
