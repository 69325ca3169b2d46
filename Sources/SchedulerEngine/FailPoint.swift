import Glibc
import Synchronization

/// Named places on the claim–publish–record path, and on that of submitted commands, at which a test ends the process as a crash would.
///
/// `CARILLON_FAIL_AT=claim.committed` ends it by SIGKILL the first time that place is reached, `claim.committed@20` the
/// twentieth time. Without the variable a place costs one comparison.
package enum FailPoint: String, CaseIterable, Sendable {
    /// Timers are locked and decided upon; nothing is written.
    case claimLocked = "claim.locked"
    /// The claim is committed; nothing is published.
    case claimCommitted = "claim.committed"
    /// About to hand the message to NATS.
    case publishing = "publish.before"
    /// Handed over; no acknowledgement yet.
    case published = "publish.sent"
    /// Acknowledged; not recorded.
    case acknowledged = "publish.acknowledged"
    /// The record transaction is about to run.
    case recording = "record.before"
    /// Recorded; the event is not out.
    case recorded = "record.committed"
    /// The event is out; not acknowledged.
    case told = "event.sent"
    /// The event is acknowledged; the claim's row still stands.
    case settled = "event.acknowledged"
    /// What waited for a place is open by commit; nothing is published.
    case bufferOpened = "buffer.opened"
    /// A submitted command is taken from its stream; nothing is written.
    case submittedTaken = "submit.taken"
    /// A submitted command is committed, with the cursor and its event; not acknowledged.
    case submittedApplied = "submit.committed"
    /// Workers' reports are committed; not acknowledged.
    case reportApplied = "report.committed"

    /// Messages of a stream are written down; they are not acknowledged.
    case eventTaken = "intake.committed"

    /// Those on the way of an occurrence.
    package static let ofFires = allCases.filter {
        ![.submittedTaken, .submittedApplied, .reportApplied, .bufferOpened, .eventTaken].contains($0)
    }

    private static let armed: (point: FailPoint, hits: Int)? = {
        guard let setting = getenv("CARILLON_FAIL_AT").map({ String(cString: $0) }) else { return nil }
        let parts = setting.split(separator: "@", maxSplits: 1)
        guard let name = parts.first, let point = FailPoint(rawValue: String(name)) else { return nil }
        return (point, parts.count == 2 ? Int(parts[1]) ?? 1 : 1)
    }()
    private static let reached = Atomic<Int>(0)

    package func reach() {
        guard let armed = Self.armed, armed.point == self else { return }
        if Self.reached.add(1, ordering: .relaxed).newValue >= armed.hits { kill(getpid(), SIGKILL) }
    }
}
