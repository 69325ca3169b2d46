import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Cron against a walk over every minute, and every second")
struct BruteForceTests {
    struct Place: Sendable, CustomTestStringConvertible {
        let zone: String
        let near: String
        var testDescription: String { "\(zone) \(near)" }
    }

    static let places = [
        Place(zone: "Australia/Lord_Howe", near: "2026-04-04T15:00:00Z"),
        Place(zone: "Australia/Lord_Howe", near: "2026-10-03T15:30:00Z"),
        Place(zone: "Europe/Dublin", near: "2026-03-29T01:00:00Z"),
        Place(zone: "Europe/Dublin", near: "2026-10-25T01:00:00Z"),
        Place(zone: "Pacific/Apia", near: "2011-12-30T10:00:00Z"),
        Place(zone: "Africa/Cairo", near: "2026-04-23T22:00:00Z"),
        Place(zone: "Africa/Cairo", near: "2026-10-29T21:00:00Z"),
        Place(zone: "Asia/Beirut", near: "2026-03-28T22:00:00Z"),
        Place(zone: "Asia/Beirut", near: "2026-10-24T21:00:00Z"),
        Place(zone: "Africa/Casablanca", near: "2026-02-15T02:00:00Z"),
        Place(zone: "Africa/Casablanca", near: "2026-03-22T02:00:00Z"),
        Place(zone: "Asia/Kathmandu", near: "1985-12-31T18:30:00Z"),
        Place(zone: "Pacific/Chatham", near: "2026-04-04T14:00:00Z"),
        Place(zone: "Pacific/Chatham", near: "2026-09-26T14:00:00Z"),
        Place(zone: "America/New_York", near: "2026-03-08T07:00:00Z"),
        Place(zone: "America/New_York", near: "2426-11-01T06:00:00Z"),
        Place(zone: "Antarctica/Troll", near: "2026-03-29T01:00:00Z"),
        Place(zone: "Antarctica/Troll", near: "2026-10-25T01:00:00Z"),
    ]

    @Test("next, latest and count agree with the walk, under every policy", arguments: places)
    func agrees(_ place: Place) throws {
        let zone = try zones.rules(for: place.zone)
        let near = try instant(place.near)
        // The window must hold what it is for.
        #expect(zone.nextTransition(after: near.adding(milliseconds: -1000))?.instant == near)
        var generator = TestForm.generator(for: "brute force \(place)")
        // Three in four by minutes, the rest by seconds.
        let count = TestForm.count(24, long: 2250)
        let minutes = try #require(WallClockWindow(zone: zone, around: near, tick: 60, reach: 26 * 60))
        try compare(count, in: minutes, &generator)
        // Two hours, which Troll shows twice, and some minutes.
        let seconds = try #require(WallClockWindow(zone: zone, around: near, tick: 1, reach: 7800))
        try compare(count / 3, in: seconds, &generator)
    }

    @Test("they agree at any transition of these zones", arguments: Set(places.map(\.zone)).sorted())
    func agreesAnywhere(name: String) throws {
        let zone = try zones.rules(for: name)
        var generator = TestForm.generator(for: "brute force \(name)")
        var windows = 0
        while windows < TestForm.count(2, long: 40) {
            let years = Int64.random(in: 0..<(130 * 31_556_952_000), using: &generator)
            guard let change = zone.nextTransition(after: Instant(milliseconds: years))?.instant,
                let window = WallClockWindow(zone: zone, around: change, tick: 60, reach: 26 * 60)
            else { continue }
            windows += 1
            try compare(TestForm.count(8, long: 120), in: window, &generator)
        }
    }

