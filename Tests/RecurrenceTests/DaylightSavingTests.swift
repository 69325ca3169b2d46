import Recurrence
import Testing

@Suite("Cron where the clocks are moved")
struct DaylightSavingTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let expression: String
        let zone: String
        var policy = DSTPolicy.vixie
        let after: String
        /// The next occurrences in UTC, up to the minute.
        let fires: [String]
        var testDescription: String { "\(expression) \(zone) \(policy) after \(after)" }
    }

    // New York: 2026-03-08 02:00 EST -> 03:00 EDT (07:00Z); 2026-11-01 02:00 EDT -> 01:00 EST (06:00Z).
    static let newYork = "America/New_York"

    static let gaps: [Example] = [
        Example(
            expression: "30 2 * * *", zone: newYork, after: "2026-03-07T00:00Z",
            fires: ["2026-03-07T07:30Z", "2026-03-08T07:00Z", "2026-03-09T06:30Z"]),
        Example(
            expression: "0,20,40 2 * * *", zone: newYork, after: "2026-03-08T00:00Z",
            fires: ["2026-03-08T07:00Z", "2026-03-09T06:00Z"]),
        // One that lands on a real occurrence is that occurrence.
        Example(
            expression: "0 2,3 * * *", zone: newYork, after: "2026-03-08T00:00Z",
            fires: ["2026-03-08T07:00Z", "2026-03-09T06:00Z", "2026-03-09T07:00Z"]),
        Example(
            expression: "30 2,3 * * *", zone: newYork, after: "2026-03-08T00:00Z",
            fires: ["2026-03-08T07:00Z", "2026-03-08T07:30Z", "2026-03-09T06:30Z"]),
        Example(
            expression: "*/30 2 * * *", zone: newYork, after: "2026-03-08T00:00Z",
            fires: ["2026-03-09T06:00Z", "2026-03-09T06:30Z"]),
        Example(
            expression: "30 * * * *", zone: newYork, after: "2026-03-08T06:00Z",
            fires: ["2026-03-08T06:30Z", "2026-03-08T07:30Z"]),
        Example(
            expression: "30 2 * * *", zone: newYork, policy: .skip, after: "2026-03-07T08:00Z",
            fires: ["2026-03-09T06:30Z"]),
        Example(
            expression: "30 2 * * *", zone: newYork, policy: .literal, after: "2026-03-07T08:00Z",
            fires: ["2026-03-09T06:30Z"]),
        Example(
            expression: "30 2 * * *", zone: newYork, policy: .utc, after: "2026-03-08T00:00Z",
            fires: ["2026-03-08T02:30Z", "2026-03-09T02:30Z"]),
        // Lord Howe jumps 30 minutes: 2026-10-04 02:00 -> 02:30 (2026-10-03T15:30Z).
        Example(
            expression: "15 2 * * *", zone: "Australia/Lord_Howe", after: "2026-10-02T18:00Z",
            fires: ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]),
        // Cairo has no midnight on 2026-04-24: 00:00 -> 01:00 (2026-04-23T22:00Z).
        Example(
            expression: "0 0 * * *", zone: "Africa/Cairo", after: "2026-04-23T00:00Z",
            fires: ["2026-04-23T22:00Z", "2026-04-24T21:00Z"]),
        // The day that does not begin is the day that counts: Friday 24 April.
        Example(
            expression: "0 0 24 4 *", zone: "Africa/Cairo", after: "2026-01-01T00:00Z", fires: ["2026-04-23T22:00Z"]),
        // Kathmandu moved from +05:30 to +05:45 at midnight, 1986-01-01.
        Example(
            expression: "10 0 * * *", zone: "Asia/Kathmandu", after: "1985-12-31T00:00Z",
            fires: ["1985-12-31T18:30Z", "1986-01-01T18:25Z"]),
        // Samoa left out 2011-12-30: 24 hours are not made up.
        Example(
            expression: "0 12 * * *", zone: "Pacific/Apia", after: "2011-12-29T12:00Z",
            fires: ["2011-12-29T22:00Z", "2011-12-30T22:00Z"]),
        Example(
            expression: "0 12 30 12 *", zone: "Pacific/Apia", after: "2011-01-01T00:00Z",
            fires: ["2012-12-29T22:00Z"]),
    ]

    static let repeats: [Example] = [
        Example(
            expression: "30 1 * * *", zone: newYork, after: "2026-11-01T00:00Z",
            fires: ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]),
        Example(
            expression: "0 2 * * *", zone: newYork, after: "2026-11-01T00:00Z",
            fires: ["2026-11-01T07:00Z", "2026-11-02T07:00Z"]),
        Example(
            expression: "30 * * * *", zone: newYork, after: "2026-11-01T05:00Z",
            fires: ["2026-11-01T05:30Z", "2026-11-01T06:30Z", "2026-11-01T07:30Z"]),
        Example(
            expression: "*/30 1 * * *", zone: newYork, after: "2026-11-01T04:00Z",
            fires: ["2026-11-01T05:00Z", "2026-11-01T05:30Z", "2026-11-01T06:00Z", "2026-11-01T06:30Z"]),
        Example(
            expression: "*/30 1 * * *", zone: newYork, policy: .skip, after: "2026-11-01T04:00Z",
            fires: ["2026-11-01T05:00Z", "2026-11-01T05:30Z", "2026-11-02T06:00Z"]),
        Example(
            expression: "30 1 * * *", zone: newYork, policy: .literal, after: "2026-11-01T00:00Z",
            fires: ["2026-11-01T05:30Z", "2026-11-01T06:30Z", "2026-11-02T06:30Z"]),
        // Asked in the middle of the second pass, the first pass is over.
        Example(
            expression: "30 1 * * *", zone: newYork, after: "2026-11-01T06:10Z", fires: ["2026-11-02T06:30Z"]),
        // Lord Howe repeats 30 minutes: 2026-04-05 02:00 -> 01:30 (2026-04-04T15:00Z).
        Example(
            expression: "45 1 * * *", zone: "Australia/Lord_Howe", after: "2026-04-04T12:00Z",
            fires: ["2026-04-04T14:45Z", "2026-04-05T15:15Z"]),
        // Dublin's winter is its daylight saving: 2026-10-25 02:00 IST -> 01:00 GMT (01:00Z).
        Example(
            expression: "30 1 * * *", zone: "Europe/Dublin", after: "2026-10-24T12:00Z",
            fires: ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
        // Alaska went from the Asian to the American side of the date line: 24 hours twice.
        Example(
            expression: "0 12 * * *", zone: "America/Juneau", after: "1867-10-17T00:00Z",
            fires: ["1867-10-17T20:57Z", "1867-10-18T20:57Z", "1867-10-20T20:57Z"]),
    ]

    @Test("gaps", arguments: gaps)
    func gap(_ example: Example) throws { try check(example) }

    @Test("repeats", arguments: repeats)
    func `repeat`(_ example: Example) throws { try check(example) }

    private func check(_ example: Example) throws {
        let recurrence = try cron(example.expression, zone: example.zone, policy: example.policy)
        let after = try instant(example.after.replacing("Z", with: ":00Z"))
        let fires = recurrence.fires(after: after, count: example.fires.count)
        #expect(fires.map { String($0.rfc3339.prefix(16)) + "Z" } == example.fires)
        #expect(recurrence.count(after: after, through: fires.last ?? after) == example.fires.count)
        for fire in fires { #expect(recurrence.latest(through: fire) == fire) }
    }

    @Test("an occurrence that a gap swallows is looked for in later years")
    func swallowed() throws {
        // The second Sunday of March 2027 is the 14th.
        let once = try cron("30 2 14 3 *", zone: "America/New_York", policy: .skip)
        #expect(try once.next(after: instant("2026-03-15T00:00:00Z")).map(brief) == "2028-03-14T06:30:00Z")
    }

    @Test("years that are all swallowed do not hide a later one of another kind")
    func swallowedForLong() throws {
        // 8 March is the second Sunday in all but the last.
        let years = "2026,2037,2043,2048,2054,2065,2071,2076,2082,2093,2094"
        let rare = try cron("0 30 2 8 3 * \(years)", zone: "America/New_York", policy: .skip)
        #expect(try rare.next(after: instant("2026-01-01T00:00:00Z")).map(brief) == "2094-03-08T07:30:00Z")
        #expect(try rare.latest(through: instant("2199-01-01T00:00:00Z")).map(brief) == "2094-03-08T07:30:00Z")
        let never = try cron("0 30 2 8 3 +SUN 2008-2199", zone: "America/New_York", policy: .skip)
        #expect(never.next(after: .earliest) == nil)
        #expect(never.latest(through: .latest) == nil)
        #expect(never.count(after: .earliest, through: .latest) == 0)
    }

    @Test("an expression that a rule swallows for ever has an end to its search, in both directions")
    func swallowedForEver() throws {
        let never = try cron("30 2 8-14 3 +SUN", zone: "America/New_York", policy: .skip)
        let last = try #require(never.latest(through: .latest))
        #expect(brief(last) == "2006-03-12T07:30:00Z")
        #expect(never.next(after: last) == nil)
        for year in ["2007", "2026", "2400", "9990"] {
            #expect(try never.next(after: instant("\(year)-01-01T00:00:00Z")) == nil)
        }
    }
}
