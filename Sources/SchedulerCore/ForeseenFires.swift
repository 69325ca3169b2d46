package import Recurrence

/// What a schedule fires from now on under calendars, windows and freezes, one fire after another, as its claims would
/// decide if each came on time: of occurrences that wait for one moment together only those that its misfire policy lets
/// fire. Lazy; each step is bounded.
///
/// What is due at its own time is told by its place alone. Only what waits is given to ``ClaimPlanner/plan(_:from:runCount:now:horizon:room:)``,
/// a moment at a time: a decision costs a search, and most occurrences need none.
package struct ForeseenFires: Sequence, IteratorProtocol, Sendable {
    private let planner: ClaimPlanner?
    private let placement: Placement?
    private let now: Instant
    private var occurrence: Instant?
    private var runCount: Int64
    /// Decided, and not yet told.
    private var decided: ArraySlice<ForeseenFire> = []

    /// Runs that fire nothing are passed over; after so many of them in a row nothing more is foreseen.
    private static let mostPassed = 1000

    /// Nothing to come.
    package static let none = ForeseenFires()

    private init() {
        planner = nil
        placement = nil
        now = .earliest
        occurrence = nil
        runCount = 0
    }

    /// - Parameters:
    ///   - placement: the planner's, or another one of the same source: under freezes.
    ///   - first: the first occurrence that is not accounted for; it may have passed.
    ///   - runCount: what was fired before.
    package init(
        by planner: ClaimPlanner, _ placement: Placement, from first: Instant?, runCount: Int64, now: Instant
    ) {
        self.planner = planner
        self.placement = placement
        self.now = now
        occurrence = first
        self.runCount = runCount
    }

    package mutating func next() -> ForeseenFire? {
        guard let planner, let placement else { return nil }
        for _ in 0..<Self.mostPassed {
            if let fire = decided.popFirst() { return fire }
            guard let occurrence, planner.runLimit.map({ runCount < $0 }) ?? true else { return nil }
            let place = placement.place(of: occurrence)
            guard place.fires else {
                self.occurrence = placement.firstFiring(from: occurrence)
                continue
            }
            guard !placement.isAlone(occurrence, at: place, after: now.adding(milliseconds: -planner.offset)) else {
                self.occurrence = planner.source.next(after: occurrence)
                runCount += 1
                return ForeseenFire(scheduledFor: occurrence, dueAt: place.due.adding(milliseconds: planner.offset))
            }
            decide(from: occurrence, due: place.due, by: planner, placement)
        }
        return nil
    }

    /// Decides over what is due by the moment of one occurrence.
    private mutating func decide(
        from occurrence: Instant, due: Instant, by planner: ClaimPlanner, _ placement: Placement
    ) {
        let plan = planner.plan(
            placement, from: occurrence, runCount: runCount, now: now, horizon: due.adding(milliseconds: planner.offset)
        )
        decided = plan.fires.map { ForeseenFire(scheduledFor: $0.scheduledFor, dueAt: $0.dueAt) }[...]
        runCount = plan.runCount
        self.occurrence = plan.isLast ? nil : plan.resumeFrom
    }
}

extension ForeseenFires {
    /// Adds to each step of time how many fires are due in it; what is due already counts in the first step.
    ///
    /// Walks fire by fire. Once `few` were walked over, what is left is counted step by step, by arithmetic, as soon as it
    /// can be: a fire every tenth of a second costs no more than one every minute. Only what a calendar, a window or a
    /// freeze may hold has to be walked to its end.
    /// - Parameters:
    ///   - from: where the first step begins.
    ///   - step: how long a step is, in milliseconds.
    ///   - most: fires that are walked over.
    /// - Returns: whether all steps are counted; else those from some instant on lack what lies behind `most`.
    package mutating func count(
        into steps: inout [Int64], from: Instant, step: Int64, walking few: Int, most: Int
    ) -> Bool {
        let end = from.adding(milliseconds: step * Int64(steps.count))
        for walked in 0..<most {
            if walked >= few, countRest(into: &steps, from: from, step: step) { return true }
            guard let fire = next(), fire.dueAt < end else { return true }
            steps[Int(Swift.max(0, fire.dueAt.milliseconds(since: from)) / step)] += 1
        }
        return false
    }

    /// - Returns: false, with nothing counted, while the next fire is not surely one of those that fire at their own times.
    private func countRest(into steps: inout [Int64], from: Instant, step: Int64) -> Bool {
        guard let planner, let placement, let occurrence else { return false }
        guard decided.isEmpty, occurrence > now.adding(milliseconds: -planner.offset),
            placement.isFree(from: occurrence)
        else { return false }
        var left = planner.runLimit.map { Swift.max(0, $0 - runCount) } ?? .max
        for index in steps.indices where left > 0 {
            let start = from.adding(milliseconds: step * Int64(index) - planner.offset)
            let count = Swift.min(
                left,
                planner.source.count(
                    from: Swift.max(start, occurrence), through: start.adding(milliseconds: step - 1)))
            steps[index] += count
            left -= count
        }
        return true
    }
}

extension Placement {
    /// Whether an occurrence surely fires by itself: at its own moment, which is to come, and which no other one that
    /// comes later can be moved back to.
    fileprivate func isAlone(_ occurrence: Instant, at place: Place, after moment: Instant) -> Bool {
        shift == nil && place.due == occurrence && occurrence > moment
    }
}

extension ClaimPlanner {
    /// The first occurrence that fires once a pause is over that ends by itself: what passes before is skipped.
    package func firstOccurrence(afterPauseUntil until: Instant) -> Instant? {
        let last = until.adding(milliseconds: -offset)
        return placement.map { $0.firstFiring(after: last) } ?? source.next(after: last)
    }
}
