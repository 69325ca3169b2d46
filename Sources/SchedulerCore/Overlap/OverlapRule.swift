/// How many executions of a schedule may be open at once, and what becomes of those that come beyond (semantics.md §4).
/// Pure and total. Where completion is not tracked nothing is open, and nothing is decided.
///
/// An execution takes a place when it is opened and keeps it until it is over. Whoever waits takes a free place before
/// whoever comes later. The verdicts over several fires of one claim are given one after the other, as if each had come
/// alone; only `cancel_previous` looks at them together, for it would start what it stops at once.
package struct OverlapRule: Hashable, Sendable {
    package let policy: OverlapPolicy
    /// How many may be open; `allow` knows no bound.
    package let places: Int
    /// How many wait at most under `buffer`.
    package static let mostBuffered = 100

    /// What a definition says. Where nothing is tracked, or nothing runs as it is in shadow, nothing is bounded.
    package init(_ definition: ScheduleDefinition) {
        let isBounded = definition.completion != .none && !definition.isShadow
        self.init(isBounded ? definition.overlapPolicy : .allow, places: Int(definition.maxInFlight))
    }

    package init(_ policy: OverlapPolicy, places: Int) {
        self.policy = policy
        self.places = policy == .allow ? .max : max(1, places)
    }

    /// How many may wait.
    package var room: Int {
        switch policy {
        case .skip, .allow: 0
        case .bufferOne, .cancelPrevious: 1
        case .buffer: Self.mostBuffered
        }
    }

    /// Places that nobody holds and nobody waits for.
    package func free(open: Int, waiting: Int) -> Int { max(0, places - open - waiting) }
}

/// What becomes of one that is due.
package enum OverlapVerdict: Hashable, Sendable {
    /// It has a place.
    case opens
    /// It waits for one.
    case waits
    case skipped(SkipReason)
}

package struct OverlapDecision: Hashable, Sendable {
    /// One for each that is due, in their order.
    package var verdicts: [OverlapVerdict]
    /// All that waited before give way, as `skipped/superseded`.
    package var supersedesWaiting = false
}

extension OverlapRule {
    /// Decides over `count` that are due.
    /// - Parameters:
    ///   - open: those that hold a place.
    ///   - waiting: those that wait already.
    ///   - shared: places that the limits leave, which other schedules share. Who has a place of the schedule's own and
    ///     none of those holds the former and waits; under `allow`, which has no bound, so many as under `buffer`.
    package func decide(_ count: Int, open: Int, waiting: Int, shared: Int = .max) -> OverlapDecision {
        var decision = decide(count, open: open, waiting: waiting)
        guard shared < count else { return decision }
        var room = shared
        var queue = decision.supersedesWaiting ? 0 : waiting
        for index in decision.verdicts.indices {
            if decision.verdicts[index] == .opens {
                if room > 0 {
                    room -= 1
                    continue
                }
                decision.verdicts[index] =
                    policy == .allow && queue >= Self.mostBuffered ? .skipped(.overlap) : .waits
            }
            if decision.verdicts[index] == .waits { queue += 1 }
        }
        return decision
    }

    private func decide(_ count: Int, open: Int, waiting: Int) -> OverlapDecision {
        if policy == .cancelPrevious { return decideNewestFirst(count, open: open, waiting: waiting) }
        var (open, waiting) = (open, waiting)
        return OverlapDecision(
            verdicts: (0..<count).map { _ in
                if free(open: open, waiting: waiting) > 0 {
                    open += 1
                    return .opens
                }
                // Those that wait for a place that is free already are in nobody's way.
                let queue = waiting - min(waiting, free(open: open, waiting: 0))
                guard queue < room else { return .skipped(.overlap) }
                waiting += 1
                return .waits
            })
    }

    /// What is stopped for the next one need not begin: of several the newest have the free places, and where there is
    /// none the newest waits.
    private func decideNewestFirst(_ count: Int, open: Int, waiting: Int) -> OverlapDecision {
        guard count > free(open: open, waiting: waiting) else {
            return OverlapDecision(verdicts: Array(repeating: .opens, count: count))
        }
        let free = free(open: open, waiting: 0)
        let (kept, verdict): (Int, OverlapVerdict) = free > 0 ? (min(free, count), .opens) : (1, .waits)
        let given: [OverlapVerdict] = Array(repeating: .skipped(.superseded), count: count - kept)
        return OverlapDecision(verdicts: given + Array(repeating: verdict, count: kept), supersedesWaiting: waiting > 0)
    }
}

// MARK: - Those that wait

/// What becomes of those that wait, when somebody looks: the first ones give way, the next ones are opened.
package struct BufferTurn: Hashable, Sendable {
    /// So many of the oldest are `skipped/superseded`.
    package var superseded = 0
    /// So many of those behind them are opened.
    package var opened = 0
    /// So many of the open ones, the oldest first, are asked to stop.
    package var stopped = 0

    package var isEmpty: Bool { self == BufferTurn() }
}

extension OverlapRule {
    /// - Parameters:
    ///   - open: those that hold a place.
    ///   - stopping: of those, the ones that were asked to stop.
    ///   - waiting: those that wait.
    package func turn(open: Int, stopping: Int, waiting: Int) -> BufferTurn {
        var turn = BufferTurn()
        // More than one may wait under another policy that the schedule had before.
        if policy == .cancelPrevious { turn.superseded = max(0, waiting - max(1, free(open: open, waiting: 0))) }
        let left = waiting - turn.superseded
        turn.opened = min(left, free(open: open, waiting: 0))
        if policy == .cancelPrevious {
            // Beyond its places there may be others, of triggers that were forced or of a higher bound before: they too.
            let needed = left - turn.opened == 0 ? 0 : open - places + left - turn.opened
            turn.stopped = max(0, min(needed, open) - stopping)
        }
        return turn
    }
}
