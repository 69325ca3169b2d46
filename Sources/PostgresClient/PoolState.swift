/// The decisions of a pool, without connections, clocks or tasks: events come in as calls, what to do comes back.
///
///     a slot:    idle ⇄ leased
///     a waiter:  waiting → granted | refused | withdrawn
///     the pool:  running → draining (shut down; leases still out) → drained
///
/// Idle slots are leased last in, first out, so that a quiet pool keeps few sessions busy. Waiters are served in order.
package struct PoolState: Sendable {
    package typealias Slot = Int
    package typealias Waiter = UInt64

    package enum Lease: Equatable, Sendable {
        case grant(Slot)
        case wait(Waiter)
        case refuse(PostgresError.Code)
    }

    package enum Release: Equatable, Sendable {
        case grant(Slot, to: Waiter)
        case keep
        /// The pool is shutting down: close this slot; `isDrained` says it was the last.
        case close(Slot, isDrained: Bool)
    }

    package struct ShutDown: Equatable, Sendable {
        package var refused: [Waiter]
        package var close: [Slot]
        package var isDrained: Bool
    }

    package let size: Int
    package let maximumWaiters: Int
    package private(set) var idle: [Slot]
    package private(set) var leased: Set<Slot> = []
    package private(set) var waiters: [Waiter] = []
    package private(set) var isShutDown = false
    package private(set) var backOff: BackOff
    private var lastWaiter: Waiter = 0

    package init(size: Int, maximumWaiters: Int, backOff: BackOff = BackOff()) {
        self.size = size
        self.maximumWaiters = maximumWaiters
        self.backOff = backOff
        idle = (0..<size).reversed()
    }

    package mutating func lease() -> Lease {
        if isShutDown { return .refuse(.shuttingDown) }
        if let slot = idle.popLast() {
            leased.insert(slot)
            return .grant(slot)
        }
        if waiters.count >= maximumWaiters { return .refuse(.poolExhausted) }
        lastWaiter += 1
        waiters.append(lastWaiter)
        return .wait(lastWaiter)
    }

    /// A slot comes back. A second release of the same slot changes nothing.
    package mutating func release(_ slot: Slot) -> Release {
        guard leased.contains(slot) else { return .keep }
        if isShutDown {
            leased.remove(slot)
            return .close(slot, isDrained: leased.isEmpty)
        }
        if !waiters.isEmpty { return .grant(slot, to: waiters.removeFirst()) }
        leased.remove(slot)
        idle.append(slot)
        return .keep
    }

    /// A waiter gives up: its deadline passed or its task was cancelled. False if it was already served or refused.
    package mutating func withdraw(_ waiter: Waiter) -> Bool {
        guard let index = waiters.firstIndex(of: waiter) else { return false }
        waiters.remove(at: index)
        return true
    }

    package mutating func shutDown() -> ShutDown {
        isShutDown = true
        defer {
            waiters = []
            idle = []
        }
        return ShutDown(refused: waiters, close: idle, isDrained: leased.isEmpty)
    }

    /// `jitter` in 0..<1 spreads the attempts of many processes after one outage.
    package mutating func connectFailed(_ code: PostgresError.Code, now: ContinuousClock.Instant, jitter: Double) {
        backOff.failed(code, now: now, jitter: jitter)
    }

    package mutating func connected() { backOff.succeeded() }
}

/// When the next attempt to open a session may be made. One for the whole pool: its connections go to one server.
package struct BackOff: Sendable {
    package var base: Duration = .milliseconds(50)
    package var cap: Duration = .seconds(2)
    package private(set) var failures = 0
    package private(set) var lastFailure: PostgresError.Code?
    package private(set) var notBefore: ContinuousClock.Instant?

    package init() {}

    /// Doubles from `base` to `cap`; the wait is between half of that and the whole. Attempts that were under way
    /// together count as one: only a failure after the current wait lengthens it.
    mutating func failed(_ code: PostgresError.Code, now: ContinuousClock.Instant, jitter: Double) {
        lastFailure = code
        if let notBefore, now < notBefore { return }
        failures += 1
        let full = min(base * (1 << min(failures - 1, 16)), cap)
        notBefore = now + full * (0.5 + 0.5 * jitter)
    }

    mutating func succeeded() {
        failures = 0
        lastFailure = nil
        notBefore = nil
    }
}
