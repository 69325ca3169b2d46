import Recurrence

/// Where croniter and cronsim answer something else than the rule that is expected of them: by design or by mistake.
/// `docs/time-differences.md` tells each with an example.
enum KnownDifference: String, CaseIterable {
    /// croniter makes up what a gap leaves out for every expression but those with `*` for the hour; our wildcard
    /// expressions have nothing made up.
    case wildcardMadeUp = "croniter makes up for wildcards"
    /// Both make up gaps of any length, the day that Apia lost included; ours end at three hours.
    case longGap = "gaps over three hours are made up"
    /// croniter steps over a gap by whole minutes and keeps the second: 03:00:38 for what ours makes up at 03:00:00.
    case secondKept = "croniter keeps the second of what it makes up"
    /// cronsim steps by elapsed hours from the hour's beginning, and misses part of the hour that follows a transition of
    /// half an hour, or one at 02:45.
    case hourSteps = "cronsim steps by whole hours"
    /// cronsim begins each day at 00:00, also where the clock goes from 23:59 to 01:00, and then misses part of the hour.
    case midnightGap = "cronsim begins a day at a midnight that a gap left out"
    /// cronsim forgets the pass of a repeat it is asked in: its answer to a fixed expression can be before the question.
    case askedInSecondPass = "cronsim is asked in the second pass of a repeat"
}

extension KnownDifference {
    /// The class that an answer falls into; nil for a difference that nobody has explained.
    init?(_ question: CronOracle.Question, expected: [Int], answer: CronOracle.Answer) {
        guard case .fires(let fires) = answer else { return nil }
        let end = max(fires.max() ?? 0, expected.max() ?? 0)
        let transitions = question.transitions(through: end)
        let gaps = transitions.filter { $0.offsetAfter > $0.offsetBefore }
        switch question.oracle {
        case .croniter:
            self.init(croniter: question.cron, expected: expected, fires: fires, gaps: gaps)
        case .cronsim:
            self.init(cronsim: question, expected: expected, fires: fires, transitions: transitions)
        }
    }

    private init?(croniter cron: RandomCron, expected: [Int], fires: [Int], gaps: [ZoneTransition]) {
        // Without what happens at the ends of gaps the two are the same.
        let isAtGap = { (second: Int) in gaps.contains { (0..<60).contains(second - $0.seconds) } }
        let extra = Set(fires).subtracting(expected)
        guard !extra.isEmpty, extra.allSatisfy(isAtGap), Self.agree(fires, expected, except: isAtGap) else { return nil }
        let missing = expected.filter { $0 < fires[fires.count - 1] && !fires.contains($0) }
        if missing.isEmpty {
            if gaps.contains(where: { $0.isLong && extra.contains($0.seconds) || $0.isLong && cron.hasSeconds }) {
                self = .longGap
            } else if cron.isWildcard {
                self = .wildcardMadeUp
            } else {
                return nil
            }
        } else if cron.hasSeconds, missing.allSatisfy(isAtGap) {
            self = .secondKept
        } else {
            return nil
        }
    }

    private init?(
        cronsim question: CronOracle.Question, expected: [Int], fires: [Int], transitions: [ZoneTransition]
    ) {
        let isFixed = !question.cron.isWildcard && !question.cron.hasSeconds
        let gaps = transitions.filter { $0.offsetAfter > $0.offsetBefore }
        if isFixed {
            let isAtLongGap = { (second: Int) in gaps.contains { $0.isLong && $0.seconds == second } }
            if question.isInSecondPass {
                self = .askedInSecondPass
            } else if fires.contains(where: isAtLongGap), Self.agree(fires, expected, except: isAtLongGap) {
                self = .longGap
            } else {
                return nil
            }
        } else if transitions.contains(where: { !$0.isAtWholeHour && $0.isNear(fires, expected) }) {
            self = .hourSteps
        } else if gaps.contains(where: { $0.leavesOutMidnight && $0.isNear(fires, expected) }) {
            self = .midnightGap
        } else {
            return nil
        }
    }

    /// Whether two ascending lists are the same as far as both go, some seconds left out.
    private static func agree(_ left: [Int], _ right: [Int], except isLeftOut: (Int) -> Bool) -> Bool {
        zip(left.filter { !isLeftOut($0) }, right.filter { !isLeftOut($0) }).allSatisfy(==)
    }
}

extension CronOracle.Question {
    /// The changes of the offset from a day before the question on.
    fileprivate func transitions(through end: Int) -> [ZoneTransition] {
        var transitions: [ZoneTransition] = []
        var last = start.adding(milliseconds: -86_400_000)
        while let next = zone.nextTransition(after: last), next.seconds <= end {
            transitions.append(next)
            last = next.instant
        }
        return transitions
    }

    fileprivate var isInSecondPass: Bool {
        guard case .repeated(_, let second) = zone.resolve(zone.localTime(at: start)) else { return false }
        return second == start
    }
}

extension ZoneTransition {
    /// Seconds since 1970.
    fileprivate var seconds: Int { Int(instant.milliseconds / 1000) }

    fileprivate var isLong: Bool { offsetAfter - offsetBefore > 3 * 3600 }

    fileprivate var isAtWholeHour: Bool {
        (seconds + offsetBefore) % 3600 == 0 && (offsetAfter - offsetBefore) % 3600 == 0
    }

    fileprivate var leavesOutMidnight: Bool {
        let (first, end) = (seconds + offsetBefore, seconds + offsetAfter)
        return first % 86_400 == 0 || first / 86_400 < end / 86_400
    }

    /// Whether the first difference of two answers lies within a day after this.
    fileprivate func isNear(_ fires: [Int], _ expected: [Int]) -> Bool {
        guard let first = zip(fires, expected).first(where: { $0 != $1 }) else { return false }
        return (0..<86_400).contains(min(first.0, first.1) - seconds)
    }
}
