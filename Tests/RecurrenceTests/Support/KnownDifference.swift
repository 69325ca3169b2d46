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
    /// croniter looks for the second pass of a repeat only where the next reading has another offset than the last one:
    /// it finds none for `52 1 30 5-10 *` on 30 October, since the next one is in May.
    case secondPassLost = "croniter loses the second pass"
    /// cronsim steps by elapsed hours from the hour's beginning, and misses part of the hour that follows a transition of
    /// half an hour, or one at 02:45.
    case hourSteps = "cronsim steps by whole hours"
    /// The same, where it never finds its way out: Newfoundland's clocks were changed at 00:01 until 2011.
    case endless = "cronsim goes on without end"
    /// croniter leaves a gap by one reading after the other, each by a search of its own: the seconds of a day that a zone
    /// left out take it longer than the script waits.
    case steppedGap = "croniter steps through a long gap"
    /// cronsim begins each day at 00:00, also where the clock goes from 23:59 to 01:00, and then misses part of the hour.
    case midnightGap = "cronsim begins a day at a midnight that a gap left out"
    /// cronsim forgets the pass of a repeat it is asked in: its answer to a fixed expression can be before the question.
    case askedInSecondPass = "cronsim is asked in the second pass of a repeat"
}

extension KnownDifference {
    /// The class that an answer falls into; nil for a difference that nobody has explained.
    init?(_ question: CronOracle.Question, expected: [Int], answer: CronOracle.Answer) {
        switch (question.oracle, answer) {
        case (.croniter, .fires(let fires)):
            self.init(croniter: question, expected: expected, fires: fires)
        case (.cronsim, .fires(let fires)):
            self.init(cronsim: question, expected: expected, fires: fires)
        case (.croniter, .complaint("Endless")):
            let transitions = question.transitions(through: expected.max() ?? question.seconds)
            guard transitions.contains(where: { $0.isLong }) else { return nil }
            self = .steppedGap
        case (.cronsim, .complaint("Endless")):
            let transitions = question.transitions(through: expected.max() ?? question.seconds)
            guard transitions.contains(where: { !$0.isAtWholeHour }) else { return nil }
            self = .endless
        default:
            return nil
        }
    }

    private init?(croniter question: CronOracle.Question, expected: [Int], fires: [Int]) {
        // The lists may end at different times, since one has what the other lacks.
        let end = min(fires.last ?? .max, expected.last ?? .max)
        let extra = Set(fires).subtracting(expected).filter { $0 <= end }
        let missing = Set(expected).subtracting(fires).filter { $0 <= end }
        let gaps = question.transitions(through: end).filter { $0.offsetAfter > $0.offsetBefore }
        let isAtGap = { (second: Int) in gaps.contains { (0..<60).contains(second - $0.seconds) } }
        if missing.isEmpty, extra.isEmpty {
            return nil
        } else if extra.isEmpty, missing.allSatisfy(question.isInSecondPass) {
            self = .secondPassLost
        } else if !extra.allSatisfy(isAtGap) {
            return nil
        } else if missing.isEmpty, gaps.contains(where: { $0.isLong }) {
            self = .longGap
        } else if missing.isEmpty, question.cron.isWildcard {
            self = .wildcardMadeUp
        } else if question.cron.hasSeconds, missing.allSatisfy(isAtGap) {
            self = .secondKept
        } else {
            return nil
        }
    }

    private init?(cronsim question: CronOracle.Question, expected: [Int], fires: [Int]) {
        let transitions = question.transitions(through: max(fires.max() ?? 0, expected.max() ?? 0))
        let isFixed = !question.cron.isWildcard && !question.cron.hasSeconds
        let gaps = transitions.filter { $0.offsetAfter > $0.offsetBefore }
        if isFixed {
            let isAtLongGap = { (second: Int) in gaps.contains { $0.isLong && $0.seconds == second } }
            if question.isInSecondPass(question.seconds) {
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

    fileprivate func isInSecondPass(_ seconds: Int) -> Bool {
        let instant = Instant(milliseconds: Int64(seconds) * 1000)
        guard case .repeated(_, let second) = zone.resolve(zone.localTime(at: instant)) else { return false }
        return second == instant
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

    /// Whether the first difference of two answers lies within a day of this; cronsim's can go back over a repeat. Where
    /// one answer has ended, the other's next time is the difference.
    fileprivate func isNear(_ fires: [Int], _ expected: [Int]) -> Bool {
        let same = zip(fires, expected).prefix { $0 == $1 }.count
        let differing = [fires.dropFirst(same).first, expected.dropFirst(same).first].compactMap { $0 }
        guard let first = differing.min() else { return false }
        return (-86_400..<86_400).contains(first - seconds)
    }
}
