import Synchronization

/// A few connections shared by many tasks. `PoolState` decides; this shell opens, hands out and waits.
///
/// A connection opens in the task that leased it, so the pool needs no task of its own. While the server cannot be
/// reached, leases wait in back-off and try again until their deadline, then throw what the last attempt threw.
///
/// Connections reopen by themselves: no state of a session (locks, temporary tables, SET) may live from one call to the
/// next. What needs that takes a `PostgresConnection` of its own.
package final class PostgresPool: Sendable {
    package struct Health: Sendable, Equatable {
        package var size: Int
        package var leased: Int
        package var waiting: Int
        /// Connections that hold a session.
        package var open: Int
        /// Failed attempts to open a session since the last that succeeded.
        package var failures: Int
        package var lastFailure: PostgresError.Code?
        package var isShutDown: Bool
    }

    private struct Storage {
        var state: PoolState
        var connections: [PostgresConnection?]
        var waiters: [PoolState.Waiter: CheckedContinuation<PoolState.Slot, any Error>] = [:]
        /// Resumed when the last lease comes back after the shutdown.
        var drained: [CheckedContinuation<Void, Never>] = []
        /// What befell waiters whose continuation was not stored yet.
        var granted: [PoolState.Waiter: PoolState.Slot] = [:]
        var withdrawn: [PoolState.Waiter: PostgresError] = [:]
    }

    private let configuration: PostgresConfiguration
    private let storage: Mutex<Storage>

    var callTimeout: Duration { configuration.callTimeout }

    /// - Parameters:
    ///   - size: connections, and threads, at most; 1 or more.
    ///   - maximumWaiters: leases that may wait for a connection; more are refused with `.poolExhausted`.
    package init(_ configuration: PostgresConfiguration, size: Int, maximumWaiters: Int = 256) {
        precondition(size > 0, "expected a pool of at least one connection, got \(size)")
        self.configuration = configuration
        storage = Mutex(
            Storage(
                state: PoolState(size: size, maximumWaiters: maximumWaiters),
                connections: Array(repeating: nil, count: size)))
    }

    package var health: Health {
        storage.withLock { storage in
            let state = storage.state
            return Health(
                size: state.size, leased: state.leased.count, waiting: state.waiters.count,
                open: storage.connections.count { $0?.isOpen == true }, failures: state.backOff.failures,
                lastFailure: state.backOff.lastFailure, isShutDown: state.isShutDown)
        }
    }

    /// Lends a connection with an open session to `body`.
    ///
    /// `deadline` bounds the wait for it, not `body`; without one the configuration's `callTimeout` does. Throws
    /// `.poolExhausted`, `.timedOut`, `.cancelled`, `.shuttingDown`, what opening threw, or what `body` throws.
    package func withConnection<T>(
        deadline: ContinuousClock.Instant? = nil, isolation: isolated (any Actor)? = #isolation,
        _ body: (PostgresConnection) async throws -> T
    ) async throws -> T {
        let deadline = deadline ?? .now + configuration.callTimeout
        // What needs no waiting stays on the caller's executor: each async step would be a hop.
        let slot: PoolState.Slot
        switch storage.withLock({ $0.state.lease() }) {
        case .grant(let granted): slot = granted
        case .wait(let waiter): slot = try await wait(waiter, deadline)
        case .refuse(let code): throw Self.refusal(code)
        }
        do {
            let connection = try connection(slot)
            if !connection.isOpen { try await open(connection, deadline) }
            let value = try await body(connection)
            if let ended = release(slot) { await ended.close() }
            return value
        } catch {
            if let ended = release(slot) { await ended.close() }
            throw error
        }
    }

    /// Refuses new leases, waits for those that are out until `deadline`, then cuts their sessions and returns.
    package func shutDown(deadline: ContinuousClock.Instant) async {
        let (decision, waiters) = storage.withLock { storage in
            let decision = storage.state.shutDown()
            return (decision, decision.refused.compactMap { storage.waiters.removeValue(forKey: $0) })
        }
        for waiter in waiters { waiter.resume(throwing: Self.shuttingDown) }
        for slot in decision.close { await takeConnection(slot)?.close() }
        if decision.isDrained { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitUntilDrained() }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                self.cutLeases()
            }
            await group.next()
            self.resumeDrained()
            group.cancelAll()
        }
    }

    private static let shuttingDown = PostgresError(.shuttingDown, "the pool is shutting down")

    private static func refusal(_ code: PostgresError.Code) -> PostgresError {
        if code == .shuttingDown { return shuttingDown }
        return PostgresError(code, "expected a free connection, got none, and too many wait for one")
    }
}

// MARK: - Leases

