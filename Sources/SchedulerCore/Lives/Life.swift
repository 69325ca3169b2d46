package import Recurrence

/// Where an open execution stands, as far as decisions need it: a row of `runs`.
package struct Life: Hashable, Sendable {
    /// What ends a state by itself.
    package struct Deadline: Hashable, Sendable {
        package enum Kind: String, Sendable, CaseIterable {
            /// The worker has not said that it began.
            case start
            /// The attempt takes too long.
            case run
            /// The worker has given no sign of life.
            case heartbeat
            /// The next attempt's turn.
            case retry
            /// The worker was asked to stop, and has not answered.
            case cancel
        }

        package let kind: Kind
        package let at: Instant

        package init(_ kind: Kind, at: Instant) {
            self.kind = kind
            self.at = at
        }
    }

    package let execution: ExecutionID
    package let schedule: ScheduleID
    /// The end of each execution is told by its target.
    package let isTracked: Bool
    package var state: ExecutionState
    /// 1, 2, …
    package var attempt: Int32
    /// Belongs to the attempt.
    package var fence: Int64
    /// When the first attempt was due: what the retries' age is counted from.
    package let openedAt: Instant
    package var deliveredAt: Instant?
    package var startedAt: Instant?
    /// The latest end of the attempt, whatever sign of life there is.
    package var runUntil: Instant?
    /// Nil while its claimant looks after it.
    package var deadline: Deadline?
    /// How the last attempt that did not succeed ended: `failed`, `timed_out`.
    package var lastOutcome: String?
    /// Why it was cancelled, or the last attempt's words.
    package var reason: String?
    /// The worker was asked to stop.
    package var isCancelling = false

    package init(
        execution: ExecutionID, schedule: ScheduleID, isTracked: Bool, state: ExecutionState = .claimed,
        attempt: Int32 = 1, fence: Int64, openedAt: Instant
    ) {
        self.execution = execution
        self.schedule = schedule
        self.isTracked = isTracked
        self.state = state
        self.attempt = attempt
        self.fence = fence
        self.openedAt = openedAt
    }

    package var isOver: Bool { state.isTerminal(tracked: isTracked) }
}

/// What happens to an execution.
package enum LifeEvent: Hashable, Sendable {
    /// The target has the attempt.
    case acknowledged
    /// The dispatch was refused for good, or a reply said so.
    case refused(AttemptFailure)
    /// Where the reply is the outcome, none came in time.
    case unanswered
    /// Nobody can know whether the target has the attempt, and it may not be sent again.
    case uncertain
    /// The attempt's time had come, and its schedule is in shadow: nobody has it.
    case shadowed
    /// The worker's word; each carries the fence of the attempt that it is about.
    case started(fence: Int64)
    case heartbeat(fence: Int64)
    case succeeded(fence: Int64)
    case failed(fence: Int64, AttemptFailure)
    /// The deadline has passed.
    case deadlinePassed
    case cancel(reason: String)
    /// The next attempt was opened, under its own fence.
    case reopened(fence: Int64)
    /// That attempt was taken back before anybody could have it; it is due again then.
    case takenBack(due: Instant)
}

package struct AttemptFailure: Hashable, Sendable {
    package let reason: String
    /// No further attempt can help.
    package let isFatal: Bool
    /// When the worker wants the next attempt, in milliseconds from now.
    package let retryAfter: Int64?

    package init(reason: String, isFatal: Bool = false, retryAfter: Int64? = nil) {
        self.reason = reason
        self.isFatal = isFatal
        self.retryAfter = retryAfter
    }
}

/// What a change is told as: the events of contract.md §5.
package enum LifeTell: String, Sendable, CaseIterable {
    case delivered, running, succeeded, failed, retrying, cancelled, dead, skipped
    case timedOut = "timed_out"
}

package struct LifeChange: Hashable, Sendable {
    package var life: Life
    /// In their order.
    package var tells: [LifeTell] = []
    /// The worker shall be told to stop.
    package var asksWorkerToStop = false
}

/// Why an event means nothing to an execution.
package enum LifeRefusal: Error, Hashable, Sendable {
    /// Another attempt's fence.
    case otherFence(current: Int64)
    /// It is over.
    case over(ExecutionState)
    /// Its state knows no such event.
    case outOfPlace(ExecutionState)
}
