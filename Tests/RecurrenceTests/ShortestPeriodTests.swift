import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("The shortest time between two occurrences")
struct ShortestPeriodTests {
    /// Expression, zone, seconds.
    static let examples: [(String, String, Int64)] = [
        ("* * * * *", "UTC", 60), ("* * * * * *", "America/New_York", 1), ("*/7 * * * *", "UTC", 240),
        ("0,30 * * * *", "UTC", 1800), ("50 59 * * * *", "UTC", 3600), ("10,50 0,59 * * * *", "UTC", 20),
        ("0 0,22 * * *", "UTC", 7200), ("0 12 * * *", "UTC", 86_400), ("59 23 31 12 *", "UTC", 365 * 86_400),
        ("0 0 1 * *", "UTC", 28 * 86_400), ("0 0 31 * *", "UTC", 31 * 86_400), ("0 0 29 2 *", "UTC", 1461 * 86_400),
        ("0 0 L * *", "UTC", 28 * 86_400), ("0 0 * * MON#1", "UTC", 28 * 86_400), ("0 0 13 * +FRI", "UTC", 28 * 86_400),
        ("0 0 29 2 +MON", "UTC", 4382 * 86_400), ("0 0 1,L * *", "UTC", 86_400),
        ("0 0 0 1 1 * */2", "UTC", 730 * 86_400), ("0 0 0 L 2 * 2027,2030", "UTC", 1096 * 86_400),
        ("0 0 8-14 * +SUN", "UTC", 28 * 86_400), ("0 0 12 * * * 2026", "America/New_York", 82_800),
        ("0 0 * * MON,THU", "UTC", 3 * 86_400), ("0 0 13 * FRI", "UTC", 86_400),
        // A day of 23 hours, and what was made up at its gap's end.
        ("0 12 * * *", "America/New_York", 82_800), ("30 2 * * *", "America/New_York", 84_600),
        ("30 2,3 * * *", "America/New_York", 1800), ("59 1,2 * * *", "America/New_York", 60),
        // Lord Howe repeats half an hour: a wildcard expression sees 1:45 twice.
        ("45 * * * *", "Australia/Lord_Howe", 1800),
    ]

    @Test("is exact", arguments: examples)
    func exact(text: String, zone: String, seconds: Int64) throws {
        #expect(try cron(text, zone: zone).shortestPeriodMilliseconds == seconds * 1000)
    }

    @Test("is never undercut", arguments: DSTPolicy.allCases)
    func bound(policy: DSTPolicy) throws {
        var generator = SeededGenerator(seed: 19)
        for zone in ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Antarctica/Troll"] {
            let rules = try zones.rules(for: zone)
            for _ in 0..<15 {
                let random = RandomCron(using: &generator)
                let recurrence = try cron(random.text, zone: zone, policy: policy)
                let period = try #require(recurrence.shortestPeriodMilliseconds)
                let year = Int64.random(in: 0..<60, using: &generator) * 31_556_952_000
                let change = try #require(rules.nextTransition(after: Instant(milliseconds: year))).instant
                let fires = recurrence.fires(after: change.adding(milliseconds: -10_000_000), count: 100)
                for (earlier, later) in zip(fires, fires.dropFirst()) {
                    #expect(later.milliseconds(since: earlier) >= period, "\(random.text) \(zone) \(earlier)")
                }
            }
        }
    }

    @Test("intervals have their period, a single occurrence has none")
    func others() {
        let anchor = Instant(milliseconds: 0)
        #expect(Recurrence.interval(periodMilliseconds: 1500, anchor: anchor).shortestPeriodMilliseconds == 1500)
        #expect(Recurrence.once(anchor).shortestPeriodMilliseconds == nil)
    }

    @Test("an expression that fires once has none")
    func single() throws {
        #expect(try cron("0 0 0 1 1 * 2030", zone: "America/New_York").shortestPeriodMilliseconds == nil)
        #expect(try cron("0 0 0 29 2 * 2096-2103").shortestPeriodMilliseconds == nil)
    }
}
