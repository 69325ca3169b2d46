/// Where an execution stands (contract.md §5).
///
/// ```
///            ┌── recall ──▶ (row gone: given back)
///            ├── acknowledged ──▶ delivered ── started ──▶ running
/// claimed ───┤                        │                       │
///    ▲       ├── refused ─────────────┼── failed, timed out ──┤
///    │       └── cancelled            ▼                       │
///    └── its turn ───────────── retry_wait ◀──────────────────┘
/// ```
/// Over are `succeeded`, `dead`, `cancelled`, `skipped`, and `delivered` where completion is not tracked. Terminal states
/// never change; the database refuses it too.
package enum ExecutionState: String, Sendable, CaseIterable {
    case claimed
    /// The end where completion is not tracked; else the worker has it and has not said that it began.
    case delivered
    /// The worker has said that it began.
    case running
    /// An attempt failed; another is to come.
    case retryWait = "retry_wait"
    case succeeded
    /// Gave up.
    case dead
    case skipped
    /// Given up by a command.
    case cancelled

    /// - Parameter isTracked: whether the target says how executions end.
    package func isTerminal(tracked isTracked: Bool) -> Bool {
        switch self {
        case .claimed, .running, .retryWait: false
        case .delivered: !isTracked
        case .succeeded, .dead, .skipped, .cancelled: true
        }
    }
}

/// The steps that order a schedule's events with one fence (`sequence`, contract.md §5).
package enum EventStep: Int, Sendable {
    case schedule = 0
    /// The outcome of a submitted command, after the change that it made.
    case command = 5
    case skipped = 10
    case delivered = 50
    case running = 55
    /// A worker's report that could not be taken as it was sent.
    case report = 58
    case failed = 60
    case timedOut = 61
    case retrying = 70
    case cancelled = 80
    case succeeded = 85
    case dead = 90
    case exhausted = 99
}
