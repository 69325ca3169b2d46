package import SchedulerCore

/// Asks whoever holds an execution to give it up.
package struct Cancellation: Hashable, Sendable {
    /// What the holder says to it.
    package enum Answer: String, Sendable {
        /// It is given up, and written down soon.
        case cancelled
        /// Handed to NATS: a copy may be with the target.
        case sent
        /// Not, or no longer, in this instance's memory.
        case notHeld = "not_held"
    }

    package let execution: ExecutionID
    package let schedule: ScheduleID
    /// Why; one line of at most 1024 characters.
    package let reason: String

    package init(execution: ExecutionID, schedule: ScheduleID, reason: String) {
        self.execution = execution
        self.schedule = schedule
        self.reason = reason
    }

    private static let verb = "cancel"

    /// `cancel <schedule> <execution> <reason>`: what one instance says to another.
    package var text: String { "\(Self.verb) \(schedule) \(execution) \(reason)" }

    package init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == Self.verb, let schedule = ScheduleID(text: parts[1]),
            let execution = ExecutionID(text: parts[2])
        else { return nil }
        self.init(execution: execution, schedule: schedule, reason: String(parts[3]))
    }
}