    private func compare(_ count: Int, in window: WallClockWindow, _ generator: inout SeededGenerator) throws {
        var total = 0
        var dialect = CronDialect.whole
        // A walk over minutes sees no seconds.
        dialect.keepsToMinutes = window.tick == 60
        if window.tick == 1 { dialect.fieldCounts.removeAll { $0 == 5 } }
        for _ in 0..<count {
            let random = RandomCron(dialect, near: window.middle, using: &generator)
            guard let expression = try parse(random) else { continue }
            for (policy, fires) in window.fires(of: random) {
                let recurrence = Recurrence(
                    expression, zone: window.zone, policy: policy, anchor: Instant(milliseconds: 0))
                total += fires.count
                let name =
                    "\(random.text) \(policy) in \(window.zone.name) from \(brief(window.bounds.before)); "
                    + "TEST_SEED=\(TestForm.seed)"
                try compare(recurrence, with: fires, in: window, name, &generator)
                if policy != .utc { try compareChanges(recurrence, of: random, fires: fires, in: window, name) }
            }
        }
        // A few expressions may by chance be due never, many may not.
        #expect(total > count || !TestForm.isLong || window.tick == 1, "they fire too seldom to prove anything")
    }

    /// Nil for one that is refused since it never matches, which must be true.
    private func parse(_ random: RandomCron) throws -> CronExpression? {
        do {
            return try CronExpression(parsing: random.text, hash: CronDialect.whole.hash)
        } catch {
            try #require(error.code == .neverMatches, "\(error)")
            // 28 years have every kind of year.
            let years = random.years?.sorted() ?? Array(2000..<2028)
            for year in years where random.matchesDay(ofYear: year) {
                throw error
            }
            return nil
        }
    }

    private func compare(
        _ recurrence: Recurrence, with expected: [Instant], in window: WallClockWindow, _ name: String,
        _ generator: inout SeededGenerator
    ) throws {
        let (start, end) = window.bounds
        var fires: [Instant] = []
        var last = start
        // Expressions that fire every second are followed for a while only.
        while fires.count < 2000, let next = recurrence.next(after: last), next <= end {
            try #require(next > last, "\(name): not strictly later")
            fires.append(next)
            last = next
        }
        try #require(fires.elementsEqual(expected.prefix(2000)), "\(name)")
        for _ in 0..<4 {
            let first = Int64.random(in: start.milliseconds...end.milliseconds, using: &generator)
            let second = Int64.random(in: first...end.milliseconds, using: &generator)
            let (low, high) = (Instant(milliseconds: first), Instant(milliseconds: second))
            let between = expected.filter { $0 > low && $0 <= high }
            try #require(recurrence.count(after: low, through: high) == between.count, "\(name) \(low) \(high)")
            if let latest = between.last {
                try #require(recurrence.latest(through: high) == latest, "\(name) \(high)")
            }
            if let next = between.first { try #require(recurrence.next(after: low) == next, "\(name) \(low)") }
        }
    }

    /// What is said of the clocks' changes is what the walk saw.
    private func compareChanges(
        _ recurrence: Recurrence, of cron: RandomCron, fires: [Instant], in window: WallClockWindow, _ name: String
    ) throws {
        for fire in fires.prefix(20) {
            let reading = window.reading(at: fire)
            let expected: ClockChange? =
                !cron.matches(shown: reading.seconds) ? .gap : reading.isRepeated ? .repeat : nil
            try #require(recurrence.clockChange(at: fire) == expected, "\(name): \(fire.rfc3339)")
        }
        let removed = recurrence.removedTimes(after: window.bounds.before, through: window.bounds.end)
        let expected = window.removed(of: cron)
        try #require(removed.map(\.transition.instant) == expected.map(\.at), "\(name)")
        for (times, expected) in zip(removed, expected) {
            let isMadeUp = fires.contains { $0 == times.transition.instant && recurrence.clockChange(at: $0) == .gap }
            try #require(seconds(times.first) == expected.first && seconds(times.last) == expected.last, "\(name)")
            try #require(times.count == expected.count, "\(name)")
            if isMadeUp { try #require(times.isMadeUp, "\(name)") }
        }
    }

    private func seconds(_ local: LocalDateTime) -> Int {
        guard case .unique(let instant) = ZoneRules.utc.resolve(local) else { return .min }
        return Int(instant.milliseconds / 1000)
    }
}
