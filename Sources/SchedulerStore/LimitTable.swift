import JSONText
package import PostgresClient
package import SchedulerCore

/// The limits of namespaces, beside their counts of schedules.
package enum LimitTable {
    static let columns =
        "n.max_schedules, n.commands_per_second, n.command_burst, n.min_interval_ms, n.max_payload_bytes, n.concurrency::json"

    /// A namespace as admins see it.
    package struct View: Hashable, Sendable {
        package let namespace: Namespace
        /// Those that count against the limit.
        package var schedules: Int64
        package var limits: NamespaceLimits

        package init(namespace: Namespace, schedules: Int64 = 0, limits: NamespaceLimits = NamespaceLimits()) {
            self.namespace = namespace
            self.schedules = schedules
            self.limits = limits
        }
    }

    static let currentStatement = Statement(
        "limits_current",
        """
        SELECT e.limits, n.namespace, n.schedule_count, \(columns)
        FROM scheduler.rules_epoch e LEFT JOIN scheduler.namespaces n
            ON n.commands_per_second IS NOT NULL OR n.min_interval_ms IS NOT NULL OR n.max_payload_bytes IS NOT NULL
        """, isReadOnly: true)

    /// The limits that instances keep by heart, and their epoch, in one look; the number of schedules is no such one.
    package static func current(
        on runner: some StatementRunner
    ) async throws -> (epoch: Int64, limits: [Namespace: NamespaceLimits])? {
        let rows = try await runner.query(currentStatement, [])
        guard let epoch = try rows.first?.int64(0) else { return nil }
        var limits: [Namespace: NamespaceLimits] = [:]
        for row in rows where !row.isNull(1) {
            if let view = try view(of: row, from: 1) { limits[view.namespace] = view.limits }
        }
        return (epoch, limits)
    }

    static let findStatement = Statement(
        "limits_find",
        "SELECT n.namespace, n.schedule_count, \(columns) FROM scheduler.namespaces n WHERE n.namespace = $1",
        types: [.text])

    /// Finds one, and takes the turn of a change, which lasts until the transaction ends.
    package static func find(
        _ namespace: Namespace, in transaction: PostgresTransaction
    ) async throws -> View? {
        _ = try await transaction.query(TargetTable.lockStatement, [])
        return try await transaction.query(findStatement, [.text(namespace.description)]).first
            .flatMap { try view(of: $0, from: 0) }
    }

    static let putStatement = Statement(
        "limits_put",
        """
        INSERT INTO scheduler.namespaces (namespace, schedule_count, max_schedules, commands_per_second, command_burst,
            min_interval_ms, max_payload_bytes, concurrency)
        VALUES ($1, 0, $2, $3, $4, $5, $6, $7::json::jsonb)
        ON CONFLICT (namespace) DO UPDATE SET max_schedules = excluded.max_schedules,
            commands_per_second = excluded.commands_per_second, command_burst = excluded.command_burst,
            min_interval_ms = excluded.min_interval_ms, max_payload_bytes = excluded.max_payload_bytes,
            concurrency = excluded.concurrency
        """, types: [.text, .int64, .float8, .int64, .int64, .int64, .json])
    static let growStatement = Statement("rules_epoch_limits", "UPDATE scheduler.rules_epoch SET limits = limits + 1")

    package static func put(_ limits: NamespaceLimits, of namespace: Namespace) -> [Call] {
        [
            putStatement(
                .text(namespace.description), .int64(limits.maxSchedules), .float8(limits.commandsPerSecond),
                .int64(limits.commandBurst), .int64(limits.minIntervalMilliseconds), .int64(limits.maxPayloadBytes),
                limits.concurrency.isEmpty ? .null : .json(text(limits.concurrency))),
            growStatement(),
        ]
    }

    static let listStatement = Statement(
        "limits_list",
        """
        SELECT n.namespace, n.schedule_count, \(columns) FROM scheduler.namespaces n
        WHERE n.namespace > $1 ORDER BY n.namespace LIMIT $2
        """, types: [.text, .int64], isReadOnly: true)

    /// A page of the namespaces that have or had schedules, or limits of their own; in the order of their names.
    /// - Returns: the page, and where the next one begins; nil after the last.
    package static func list(
        after namespace: String, limit: Int, on runner: some StatementRunner
    ) async throws -> (views: [View], next: String?) {
        let rows = try await runner.query(listStatement, [.text(namespace), .int64(Int64(limit))])
        let next = rows.count == limit ? try rows.last?.text(0) : nil
        return (try rows.compactMap { try view(of: $0, from: 0) }, next)
    }

    static func view(of row: PostgresRow, from first: Int) throws(PostgresError) -> View? {
        guard let namespace = try? Namespace(try row.text(first)) else { return nil }
        var limits = NamespaceLimits()
        limits.maxSchedules = try row.int64OrNil(first + 2)
        limits.commandsPerSecond = try row.float8OrNil(first + 3)
        limits.commandBurst = try row.int64OrNil(first + 4)
        limits.minIntervalMilliseconds = try row.int64OrNil(first + 5)
        limits.maxPayloadBytes = try row.int64OrNil(first + 6)
        if let text = try row.jsonOrNil(first + 7) { limits.concurrency = try places(text) }
        return View(namespace: namespace, schedules: try row.int64(first + 1), limits: limits)
    }

    private static func text(_ concurrency: [String: Int]) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.object { writer in
            for (key, places) in concurrency {
                writer.name(dynamic: key)
                writer.value(places)
            }
        }
        return writer.bytes
    }

    private static func places(_ text: [UInt8]) throws(PostgresError) -> [String: Int] {
        guard let value = try? JSONValue.parse(text) else {
            throw PostgresError(.decoding, "the concurrency of a namespace is no JSON")
        }
        return value.members.reduce(into: [:]) { $0[$1.name] = $1.value.int64.map { Int($0) } }
    }
}
