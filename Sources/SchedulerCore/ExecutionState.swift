/// Where an execution stands (contract.md §5).
///
/// ```
///            ┌── recall ──▶ (row gone: given back)
/// claimed ───┼── acknowledged ──▶ delivered
///            ├── refused ───────▶ dead
///            └── cancelled ─────▶ cancelled
/// (a skip)  ───────────────────▶ skipped
/// ```
/// Terminal states never change; the database refuses it too.
package enum ExecutionState: String, Sendable, CaseIterable {
    case claimed
    case delivered
    case dead
    case skipped
    /// Given up by a command, before it was handed to NATS.
    case cancelled

    package var isTerminal: Bool { self != .claimed }
}

/// The steps that order a schedule's events with one fence (`sequence`, contract.md §5).
package enum EventStep: Int, Sendable {
    case schedule = 0
    /// The outcome of a submitted command, after the change that it made.
    case command = 5
    case skipped = 10
    case delivered = 50
    case failed = 60
    case cancelled = 80
    case dead = 90
    case exhausted = 99
}
