package import Recurrence

/// One row of the ledger: an occurrence that was claimed, or one or many that were skipped.
package struct Execution: Hashable, Sendable {
    package let id: ExecutionID
    package let schedule: ScheduleID
    package var scheduledFor: Instant
    package var dueAt: Instant
    package var state: ExecutionState
    package var reason: String?
    package var outcome: String?
    package var lastOutcome: String?
    package var origin: Origin
    package var trigger: Trigger
    package var generation: Int32
    package var scheduleVersion: Int64
    package var attempt: Int32
    package var fence: Int64
    package var missedCount: Int64
    package var ordinal: Int64
    package var claimedBy: InstanceID?
    package var claimedAt: Instant
    package var firedAt: Instant?
    package var finishedAt: Instant?
    package var rangeFrom: Instant?
    package var rangeCount: Int64
    package var ackStream: String?
    package var ackSequence: Int64?
    package var isRecalled: Bool
    /// Its target tells how it ends.
    package var isTracked = false
    /// When the worker of the last attempt said that it began.
    package var startedAt: Instant?
    /// The execution that this one was made again of.
    package var retryOf: ExecutionID?
    /// The execution whose end made this one.
    package var causedBy: ExecutionID?
    /// Of the command that asked for it, where that one had any.
    package var trace: TraceContext?

    package var isOver: Bool { state.isTerminal(tracked: isTracked) }

    package init(
        id: ExecutionID, schedule: ScheduleID, scheduledFor: Instant, dueAt: Instant, state: ExecutionState,
        origin: Origin, trigger: Trigger, generation: Int32, scheduleVersion: Int64, attempt: Int32, fence: Int64,
        claimedAt: Instant
    ) {
        self.id = id
        self.schedule = schedule
        self.scheduledFor = scheduledFor
        self.dueAt = dueAt
        self.state = state
        self.origin = origin
        self.trigger = trigger
        self.generation = generation
        self.scheduleVersion = scheduleVersion
        self.attempt = attempt
        self.fence = fence
        self.claimedAt = claimedAt
        missedCount = 0
        ordinal = 0
        rangeCount = 1
        isRecalled = false
    }
}
