import Foundation
import Recurrence
import TestSupport
import Testing
import ZoneData

/// Recurrence rules against python-dateutil: some hundreds in each run, 20,000 with `make test-long`.
@Suite("Recurrence rules against python-dateutil", .timeLimit(.minutes(10)))
struct RuleOracleTests {
    struct Question: Encodable {
        let lines: String
        let start: Int64
        let after: Int64
        let count: Int

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            try list.encode(lines)
            try list.encode(start)
            try list.encode(after)
            try list.encode(count)
        }
    }

    struct Case {
        let question: Question
        let zone: String
        /// Readings of the zone's clock at our occurrences, in seconds.
        let expected: [Int64]
    }

    static var rounds: Int { ProcessInfo.processInfo.environment["LONG_TESTS"] == "1" ? 20_000 : 700 }

    @Test("readings equal dateutil's, away from transitions; where it differs by design is told in the script")
    func fires() async throws {
        var generator = SeededGenerator(seed: 11)
        var cases: [Case] = []
        // Rules without an occurrence near, or near a transition, ask nothing: others are drawn for them.
        for _ in 0..<(6 * Self.rounds) where cases.count < Self.rounds {
            if let found = try randomCase(using: &generator) { cases.append(found) }
        }
        try #require(cases.count >= Self.rounds * 9 / 10, "too few questions to prove anything")
        let answers = try await Oracle(script: "rrule_fires.py").ask(cases.map(\.question), as: [Int64].self)
        try #require(answers.count == cases.count)
        for (found, answer) in zip(cases, answers) {
            let question = found.question
            #expect(
                found.expected == answer,
                "\(question.lines) from \(question.start) in \(found.zone) after \(question.after)")
        }
    }

    private func randomCase(using generator: inout SeededGenerator) throws -> Case? {
        let zone =
            ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Dublin"]
            .randomElement(using: &generator) ?? "UTC"
        let rules = try zones.rules(for: zone)
        let random = RandomRule(using: &generator)
        let year: Int64 = 365 * 86_400_000
        var start = Instant(milliseconds: Int64.random(in: 20 * year...60 * year, using: &generator) / 1000 * 1000)
        if random.isShorterThanDay {
            // dateutil would walk to the first occurrence for long, so these begin shortly before one.
            guard let rule = try? rrule(random.text, start: start.rfc3339, zone: zone),
                let first = rule.next(after: start)
            else { return nil }
            start = first.adding(milliseconds: -1000 * Int64.random(in: 0...90, using: &generator))
        }
        let reach = Self.reach(of: random.frequency)
        var after = start.adding(milliseconds: Int64.random(in: -86_400_000...(reach / 2), using: &generator))
        if random.hasPositions, random.frequency == "WEEKLY", after.milliseconds(since: start) < 7 * 86_400_000 {
            after = start.adding(milliseconds: 7 * 86_400_000)
        }
        let text = try lines(of: random, start: start, zone: rules, after: after, using: &generator)
        guard let text,
            let rule = try? ZonedRule(RecurrenceRule(parsing: text), zone: rules, policy: .literal, start: start)
        else { return nil }
        let fires = Recurrence.rrule(rule).fires(after: after, count: 4)
        // An end within sight is asked about too: COUNT and UNTIL must stop both.
        guard let last = fires.last, last.milliseconds(since: start) < reach,
            zone == "UTC" || isCalm(rules, from: after, through: last)
        else { return nil }
        let question = Question(
            lines: text, start: reading(start, rules), after: reading(after, rules), count: max(fires.count, 4))
        return Case(question: question, zone: zone, expected: fires.map { reading($0, rules) })
    }

    /// How far from the start dateutil is asked, in milliseconds: it walks all the way, some 100,000 steps a second.
    private static func reach(of frequency: String) -> Int64 {
        switch frequency {
        case "SECONDLY": 2 * 3_600_000
        case "MINUTELY": 3 * 86_400_000
        case "HOURLY": 90 * 86_400_000
        default: 10 * 365 * 86_400_000
        }
    }

    /// The rule, and for some an end, an excluded occurrence and two added ones.
    private func lines(
        of random: RandomRule, start: Instant, zone: ZoneRules, after: Instant, using generator: inout SeededGenerator
    ) throws -> String? {
        guard
            let rule = try? ZonedRule(RecurrenceRule(parsing: random.text), zone: zone, policy: .literal, start: start)
        else { return nil }
        let fires = Recurrence.rrule(rule).fires(after: after, count: 4)
        guard let second = fires.dropFirst().first else { return random.text }
        switch Int.random(in: 0..<6, using: &generator) {
        case 0 where !random.hasCount && zone.name == "UTC":
            return "\(random.text);UNTIL=\(compact(fires[fires.count - 1], zone))Z"
        case 1:
            let added = [-1000, 5000].map { compact(second.adding(milliseconds: $0), zone) }.joined(separator: ",")
            return "RRULE:\(random.text)\nEXDATE:\(compact(second, zone))\nRDATE:\(added)"
        default: return random.text
        }
    }

    private func reading(_ instant: Instant, _ zone: ZoneRules) -> Int64 {
        // Rounded towards the past, as the questions about whole seconds need it.
        Int64((Double(instant.milliseconds) / 1000).rounded(.down)) + Int64(zone.offsetSeconds(at: instant))
    }

    /// `20261121T074000`, as the zone's clock shows it.
    private func compact(_ instant: Instant, _ zone: ZoneRules) -> String {
        let local = instant.adding(milliseconds: Int64(zone.offsetSeconds(at: instant)) * 1000)
        return String(local.rfc3339.prefix(19).filter { $0 != "-" && $0 != ":" })
    }

    /// Whether no clock is moved between a day before `start` and a day after `end`.
    private func isCalm(_ rules: ZoneRules, from start: Instant, through end: Instant) -> Bool {
        guard let next = rules.nextTransition(after: start.adding(milliseconds: -86_400_000)) else { return true }
        return next.instant > end.adding(milliseconds: 86_400_000)
    }
}
