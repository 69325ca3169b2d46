import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// Ends of dispatches that decide over more than a row: of tracked executions, of further attempts, and those that
/// failed. The machine of lives says what becomes of them.
extension LifeWriter {
    /// Takes the ends of dispatches through the machine.
    ///
    /// What this instance does not hold any more, or not with that attempt, is left as it is: it was recorded before, in a
    /// transaction whose answer was lost, or somebody has taken it over.
    /// - Parameter ended: their schedules' timers are locked.
    mutating func record(
        _ ended: [EndedFire], by instance: InstanceID, at now: Instant, in transaction: PostgresTransaction
    ) async throws {
        // Two attempts of one may end in one batch: a report has ended the first before its acknowledgement came.
        let fires = Dictionary(grouping: ended, by: \.fire.id)
        for open in try await LifeTable.lock(fires.keys.sorted(), in: transaction) {
            guard let end = fires[open.execution.id]?.first(where: { $0.fire.fence == open.life.fence }),
                open.execution.claimedBy == instance, let change = end.change(of: open.life, at: now)
            else { continue }
            var execution = open.execution
            execution.firedAt = end.firedAt
            execution.outcome = end.outcome
            execution.ackStream = end.ackStream
            execution.ackSequence = end.ackSequence.map { Int64(clamping: $0) }
            write(change, of: execution, by: end.fire.schedule, payload: open.payload, result: end.result)
        }
    }
}

extension EndedFire {
    /// Whether the machine decides what becomes of it. What is untracked and was delivered, or given up, at its first
    /// attempt is over: nothing is looked up for it.
    var hasLife: Bool { fire.hasLife || state == .dead }

    /// What becomes of the execution; nil where that was known before.
    fileprivate func change(of life: Life, at now: Instant) -> LifeChange? {
        guard let end else {
            guard isOut else { return life.givenUp(reason) }
            // One that may be with its target has its grace, from here on if it has not begun.
            return try? life.taking(.cancel(reason: reason ?? ""), under: fire.schedule.life, at: now) ?? nil
        }
        // A deadline counts from the delivery, not from when it is written down.
        let at = end == .delivered ? firedAt ?? now : now
        return try? life.taking(dispatch: end, under: fire.schedule.life, at: at) ?? nil
    }

    /// What the worker's reply brought.
    fileprivate var result: [UInt8]? {
        if case .succeeded(let result) = end { result } else { nil }
    }
}
