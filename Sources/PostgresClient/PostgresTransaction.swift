import Synchronization

/// An open transaction, valid inside the body it was given to. Its calls fail once one of them has failed.
///
/// BEGIN travels with the first call and, in `commit(with:)`, COMMIT with the last: a transaction of two pipelines takes
/// two round trips.
package final class PostgresTransaction: Sendable {
    /// notBegun → open → committed | failed → rolledBack. Changed on the connection's thread only.
    enum Progress: Sendable {
        case notBegun, open, failed, committed, rolledBack
    }

    package enum Mode: Sendable {
        case readCommitted, repeatableRead, serializable, readOnly

        var begin: Statement {
            switch self {
            case .readCommitted: .begin
            case .repeatableRead:
                Statement("begin_repeatable_read", "BEGIN ISOLATION LEVEL REPEATABLE READ", isReadOnly: true)
            case .serializable:
                Statement("begin_serializable", "BEGIN ISOLATION LEVEL SERIALIZABLE", isReadOnly: true)
            case .readOnly:
                Statement("begin_read_only", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", isReadOnly: true)
            }
        }
    }

    package let deadline: ContinuousClock.Instant
    let mode: Mode
    private let connection: PostgresConnection
    private let state = Mutex(Progress.notBegun)

    var progress: Progress {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    init(_ connection: PostgresConnection, mode: Mode, deadline: ContinuousClock.Instant) {
        self.connection = connection
        self.mode = mode
        self.deadline = deadline
    }

    package func query(_ statement: Statement, _ values: [PostgresValue] = []) async throws(PostgresError)
        -> PostgresRows
    {
        try await pipeline([Call(statement, values)])[0]
    }

    /// All calls in one round trip.
    package func pipeline(_ calls: [Call]) async throws(PostgresError) -> [PostgresRows] {
        try await connection.run(calls, commits: false, in: self, deadline: deadline)
    }

    package func execute(script: String) async throws(PostgresError) {
        try await connection.run(script: script, in: self, deadline: deadline)
    }

    /// The last calls and COMMIT in one round trip. Nothing may follow in this transaction.
    @discardableResult
    package func commit(with calls: [Call] = []) async throws(PostgresError) -> [PostgresRows] {
        try await connection.run(calls, commits: true, in: self, deadline: deadline)
    }
}

extension PostgresConnection {
    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws.
    ///
    /// Throws what `body` throws, or a `PostgresError`; `.commitUnknown` if the session was lost while COMMIT was on
    /// its way. `deadline` bounds every call together; a body that waits for something else is bounded by
    /// `idle_in_transaction_session_timeout`, after which its next call fails.
    package func transaction<T>(
        _ mode: PostgresTransaction.Mode = .readCommitted, deadline: ContinuousClock.Instant? = nil,
        isolation: isolated (any Actor)? = #isolation, _ body: (PostgresTransaction) async throws -> T
    ) async throws -> T {
        let deadline = deadline ?? .now + configuration.callTimeout
        let transaction = PostgresTransaction(self, mode: mode, deadline: deadline)
        do {
            let value = try await body(transaction)
            switch transaction.progress {
            case .notBegun, .committed: break
            case .open: try await transaction.commit()
            case .failed, .rolledBack:
                throw PostgresError(
                    .transactionAborted, "expected the body to pass on the error of a call that failed in it")
            }
            return value
        } catch {
            if transaction.progress != .notBegun && transaction.progress != .committed {
                await rollBack(transaction)
            }
            throw error
        }
    }
}
