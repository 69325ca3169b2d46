/// How often a transaction is run before its error is passed on, and how long to wait in between.
package struct RetryPolicy: Sendable {
    /// Runs in all, the first included; 1 or more.
    package var attempts: Int
    /// The wait before the second run; doubles up to `maximumDelay`, each with jitter.
    package var delay: Duration
    package var maximumDelay: Duration

    package init(
        attempts: Int = 5, delay: Duration = .milliseconds(10), maximumDelay: Duration = .seconds(1)
    ) {
        self.attempts = attempts
        self.delay = delay
        self.maximumDelay = maximumDelay
    }

    package static let never = RetryPolicy(attempts: 1)

    /// The wait after the `attempt`th run (from 1); nil when there shall be no other. `jitter` in 0..<1.
    package func wait(after attempt: Int, _ error: PostgresError, jitter: Double) -> Duration? {
        guard attempt < attempts, error.isRetryable else { return nil }
        let full = min(delay * (1 << min(attempt - 1, 16)), maximumDelay)
        return full * (0.5 + 0.5 * jitter)
    }
}

extension PostgresPool {
    /// Runs `body` in a transaction on a leased connection, again after an error that `policy` retries: serialization
    /// failure, deadlock, a lost session, a COMMIT whose outcome is unknown.
    ///
    /// So `body` must be idempotent: after `.commitUnknown` it may find its own work already there. `deadline` bounds
    /// everything: the lease, all runs and the waits between them.
    package func withTransaction<T>(
        _ mode: PostgresTransaction.Mode = .readCommitted, retrying policy: RetryPolicy = RetryPolicy(),
        deadline: ContinuousClock.Instant? = nil, isolation: isolated (any Actor)? = #isolation,
        _ body: (PostgresTransaction) async throws -> T
    ) async throws -> T {
        let deadline = deadline ?? .now + callTimeout
        var attempt = 1
        while true {
            do {
                return try await withConnection(deadline: deadline) { connection in
                    try await connection.transaction(mode, deadline: deadline, body)
                }
            } catch let error as PostgresError {
                let jitter = Double.random(in: 0..<1)
                guard let wait = policy.wait(after: attempt, error, jitter: jitter), .now + wait < deadline else {
                    throw error
                }
                do {
                    try await Task.sleep(for: wait, clock: .continuous)
                } catch {
                    throw PostgresError(.cancelled, "the task was cancelled before the transaction ran again")
                }
                attempt += 1
            }
        }
    }
}
