/// A rule that has begun, in a zone: the instants at which it recurs.
///
/// The rule recurs in local time, as if clocks were never moved; `dst_policy` then says what becomes of readings that
/// a clock jumps over or shows twice, by the same rules as for cron. A rule of hours, minutes or seconds is
/// *wildcard*, any other is *fixed*, whatever its `BYHOUR` lists.
///
/// Immutable; a reference to share.
package final class ZonedRule: Sendable {
    package let rule: RecurrenceRule
    package let zone: ZoneRules
    package let policy: DSTPolicy
    /// `DTSTART`, at a whole second.
    package let start: Instant
    package let includesStart: Bool
    let readings: ZonedReadings
    private let until: Int
    private let excluded: [Int]
    private let added: [Int]

    /// - Parameters:
    ///   - start: what stands in for `DTSTART`; read on the zone's clock, to the whole second before it.
    ///   - includesStart: whether a rule that matches its start recurs there, and counts it.
    /// - Throws: `neverMatches`.
    package init(
        _ rule: RecurrenceRule, zone: ZoneRules, policy: DSTPolicy = .vixie, start: Instant, includesStart: Bool = true
    ) throws(RuleError) {
        let zone = policy == .utc ? .utc : zone
        self.rule = rule
        self.zone = zone
        self.policy = policy
        self.start = Instant(milliseconds: Int64(start.wholeSeconds) * 1000)
        self.includesStart = includesStart
        let reading = start.wholeSeconds + zone.segment(at: start.wholeSeconds).offset
        let pattern = try RulePattern(rule, start: reading, includesStart: includesStart)
        readings = ZonedReadings(pattern, zone: zone, policy: policy)
        until = rule.until ?? Instant.latestSecond
        excluded = rule.excluded.instants
        added = rule.added.instants.filter { $0 >= start.wholeSeconds }
    }
}

extension ZonedRule: Hashable {
    package static func == (left: ZonedRule, right: ZonedRule) -> Bool {
        left === right
            || (left.rule == right.rule && left.zone == right.zone && left.policy == right.policy
                && left.start == right.start && left.includesStart == right.includesStart)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(rule)
        hasher.combine(start)
    }
}

extension ZonedRule {
    /// The first occurrence at or after a second since 1970.
    func next(from start: Int) -> Int? {
        var start = start
        // Each turn but the last meets an excluded instant.
        for _ in 0...excluded.count {
            let byRule = start <= until ? readings.next(from: start).flatMap { $0 <= until ? $0 : nil } : nil
            let byDate = added.first { $0 >= start }
            guard let found = [byRule, byDate].compactMap(\.self).min() else { return nil }
            if !excluded.contains(found) { return found }
            start = found + 1
        }
        return nil
    }

    /// The last occurrence at or before a second since 1970.
    func previous(from end: Int) -> Int? {
        var end = end
        for _ in 0...excluded.count {
            let byRule = readings.previous(from: min(end, until))
            let byDate = added.last { $0 <= end }
            guard let found = [byRule, byDate].compactMap(\.self).max() else { return nil }
            if !excluded.contains(found) { return found }
            end = found - 1
        }
        return nil
    }

    /// How many occurrences lie in `start..<end`, in seconds since 1970.
    func count(from start: Int, before end: Int) -> Int {
        guard start < end else { return 0 }
        func isOfRule(_ second: Int) -> Bool { second <= until && readings.next(from: second) == second }
        let range = start..<end
        let more = added.count { range.contains($0) && !excluded.contains($0) && !isOfRule($0) }
        let fewer = excluded.count { range.contains($0) && isOfRule($0) }
        return readings.count(from: start, before: min(end, until + 1)) + more - fewer
    }

    /// In seconds, of the first ``periodsLookedAt`` occurrences; nil where there is one at most.
    var shortestPeriod: Int? {
        var shortest: Int?
        var last = next(from: start.wholeSeconds)
        for _ in 0..<ZonedRule.periodsLookedAt {
            guard let begin = last, let next = next(from: begin + 1) else { break }
            shortest = min(shortest ?? .max, next - begin)
            // A second is the least there is.
            if shortest == 1 { break }
            last = next
        }
        return shortest
    }

    /// Some years of a daily rule, changes of the clocks included.
    private static let periodsLookedAt = 1500
}
