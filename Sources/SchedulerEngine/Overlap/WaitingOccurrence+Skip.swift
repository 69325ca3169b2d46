package import PostgresClient
package import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire

extension WaitingOccurrence {
    /// Its row in the ledger where it is skipped; it takes the next fence.
    package func skipped(_ reason: SkipReason, version: Int64, timer: inout Timer, now: Instant) -> Execution {
        timer.fireSequence += 1
        var execution = Execution(
            id: id, schedule: occurrence.schedule, scheduledFor: occurrence.scheduledFor, dueAt: dueAt, state: .skipped,
            origin: occurrence.origin, trigger: trigger, generation: occurrence.generation, scheduleVersion: version,
            attempt: 0, fence: timer.fireSequence, claimedAt: now)
        execution.ordinal = occurrence.ordinal
        execution.missedCount = missedCount
        execution.reason = reason.rawValue
        execution.finishedAt = now
        execution.causedBy = causedBy
        return execution
    }
}

extension Session {
    /// The writes that tell that what waited was skipped, all for one reason, with a journal row that owes the events.
    package func skipWaiting(
        _ skipped: [(execution: Execution, schedule: CompiledSchedule)], at now: Instant
    ) -> (calls: [Call], events: [EventTeller.Owed]) {
        guard !skipped.isEmpty else { return ([], []) }
        var random = SystemRandomNumberGenerator()
        let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
        let open = OpenClaim(claim, executions: skipped.count)
        let executions = skipped.map(\.execution)
        let events = skipped.map { execution, schedule in
            EventTeller.Owed.execution(
                ExecutionEvent(
                    execution, scheduleName: schedule.name, namespace: schedule.namespace,
                    payloadSHA256: schedule.payloadSHA256, finishedAt: now),
                open)
        }
        let journal = ClaimTable.insert(claim, by: instance, at: now, executions: executions.map(\.id))
        return ([BufferTable.skip(executions, at: now), journal], events)
    }
}

extension Fire {
    /// This one where it waits for its place again: nobody has published it.
    func waiting(since now: Instant) -> WaitingOccurrence {
        WaitingOccurrence(
            occurrence: Occurrence(
                schedule: schedule.id, generation: generation, origin: origin, scheduledFor: scheduledFor,
                ordinal: ordinal),
            id: id, dueAt: dueAt, trigger: trigger, missedCount: missedCount, since: now, causedBy: causedBy,
            limits: schedule.limits.names)
    }
}
