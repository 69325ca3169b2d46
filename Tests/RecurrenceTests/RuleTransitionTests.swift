import Recurrence
import TestSupport
import Testing
import ZoneData

/// Recurrence rules where clocks are moved, against a reference that asks the zone about each reading by itself.
@Suite("Recurrence rules across transitions", .timeLimit(.minutes(2)))
struct RuleTransitionTests {
    private static let hard = [
        "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "Africa/Casablanca", "Antarctica/Troll",
        "Europe/Dublin", "Pacific/Chatham", "America/Santiago", "Asia/Beirut",
    ]

    @Test("what fires around a transition is what each reading resolves to", arguments: DSTPolicy.allCases, Self.hard)
    func transitions(policy: DSTPolicy, zone: String) throws {
        var generator = SeededGenerator(seed: 41)
        let rules = try zones.rules(for: zone)
        var compared = 0
        var transition = try #require(rules.nextTransition(after: try instant("2005-06-01T00:00:00Z"))).instant
        for _ in 0..<24 {
            let text = Self.rule(using: &generator)
            let window =
                transition.adding(milliseconds: -30 * 3_600_000)...transition.adding(milliseconds: 30 * 3_600_000)
            let start = window.lowerBound.adding(
                milliseconds: -Int64.random(in: 3...40, using: &generator) * 86_400_000)
            let rule = Recurrence.rrule(
                try ZonedRule(RecurrenceRule(parsing: text), zone: rules, policy: policy, start: start))
            let expected = try reference(text, rules, policy, start: start, in: window)
            let before = window.lowerBound.adding(milliseconds: -1)
            let fires = rule.fires(after: before, count: expected.count + 1).filter(window.contains)
            let comment = Comment(rawValue: "\(text) from \(start) across \(transition)")
            #expect(fires == expected, comment)
            #expect(rule.count(after: before, through: window.upperBound) == expected.count, comment)
            if let last = expected.last { #expect(rule.latest(through: window.upperBound) == last, comment) }
            compared += expected.count
            guard let next = rules.nextTransition(after: transition) else { break }
            transition = next.instant
        }
        #expect(compared > 20)
    }

    /// Mostly rules that recur in the hours in which clocks are moved.
    private static func rule(using generator: inout SeededGenerator) -> String {
        let minute = Int.random(in: 0...59, using: &generator)
        let hours = "\(Int.random(in: 0...3, using: &generator)),\(Int.random(in: 0...23, using: &generator))"
        return [
            "FREQ=DAILY;BYHOUR=\(hours);BYMINUTE=\(minute),\((minute + 17) % 60)",
            "FREQ=DAILY;BYHOUR=0,1,2,3,23;BYMINUTE=0,30;BYSECOND=0", "FREQ=HOURLY;BYMINUTE=0,\(minute)",
            "FREQ=HOURLY;INTERVAL=5", "FREQ=MINUTELY;INTERVAL=\(minute + 7);BYHOUR=0,1,2,3",
            "FREQ=WEEKLY;BYDAY=SA,SU,MO;BYHOUR=1,2;BYMINUTE=0,\(minute);BYSETPOS=1,-1",
            "FREQ=MONTHLY;BYHOUR=0,2,3;BYMINUTE=\(minute);BYMONTHDAY=\((1...31).map(String.init).joined(separator: ","))",
        ].randomElement(using: &generator) ?? "FREQ=DAILY"
    }

    private func reference(
        _ text: String, _ zone: ZoneRules, _ policy: DSTPolicy, start: Instant, in window: ClosedRange<Instant>
    ) throws -> [Instant] {
        // In UTC the rule's readings are its instants: begun at what the zone's clock shows at the start, it gives them.
        func reading(_ instant: Instant) -> Instant {
            policy == .utc ? instant : instant.adding(milliseconds: Int64(zone.offsetSeconds(at: instant)) * 1000)
        }
        let rule = Recurrence.rrule(try ZonedRule(RecurrenceRule(parsing: text), zone: .utc, start: reading(start)))
        let day: Int64 = 86_400_000
        var last = reading(window.lowerBound).adding(milliseconds: -2 * day)
        var found: Set<Instant> = []
        while let next = rule.next(after: last), next < reading(window.upperBound).adding(milliseconds: 2 * day) {
            found.formUnion(
                instants(of: next, zone, policy, isFixed: !text.contains("LY;INTERVAL") && !text.contains("HOURLY")))
            last = next
        }
        return found.filter(window.contains).sorted()
    }

    private func instants(of reading: Instant, _ zone: ZoneRules, _ policy: DSTPolicy, isFixed: Bool) -> [Instant] {
        if policy == .utc { return [reading] }
        let isFirstPassOnly = policy == .skip || (policy == .vixie && isFixed)
        switch zone.resolve(ZoneRules.utc.localTime(at: reading)) {
        case .unique(let instant): return [instant]
        case .repeated(let first, let second): return isFirstPassOnly ? [first] : [first, second]
        case .gap(let firstValid):
            let before = firstValid.adding(milliseconds: -1)
            let length = zone.offsetSeconds(at: firstValid) - zone.offsetSeconds(at: before)
            return policy == .vixie && isFixed && length <= 3 * 3600 ? [firstValid] : []
        }
    }
}
