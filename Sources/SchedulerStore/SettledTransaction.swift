package import PostgresClient

/// A transaction whose outcome is always learned: where COMMIT's answer is lost, PostgreSQL is asked what became of it.
///
/// Running the work again instead would need work that recognises itself; asking needs nothing but the transaction's
/// id, which is taken before anything is written.
package enum SettledTransaction {
    static let idStatement = Statement("transaction_id", "SELECT pg_current_xact_id()::text::bigint")
    static let statusStatement = Statement(
        "transaction_status", "SELECT pg_xact_status($1::text::xid8)", types: [.text], isReadOnly: true)

    /// How long PostgreSQL is asked for the outcome before the caller is told that nobody knows it.
    private static let patience = Duration.seconds(30)

    /// Runs `body` once, and commits with the calls that it returns.
    /// - Returns: what `body` returned beside the calls, and the calls' rows; nil where their answer was lost and the
    ///   transaction is known to have been committed all the same.
    /// - Throws: what `body` throws; `.connectionLost` where the answer was lost and nothing took place;
    ///   `.commitUnknown` only if PostgreSQL cannot be asked.
    package static func run<Value>(
        on connection: PostgresConnection, isolation: isolated (any Actor)? = #isolation,
        _ body: (PostgresTransaction) async throws -> (value: Value, calls: [Call])
    ) async throws -> (value: Value, rows: [PostgresRows]?) {
        var pending: (value: Value, id: Int64)?
        do {
            return try await connection.transaction { transaction in
                let id = try await transaction.query(idStatement).first?.int64(0) ?? 0
                let (value, calls) = try await body(transaction)
                pending = (value, id)
                return (value, try await transaction.commit(with: calls))
            }
        } catch let error as PostgresError where error.code == .commitUnknown {
            guard let pending else { throw error }
            if try await wasCommitted(pending.id, on: connection, orElse: error) { return (pending.value, nil) }
            throw PostgresError(
                .connectionLost, "the session ended before the commit took place: \(error.message)", cause: error.cause)
        }
    }

    private static func wasCommitted(
        _ id: Int64, on connection: PostgresConnection, orElse unknown: PostgresError
    ) async throws -> Bool {
        let deadline = ContinuousClock.now + patience
        while ContinuousClock.now < deadline {
            do {
                let rows = try await connection.query(statusStatement, [.text("\(id)")])
                switch try rows.first?.textOrNil(0) {
                case "committed": return true
                case "aborted": return false
                case "in progress": try await Task.sleep(for: .milliseconds(10))
                default: throw unknown
                }
            } catch let error as PostgresError where error.isConnectionLoss && error.code != .commitUnknown {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        throw unknown
    }
}
