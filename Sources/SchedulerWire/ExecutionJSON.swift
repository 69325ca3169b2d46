package import JSONText
package import Recurrence
package import SchedulerCore

/// What there is to tell of an execution beside its row.
package struct ExecutionDetail: Sendable {
    /// Of one that is looked after; nil where it is over.
    package let life: Life?
    /// As its worker told it last: JSON.
    package let progress: [UInt8]?
    /// What its worker gave back: JSON.
    package let result: [UInt8]?

    package init(life: Life?, progress: [UInt8]? = nil, result: [UInt8]? = nil) {
        self.life = life
        self.progress = progress
        self.result = result
    }
}

extension JSONWriter {
    /// An execution as replies show it.
    package mutating func value(
        _ execution: Execution, scheduleName: String, namespace: String, detail: ExecutionDetail? = nil
    ) {
        object { writer in
            writer.member("id", execution.id.description)
            writer.member("schedule_id", execution.schedule.description)
            writer.member("schedule_name", scheduleName)
            writer.member("namespace", namespace)
            writer.member("status", execution.state.rawValue)
            writer.member("reason", ifPresent: execution.reason)
            writer.member("outcome", ifPresent: execution.outcome)
            writer.member("last_outcome", ifPresent: execution.lastOutcome)
            writer.member("origin", execution.origin.rawValue)
            writer.member("trigger", execution.trigger.rawValue)
            writer.member("retry_of", ifPresent: execution.retryOf?.description)
            writer.member("caused_by", ifPresent: execution.causedBy?.description)
            writer.member("scheduled_for", execution.scheduledFor.rfc3339)
            writer.member("due_at", execution.dueAt.rfc3339)
            writer.member("attempt", execution.attempt)
            writer.member("fence", execution.fence)
            writer.member("generation", execution.generation)
            writer.member("schedule_version", execution.scheduleVersion)
            if execution.missedCount > 0 { writer.member("missed_count", execution.missedCount) }
            writer.member("claimed_at", execution.claimedAt.rfc3339)
            writer.member("fired_at", ifPresent: execution.firedAt)
            if let fired = execution.firedAt {
                writer.member("lateness_ms", fired.milliseconds - execution.dueAt.milliseconds)
            }
            if execution.isTracked { writer.member("tracked", true) }
            writer.member("started_at", ifPresent: execution.startedAt)
            if let detail { writer.members(of: detail) }
            writer.member("finished_at", ifPresent: execution.finishedAt)
            if let from = execution.rangeFrom {
                writer.member("range_from", from.rfc3339)
                writer.member("count", execution.rangeCount)
            }
            writer.member("ack_stream", ifPresent: execution.ackStream)
            writer.member("ack_sequence", ifPresent: execution.ackSequence)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func members(of detail: ExecutionDetail) {
        if let deadline = detail.life?.deadline {
            object("deadline") { writer in
                writer.member("kind", deadline.kind.rawValue)
                writer.member("at", deadline.at.rfc3339)
            }
        }
        if let progress = detail.progress { member("progress", raw: progress) }
        if let result = detail.result { member("result", raw: result) }
    }
}

/// What an execution's event says (contract.md §5). It can be told again from the row, word for word but for `time`.
package struct ExecutionEvent: Sendable {
    package let execution: ExecutionID
    package let schedule: ScheduleID
    package let scheduleName: String
    package let namespace: String
    package let state: ExecutionState
    package let fence: Int64
    package let attempt: Int32
    package let scheduledFor: Instant
    package let dueAt: Instant
    package let firedAt: Instant?
    package let finishedAt: Instant
    package let trigger: Trigger
    package let reason: String?
    package let outcome: String?
    package let missedCount: Int64
    package let rangeFrom: Instant?
    package let rangeCount: Int64
    package let payloadSHA256: String?
    /// The execution whose end made this one.
    package let causedBy: ExecutionID?
    /// When the next attempt is due, where one is to come.
    package var retryAt: Instant?
    /// The attempt's span in the trace of the command that asked for the execution. What nobody asked for is a trace of its
    /// own, whose id is the execution's: nothing that the event does not say already.
    package let trace: TraceContext?

    package init(
        _ execution: Execution, scheduleName: String, namespace: String, payloadSHA256: String?, finishedAt: Instant
    ) {
        self.execution = execution.id
        schedule = execution.schedule
        self.scheduleName = scheduleName
        self.namespace = namespace
        state = execution.state
        fence = execution.fence
        attempt = execution.attempt
        scheduledFor = execution.scheduledFor
        dueAt = execution.dueAt
        firedAt = execution.firedAt
        self.finishedAt = finishedAt
        trigger = execution.trigger
        reason = execution.reason
        outcome = execution.outcome
        missedCount = execution.missedCount
        rangeFrom = execution.rangeFrom
        rangeCount = execution.rangeCount
        self.payloadSHA256 = payloadSHA256
        causedBy = execution.causedBy
        trace = execution.trace.map { execution.id.trace(within: $0, attempt: execution.attempt) }
    }
}
