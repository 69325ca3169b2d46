import Recurrence
import SchedulerCore
import Testing

/// The daily 09:00 of a zone whose offset turns out to be another.
@Suite("A timer whose zone got other rules") struct RetimingTests {
    private static func instant(_ text: String) throws -> Instant { try #require(Instant(rfc3339: text)) }

    @Test(
        "Later ones are computed from now on; what is due or claimed stays",
        arguments: [
            // now, next by the old rules, claimed, offset in ms, expected; the new rules say 09:00Z.
            ("2026-11-21T07:00:00Z", "2026-11-21T08:00:00Z", nil, 0, "2026-11-21T09:00:00Z"),
            // What the new rules place into the past does not fire backwards.
            ("2026-11-21T09:30:00Z", "2026-11-21T10:00:00Z", nil, 0, "2026-11-22T09:00:00Z"),
            // Due, and not claimed yet: it stays.
            ("2026-11-21T08:00:00Z", "2026-11-21T08:00:00Z", nil, 0, "2026-11-21T08:00:00Z"),
            ("2026-11-21T08:00:01Z", "2026-11-21T08:00:00Z", nil, 0, "2026-11-21T08:00:00Z"),
            // Claimed ahead: it is not claimed again.
            (
                "2026-11-21T08:59:59Z", "2026-11-22T09:00:00Z", "2026-11-21T09:00:00Z", 0, "2026-11-22T09:00:00Z"
            ),
            // Spread: its nominal instant has passed, its time has not come.
            ("2026-11-21T09:00:10Z", "2026-11-21T09:01:00Z", nil, 60_000, "2026-11-21T09:01:00Z"),
            ("2026-11-21T08:30:00Z", "2026-11-21T10:00:30Z", nil, 30_000, "2026-11-21T09:00:30Z"),
            // No change of the rules is no change of the timer.
            ("2026-11-21T07:00:00Z", "2026-11-21T09:00:00Z", nil, 0, "2026-11-21T09:00:00Z"),
        ] as [(String, String, String?, Int64, String)])
    func moves(now: String, next: String, claimed: String?, offset: Int64, expected: String) throws {
        let recurrence = Recurrence(
            try CronExpression(parsing: "0 9 * * *"), zone: .utc, policy: .vixie, anchor: .earliest)
        let retimed = OccurrenceSource(recurrence: recurrence).retimed(
            try Self.instant(next), offset: offset, lastClaimed: try claimed.map(Self.instant),
            now: try Self.instant(now))
        #expect(retimed == (try Self.instant(expected)))
    }

    @Test("Where end_at leaves no occurrence, none is to come")
    func ends() throws {
        let recurrence = Recurrence(
            try CronExpression(parsing: "0 9 * * *"), zone: .utc, policy: .vixie, anchor: .earliest)
        let source = OccurrenceSource(recurrence: recurrence, last: try Self.instant("2026-11-21T08:30:00Z"))
        let next = try Self.instant("2026-11-21T08:00:00Z")
        #expect(
            source.retimed(next, offset: 0, lastClaimed: nil, now: try Self.instant("2026-11-21T07:00:00Z")) == nil)
    }
}
