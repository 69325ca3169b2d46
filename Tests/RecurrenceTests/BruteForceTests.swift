import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Cron against a walk over every minute")
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
        let window = WallClockWindow(zone: zone, around: near)
        var generator = SeededGenerator(seed: UInt64(bitPattern: near.milliseconds))
        var total = 0
        for _ in 0..<24 {
            let random = RandomCron(using: &generator)
            let expression = try CronExpression(parsing: random.text)
            for policy in DSTPolicy.allCases {
                let recurrence = Recurrence(expression, zone: zone, policy: policy, anchor: near)
                let expected = window.fires(of: random, policy: policy)
                total += expected.count
                try compare(recurrence, with: expected, in: window, "\(random.text) \(policy)", using: &generator)
            }
        }
        #expect(total > 500, "the expressions fire too seldom to prove anything")
    }

    private func compare(
        _ recurrence: Recurrence, with expected: [Instant], in window: WallClockWindow, _ name: String,
        using generator: inout SeededGenerator
    ) throws {
        let start = window.minutes[0].instant.adding(milliseconds: -1)
        let end = window.minutes[window.minutes.count - 1].instant
        var fires: [Instant] = []
        var last = start
        while let next = recurrence.next(after: last), next <= end {
            try #require(next > last, "\(name): not strictly later")
            fires.append(next)
            last = next
        }
        try #require(fires == expected, "\(name)")
        for _ in 0..<8 {
            let first = Int64.random(in: start.milliseconds...end.milliseconds, using: &generator)
            let second = Int64.random(in: first...end.milliseconds, using: &generator)
            let (low, high) = (Instant(milliseconds: first), Instant(milliseconds: second))
            let between = expected.filter { $0 > low && $0 <= high }
            #expect(recurrence.count(after: low, through: high) == between.count, "\(name) \(low) \(high)")
            if let latest = between.last { #expect(recurrence.latest(through: high) == latest, "\(name) \(high)") }
            if let next = between.first { #expect(recurrence.next(after: low) == next, "\(name) \(low)") }
        }
    }
}
