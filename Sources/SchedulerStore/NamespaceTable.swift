package import PostgresClient
package import SchedulerCore

/// The count of schedules that a namespace's limit is held against, kept in the commands' own transactions.
package enum NamespaceTable {
    /// Counts one more if the limit allows: the row's lock makes parallel creates end at exactly the limit.
    static let takeStatement = Statement(
        "namespaces_take",
        """
        INSERT INTO scheduler.namespaces AS n (namespace, schedule_count) VALUES ($1, 1)
        ON CONFLICT (namespace) DO UPDATE SET schedule_count = n.schedule_count + 1
            WHERE n.schedule_count < coalesce(n.max_schedules, $2)
        RETURNING schedule_count
        """, types: [.text, .int64])

    /// - Returns: false if the namespace is at its limit.
    package static func take(
        _ namespace: Namespace, limit: Int64, in transaction: PostgresTransaction
    ) async throws -> Bool {
        guard limit > 0 else { return false }
        return try await transaction.query(takeStatement, [.text(namespace.description), .int64(limit)]).count == 1
    }

    static let giveBackStatement = Statement(
        "namespaces_give_back",
        "UPDATE scheduler.namespaces SET schedule_count = greatest(0, schedule_count - 1) WHERE namespace = $1",
        types: [.text])

    package static func giveBack(_ namespace: Namespace) -> Call { giveBackStatement(.text(namespace.description)) }

    static let setLimitStatement = Statement(
        "namespaces_set_limit",
        """
        INSERT INTO scheduler.namespaces (namespace, schedule_count, max_schedules) VALUES ($1, 0, $2)
        ON CONFLICT (namespace) DO UPDATE SET max_schedules = excluded.max_schedules
        """, types: [.text, .int64])

    /// Sets how many schedules a namespace may have, in place of the setting.
    package static func setLimit(
        _ limit: Int64, of namespace: Namespace, on connection: PostgresConnection
    ) async throws {
        _ = try await connection.query(setLimitStatement, [.text(namespace.description), .int64(limit)])
    }
}
