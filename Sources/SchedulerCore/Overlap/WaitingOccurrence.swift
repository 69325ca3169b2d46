package import Recurrence

/// An occurrence that waits for a place: it is due, nobody has claimed it, and the ledger has no row of it yet.
package struct WaitingOccurrence: Hashable, Sendable {
    package let occurrence: Occurrence
    /// The id that its execution will have.
    package let id: ExecutionID
    package let dueAt: Instant
    package let trigger: Trigger
    /// How many missed occurrences it stands for.
    package let missedCount: Int64
    /// Since when it waits.
    package let since: Instant
    /// The execution whose end made it.
    package let causedBy: ExecutionID?
    /// Limits of which it needs a place, as far as they were known when it was written down.
    package let limits: ConcurrencyNames

    package init(
        occurrence: Occurrence, id: ExecutionID? = nil, dueAt: Instant, trigger: Trigger, missedCount: Int64 = 0,
        since: Instant, causedBy: ExecutionID? = nil, limits: ConcurrencyNames = ConcurrencyNames()
    ) {
        self.occurrence = occurrence
        self.id = id ?? occurrence.executionID
        self.dueAt = dueAt
        self.trigger = trigger
        self.missedCount = missedCount
        self.since = since
        self.causedBy = causedBy
        self.limits = limits
    }
}

/// What a schedule has open at one moment, as it stands under its timer's lock: whoever opens or ends an execution holds
/// that lock, so the count is exact.
package struct Occupancy: Hashable, Sendable {
    /// Tracked executions that hold a place: from the claim to the terminal state, `retry_wait` included.
    package var open: Int
    /// Of those, the ones whose worker was asked to stop.
    package var stopping: Int
    /// In the order in which they get their places.
    package var waiting: [WaitingOccurrence]

    package init(open: Int = 0, stopping: Int = 0, waiting: [WaitingOccurrence] = []) {
        self.open = open
        self.stopping = stopping
        self.waiting = waiting
    }
}

extension ClaimPlanner {
    /// Takes back from a timer's count what waited and was skipped: only what is fired counts. Where the bound on what
    /// is fired had ended the schedule, it goes on behind the last of them; one that messages drive is looked at now.
    package func takeBack(
        _ skipped: some Sequence<WaitingOccurrence>, from timer: inout Timer, at now: Instant
    ) {
        let own = skipped.filter { $0.occurrence.origin.isOwn && $0.occurrence.generation == timer.generation }
        guard let last = own.map(\.occurrence.scheduledFor).max() else { return }
        timer.runCount -= Int64(own.count)
        guard timer.nextFireAt == nil, timer.resumeFrom == nil, let runLimit, timer.runCount < runLimit else { return }
        timer.stand(at: position(behind: last, at: now))
    }

    /// Where a timer goes on that the bound on what is fired had ended.
    /// - Parameter last: the latest occurrence that is not counted any more.
    func position(behind last: Instant, at now: Instant) -> TimerPosition {
        position(at: listening == nil ? source.next(after: last) : now)
    }
}
