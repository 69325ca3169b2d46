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

    static let holdStatement = Statement(
        "namespaces_hold",
        """
        INSERT INTO scheduler.namespaces AS n (namespace, schedule_count) VALUES ($1, 0)
        ON CONFLICT (namespace) DO UPDATE SET schedule_count = n.schedule_count
        RETURNING greatest(0, coalesce(max_schedules, $2) - schedule_count)
        """, types: [.text, .int64])

    /// Locks the count until the transaction ends. - Returns: how many schedules the namespace may have besides.
    package static func hold(
        _ namespace: Namespace, limit: Int64, in transaction: PostgresTransaction
    ) async throws -> Int64 {
        let rows = try await transaction.query(holdStatement, [.text(namespace.description), .int64(limit)])
        return try rows.first?.int64(0) ?? 0
    }

    static let countStatement = Statement(
        "namespaces_count",
        "UPDATE scheduler.namespaces SET schedule_count = schedule_count + $2 WHERE namespace = $1",
        types: [.text, .int64])

    /// Counts so many more; the caller holds the count and has seen that there is room.
    package static func count(_ number: Int, more namespace: Namespace) -> Call {
        countStatement(.text(namespace.description), .int64(Int64(number)))
    }

    static let roomStatement = Statement(
        "namespaces_room",
        """
        SELECT greatest(0, coalesce(max_schedules, $2) - schedule_count) FROM scheduler.namespaces WHERE namespace = $1
        """, types: [.text, .int64], isReadOnly: true)

    /// How many schedules a namespace may have besides those that it has.
    package static func room(
        in namespace: Namespace, limit: Int64, on runner: some StatementRunner
    ) async throws -> Int64 {
        let rows = try await runner.query(roomStatement, [.text(namespace.description), .int64(limit)])
        return try rows.first?.int64(0) ?? max(0, limit)
    }

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
