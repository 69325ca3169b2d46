import Recurrence

// Executions that are open, or whose target told how they ended, and what kept a late one.
extension Explanation {
    /// Where the time went between the due time and the publish.
    mutating func tellDelay(_ row: Execution) {
        let unclaimed = row.claimedAt.milliseconds(since: row.dueAt)
        guard unclaimed < Self.late else {
            return say(
                "Nobody had claimed it before \(row.claimedAt.rfc3339), \(Self.seconds(unclaimed)) after it was due: no "
                    + "instance could, or it came under the catch-up rate.")
        }
        say(
            "It was claimed in time, at \(row.claimedAt.rfc3339): it waited for its target, its connection, or what went "
                + "before it.")
    }

    /// What came to its time and was not published.
    mutating func tellShadow(_ row: Execution) {
        let late = Self.lateness(of: row) >= Self.late ? ", \(Self.seconds(Self.lateness(of: row))) late" : ""
        let fired =
            row.firedAt.map { " It would have been fired at \($0.rfc3339)\(late), as execution \(row.id)." } ?? ""
        say("It was skipped (shadow): the schedule was in shadow, in which nothing is published.\(fired)")
        if row.missedCount > 0 { say("It stands for \(row.missedCount) more that were missed before it.") }
    }

    mutating func tellClaim(_ row: Execution, _ facts: ExplanationFacts) {
        guard row.attempt <= 1 else {
            return say("Attempt \(row.attempt) of execution \(row.id) is on its way to its target.")
        }
        let waited = facts.now.milliseconds(since: row.dueAt)
        let words = waited >= Self.late ? ": no acknowledgement of its target has come for \(Self.seconds(waited))" : ""
        say("Execution \(row.id) was claimed at \(row.claimedAt.rfc3339) and has not ended\(words).")
    }

    /// What is open, and what comes next.
    mutating func tellLife(_ row: Execution, _ facts: ExplanationFacts) {
        let attempt = "attempt \(row.attempt) of execution \(row.id)"
        let fired = row.firedAt.map { " at \($0.rfc3339)" } ?? ""
        switch row.state {
        case .running:
            let since = row.startedAt.map { " since \($0.rfc3339)" } ?? ""
            say("Its worker runs \(attempt)\(since); it was fired\(fired).")
        case .retryWait:
            let end = row.lastOutcome.map { " \($0)" } ?? ""
            let reason = row.reason.map { " (\($0))" } ?? ""
            say("It waits for another attempt: \(attempt)\(end)\(reason).")
        case .claimed, .delivered, .succeeded, .dead, .skipped, .cancelled:
            say("Its target has \(attempt), which was fired\(fired); its worker has not said that it began.")
        }
        if let deadline = facts.deadlines[row.id] { say(Self.words(for: deadline)) }
    }

    private static func words(for deadline: Life.Deadline) -> String {
        let at = deadline.at.rfc3339
        return switch deadline.kind {
        case .start: "If nobody says by \(at) that it began, the attempt is timed out."
        case .run: "If it has not ended by \(at), the attempt is timed out."
        case .heartbeat: "If its worker gives no sign of life by \(at), the attempt is timed out."
        case .retry: "The next attempt is due at \(at)."
        case .cancel: "Its worker was asked to stop; at \(at) it is given up."
        }
    }

    mutating func tellSuccess(_ row: Execution) {
        let end = row.finishedAt.map { " at \($0.rfc3339)" } ?? ""
        let lasted = row.finishedAt.flatMap { end in row.firedAt.map { end.milliseconds(since: $0) } }
        let time = lasted.map { ", \(Self.seconds($0)) after it was fired" } ?? ""
        let attempts = row.attempt > 1 ? ", with attempt \(row.attempt)" : ""
        say("Its worker said\(end) that it succeeded\(time)\(attempts).")
    }

    mutating func tellDeath(_ row: Execution) {
        let attempts = row.attempt > 1 ? " after \(row.attempt) attempts" : ""
        let last = row.lastOutcome.map { outcome in row.isTracked ? ", the last one \(outcome)" : "" } ?? ""
        say("Execution \(row.id) gave up\(attempts)\(last): \(row.reason ?? "no reason was given").")
    }
}