extension PostgresPool {
    /// Waits in a task beside a timer; whichever of grant, deadline and cancellation comes first ends it.
    private func wait(_ waiter: PoolState.Waiter, _ deadline: ContinuousClock.Instant) async throws -> PoolState.Slot {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Cancelled when the wait is over; a cancellation from outside reaches the handler below as well.
                if (try? await Task.sleep(until: deadline, clock: .continuous)) == nil { return }
                self.withdraw(waiter, PostgresError(.timedOut, "expected a free connection before the deadline"))
            }
            defer { group.cancelAll() }
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in store(continuation, waiter) }
            } onCancel: {
                withdraw(waiter, PostgresError(.cancelled, "the task was cancelled while it waited"))
            }
        }
    }

    /// The waiter may have been served, refused or withdrawn between joining the queue and getting here.
    private func store(_ continuation: CheckedContinuation<PoolState.Slot, any Error>, _ waiter: PoolState.Waiter) {
        let outcome: Result<PoolState.Slot, any Error>? = storage.withLock { storage in
            if let error = storage.withdrawn.removeValue(forKey: waiter) { return .failure(error) }
            if let slot = storage.granted.removeValue(forKey: waiter) { return .success(slot) }
            if storage.state.isShutDown { return .failure(Self.shuttingDown) }
            storage.waiters[waiter] = continuation
            return nil
        }
        if let outcome { continuation.resume(with: outcome) }
    }

    private func withdraw(_ waiter: PoolState.Waiter, _ error: PostgresError) {
        let continuation = storage.withLock { storage in
            guard storage.state.withdraw(waiter) else {
                return nil as CheckedContinuation<PoolState.Slot, any Error>?
            }
            if let continuation = storage.waiters.removeValue(forKey: waiter) { return continuation }
            storage.withdrawn[waiter] = error
            return nil
        }
        continuation?.resume(throwing: error)
    }

    /// Gives a slot back: to the next waiter, or to the idle ones. Returns the connection to close if the pool is
    /// shutting down.
    private func release(_ slot: PoolState.Slot) -> PostgresConnection? {
        let (decision, continuation) = storage.withLock { storage in
            let decision = storage.state.release(slot)
            guard case .grant(let slot, let waiter) = decision else {
                return (decision, nil as CheckedContinuation<PoolState.Slot, any Error>?)
            }
            let continuation = storage.waiters.removeValue(forKey: waiter)
            if continuation == nil { storage.granted[waiter] = slot }
            return (decision, continuation)
        }
        switch decision {
        case .keep: return nil
        case .grant(let slot, _):
            continuation?.resume(returning: slot)
            return nil
        case .close(let slot, let isDrained):
            defer { if isDrained { resumeDrained() } }
            return takeConnection(slot)
        }
    }
}

// MARK: - Sessions

extension PostgresPool {
    /// Opens a session, tried again in back-off until `deadline`.
    private func open(_ connection: PostgresConnection, _ deadline: ContinuousClock.Instant) async throws {
        while !connection.isOpen {
            if storage.withLock({ $0.state.isShutDown }) { throw Self.shuttingDown }
            if let notBefore = storage.withLock({ $0.state.backOff.notBefore }), notBefore > .now {
                try await sleep(until: notBefore, deadline)
            }
            do {
                try await connection.open(deadline: deadline)
                storage.withLock { $0.state.connected() }
            } catch {
                let jitter = Double.random(in: 0..<1)
                storage.withLock { $0.state.connectFailed(error.code, now: .now, jitter: jitter) }
                guard error.isConnectionLoss, deadline > .now else { throw error }
            }
        }
    }

    private func sleep(until instant: ContinuousClock.Instant, _ deadline: ContinuousClock.Instant) async throws {
        let code = storage.withLock { $0.state.backOff.lastFailure } ?? .connectionRefused
        do {
            try await Task.sleep(until: min(instant, deadline), clock: .continuous)
        } catch {
            throw PostgresError(.cancelled, "the task was cancelled while it waited for the server")
        }
        if instant >= deadline {
            throw PostgresError(code, "expected the server to accept a session before the deadline, it did not")
        }
    }

    private func connection(_ slot: PoolState.Slot) throws -> PostgresConnection {
        if let connection = storage.withLock({ $0.connections[slot] }) { return connection }
        // The lease makes this task the only one to touch the slot.
        let connection = try PostgresConnection(configuration, reopens: true)
        storage.withLock { $0.connections[slot] = connection }
        return connection
    }

    private func takeConnection(_ slot: PoolState.Slot) -> PostgresConnection? {
        storage.withLock { storage in
            defer { storage.connections[slot] = nil }
            return storage.connections[slot]
        }
    }

    private func waitUntilDrained() async {
        await withCheckedContinuation { continuation in
            let isDrained = storage.withLock { storage in
                if storage.state.leased.isEmpty { return true }
                storage.drained.append(continuation)
                return false
            }
            if isDrained { continuation.resume() }
        }
    }

    private func resumeDrained() {
        let waiting = storage.withLock { storage in
            defer { storage.drained = [] }
            return storage.drained
        }
        for continuation in waiting { continuation.resume() }
    }

    private func cutLeases() {
        let connections = storage.withLock { storage in storage.state.leased.map { storage.connections[$0] } }
        for connection in connections { connection?.abort() }
    }
}
