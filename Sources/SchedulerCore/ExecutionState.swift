/// Where an execution stands (contract.md §5).
///
/// ```
///            ┌── recall ──▶ (row gone: given back)
/// claimed ───┼── acknowledged ──▶ delivered
///            └── refused ───────▶ dead
/// (a skip)  ───────────────────▶ skipped
/// ```
/// Terminal states never change; the database refuses it too.
package enum ExecutionState: String, Sendable, CaseIterable {
    case claimed
    case delivered
    case dead
    case skipped

    package var isTerminal: Bool { self != .claimed }
}

/// The steps that order a schedule's events with one fence (`sequence`, contract.md §5).
package enum EventStep: Int, Sendable {
    case schedule = 0
    case skipped = 10
    case delivered = 50
    case failed = 60
    case dead = 90
    case exhausted = 99
}
