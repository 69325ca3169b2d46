/// The kinds of events: `io.carillon.<schedule|execution|system>.v1.<event>`.
///
/// Each is a constant with its texts made once, so that writing an event makes no strings for them.
package struct EventType: Sendable, Hashable, CustomStringConvertible {
    package enum Family: String, Sendable {
        case schedule
        case execution
        case system
    }

    package let family: Family
    /// The last token: `delivered`.
    package let event: String
    /// The CloudEvents attribute `type`.
    package let description: String
    /// The CloudEvents attribute `dataschema`: an absolute URI, as the standard wants, whose path is a file of `schemas/`.
    package let dataSchema: String

    private init(_ family: Family, _ event: String) {
        self.family = family
        self.event = event
        description = "io.carillon.\(family.rawValue).v1.\(event)"
        dataSchema = "carillon:schemas/events/\(family.rawValue).\(event).v1.json"
    }

    package static let scheduleCreated = EventType(.schedule, "created")
    package static let scheduleUpdated = EventType(.schedule, "updated")
    package static let schedulePaused = EventType(.schedule, "paused")
    package static let scheduleResumed = EventType(.schedule, "resumed")
    package static let scheduleDeleted = EventType(.schedule, "deleted")
    package static let scheduleExhausted = EventType(.schedule, "exhausted")
    package static let scheduleInvalidated = EventType(.schedule, "invalidated")
    /// No message came by the deadline of an `absence`.
    package static let scheduleAbsent = EventType(.schedule, "absent")
    package static let scheduleTimesRemoved = EventType(.schedule, "times_removed")
    package static let commandAccepted = EventType(.schedule, "command_accepted")
    package static let commandRejected = EventType(.schedule, "command_rejected")

    package static let executionDelivered = EventType(.execution, "delivered")
    package static let executionRunning = EventType(.execution, "running")
    package static let executionSucceeded = EventType(.execution, "succeeded")
    package static let executionFailed = EventType(.execution, "failed")
    package static let executionRetrying = EventType(.execution, "retrying")
    package static let executionTimedOut = EventType(.execution, "timed_out")
    package static let executionCancelled = EventType(.execution, "cancelled")
    package static let executionSkipped = EventType(.execution, "skipped")
    package static let executionDead = EventType(.execution, "dead")
    package static let executionReportProblem = EventType(.execution, "report_problem")

    package static let systemStarted = EventType(.system, "started")
    package static let systemStopping = EventType(.system, "stopping")
    package static let memberJoined = EventType(.system, "member_joined")
    package static let memberLost = EventType(.system, "member_lost")
    package static let clockSkew = EventType(.system, "clock_skew")
    package static let tzdataChanged = EventType(.system, "tzdata_changed")
    package static let auditSealed = EventType(.system, "audit_sealed")

    /// Every event that there is, for the documentation and the schemas.
    package static let all: [EventType] = [
        scheduleCreated, scheduleUpdated, schedulePaused, scheduleResumed, scheduleDeleted, scheduleExhausted,
        scheduleInvalidated, scheduleTimesRemoved, scheduleAbsent, commandAccepted, commandRejected,
        executionDelivered, executionRunning, executionSucceeded, executionFailed, executionRetrying,
        executionTimedOut, executionCancelled, executionSkipped, executionDead, executionReportProblem,
        systemStarted, systemStopping, memberJoined, memberLost, clockSkew, tzdataChanged, auditSealed,
    ]
}
