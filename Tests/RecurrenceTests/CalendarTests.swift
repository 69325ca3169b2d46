import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Days of the calendar, against a walk over every day")
struct CalendarTests {
    static let zoneNames = [
        "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia", "Europe/Dublin",
        "Africa/Casablanca", "Antarctica/Troll", "Pacific/Chatham",
    ]

    /// What one time on each matching day means in a zone: nothing of segments, masks or jumps.
    private func expected(
        _ days: [RandomDays.Day], hour: Int, minute: Int, zone: ZoneRules, policy: DSTPolicy
    ) throws -> [Instant] {
        let rules = policy == .utc ? ZoneRules.utc : zone
        var fires: [Instant] = []
        for day in days {
            let local = try #require(
                LocalDateTime(year: day.year, month: day.month, day: day.day, hour: hour, minute: minute))
            switch rules.resolve(local) {
            case .unique(let instant): fires.append(instant)
            case .repeated(let first, let second): fires += policy == .literal ? [first, second] : [first]
            case .gap(let after):
                let jump = rules.offsetSeconds(at: after) - rules.offsetSeconds(at: after.adding(milliseconds: -1))
                if policy == .vixie, jump <= 3 * 3600 { fires.append(after) }
            }
        }
        return fires
    }

    @Test("next, latest, count and the years agree", arguments: zoneNames)
    func agrees(zone name: String) throws {
        let zone = try zones.rules(for: name)
        var generator = SeededGenerator(seed: UInt64(name.utf8.count))
        let near = RandomDays.Day.all(2005...2030)
        let every = RandomDays.Day.all(1970...2199)
        var (accepted, total) = (0, 0)
        for round in 0..<60 {
            let random = RandomDays(using: &generator)
            let (hour, minute) = (
                Int.random(in: 0...3, using: &generator), [0, 30, 45].randomElement(using: &generator) ?? 0
            )
            let text = "\(random.years == nil ? "" : "0 ")\(minute) \(hour) \(random.text)"
            let policy = DSTPolicy.allCases[round % 4]
            let all = random.years == nil ? near : every
            let days = all.filter(random.matches)
            let parsed: CronExpression
            do { parsed = try CronExpression(parsing: text) } catch {
                #expect(error.code == .neverMatches && days.isEmpty, "\(text): \(error)")
                continue
            }
            if random.years != nil { #expect(!days.isEmpty, "\(text) never matches") }
            accepted += 1
            let recurrence = Recurrence(parsed, zone: zone, policy: policy, anchor: .earliest)
            let fires = try expected(days, hour: hour, minute: minute, zone: zone, policy: policy)
            total += fires.count
            try compare(recurrence, with: fires, "\(text) \(name) \(policy)", isWhole: random.years != nil, &generator)
        }
        #expect(accepted > 30 && total > 2000, "too few questions to prove anything: \(accepted), \(total)")
    }

    private func compare(
        _ recurrence: Recurrence, with fires: [Instant], _ name: String, isWhole: Bool,
        _ generator: inout SeededGenerator
    ) throws {
        let start = try isWhole ? Instant.earliest : instant("2005-01-02T00:00:00Z")
        let end = try isWhole ? Instant.latest : instant("2030-12-30T00:00:00Z")
        let expected = fires.filter { $0 > start && $0 <= end }
        var found: [Instant] = []
        var cursor = start
        while let next = recurrence.next(after: cursor), next <= end {
            found.append(next)
            cursor = next
        }
        try #require(found == expected, "\(name)")
        #expect(recurrence.count(after: start, through: end) == expected.count, "\(name)")
        var back: [Instant] = []
        cursor = end
        while let last = recurrence.latest(through: cursor), last > start {
            back.append(last)
            cursor = last.adding(milliseconds: -1)
        }
        try #require(back.reversed() == expected, "\(name), backwards")
        for _ in 0..<6 {
            let (first, second) = (
                Int64.random(in: start.milliseconds...end.milliseconds, using: &generator),
                Int64.random(in: start.milliseconds...end.milliseconds, using: &generator)
            )
            let (low, high) = (Instant(milliseconds: min(first, second)), Instant(milliseconds: max(first, second)))
            let next = expected.first { $0 > low }
            if isWhole || next != nil { #expect(recurrence.next(after: low) == next, "\(name) \(low)") }
            #expect(recurrence.count(after: low, through: high) == expected.count { $0 > low && $0 <= high }, "\(name)")
        }
    }

    /// What follows each modifier, from 2026 on.
    static let examples: [(String, [String])] = [
        ("0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("0 0 L-3 * *", ["2026-01-28", "2026-02-25", "2026-03-28"]),
        ("0 0 L-30 * *", ["2026-01-01", "2026-03-01", "2026-05-01"]),
        ("0 0 LW * *", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("0 0 1W * *", ["2026-01-01", "2026-02-02", "2026-03-02"]),
        ("0 0 31W * *", ["2026-01-30", "2026-03-31", "2026-05-29"]),
        ("0 0 * * 5L", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 * * FRIL", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 * * FRI#L", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 ? * 7#1", ["2026-01-04", "2026-02-01", "2026-03-01"]),
        ("0 0 * * MON#5", ["2026-03-30", "2026-06-29", "2026-08-31"]),
        ("0 0 * * MON#1,FRI#L,WED", ["2026-01-05", "2026-01-07", "2026-01-14"]),
        ("0 0 1,L * *", ["2026-01-01", "2026-01-31", "2026-02-01"]),
        ("0 0 13 * +FRI", ["2026-02-13", "2026-03-13", "2026-11-13"]),
        ("0 0 1-7 * +MON", ["2026-01-05", "2026-02-02", "2026-03-02"]),
        ("0 0 L * MON#1", ["2026-01-05", "2026-01-31", "2026-02-02"]),
        ("0 0 * * +MON", ["2026-01-05", "2026-01-12", "2026-01-19"]),
        ("0 0 5 * +*", ["2026-01-05", "2026-02-05", "2026-03-05"]),
        ("0 0 29 2 +MON", ["2044-02-29", "2072-02-29", "2112-02-29"]),
        ("0 0 0 1 1 * 2028-2199/100", ["2028-01-01", "2128-01-01"]),
        ("0 0 0 1 1 * */2", ["2026-01-01", "2028-01-01", "2030-01-01"]),
        ("0 0 0 29 2 ? 1970-2199", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 0 L 12 * 2199", ["2199-12-31"]),
        ("TZ=Europe/Paris 0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31"]),
    ]

    @Test("what each modifier means", arguments: examples)
    func modifiers(text: String, days: [String]) throws {
        let fires = try cron(text).fires(after: instant("2026-01-01T00:00:00Z").adding(milliseconds: -1), count: 3)
        #expect(fires.map { String($0.rfc3339.prefix(10)) } == days)
    }
}
