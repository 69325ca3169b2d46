package import PostgresClient

/// Where the epochs of role locks come from. They only grow, whatever happens to a bucket.
package enum LockTable {
    static let nextEpochStatement = Statement(
        "locks_next_epoch",
        """
        INSERT INTO scheduler.locks AS l (name, epoch) VALUES ($1, 1)
        ON CONFLICT (name) DO UPDATE SET epoch = l.epoch + 1 RETURNING epoch
        """, types: [.text])

    package static func nextEpoch(of name: String, on runner: some StatementRunner) async throws -> Int64 {
        try await runner.query(nextEpochStatement, [.text(name)]).first?.int64(0) ?? 0
    }

    static let holdStatement = Statement(
        "locks_hold", "SELECT epoch FROM scheduler.locks WHERE name = $1 FOR SHARE", types: [.text])

    /// Whether an epoch is still the latest; holds it for the transaction. The fence of a role's work.
    package static func holds(
        _ name: String, epoch: Int64, in transaction: PostgresTransaction
    ) async throws -> Bool {
        try await transaction.query(holdStatement, [.text(name)]).first?.int64(0) == epoch
    }
}
