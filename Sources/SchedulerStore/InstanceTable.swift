package import PostgresClient
package import Recurrence
package import SchedulerCore

/// The incarnations of processes, and the fence that ends one.
package enum InstanceTable {
    static let registerStatement = Statement(
        "instances_register",
        "INSERT INTO scheduler.instances (id, started_at, name) VALUES ($1, clock_timestamp(), $2)",
        types: [.uuid, .text])

    package static func register(
        _ id: InstanceID, name: String, on runner: some StatementRunner
    ) async throws {
        _ = try await runner.query(registerStatement, [.id(id), .text(name)])
    }

    static let holdStatement = Statement("instances_hold", "SELECT scheduler.hold_membership($1)", types: [.uuid])

    /// Fails the transaction with CR001 if the instance is fenced; otherwise a fence waits for its end.
    package static func hold(_ id: InstanceID) -> Call { holdStatement(.id(id)) }

    /// SQLSTATE of ``hold(_:)``'s refusal.
    package static let fencedState = "CR001"

    static let terminateStatement = Statement(
        "instances_terminate",
        """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()
        """, types: [.text])
    static let fenceStatement = Statement(
        "instances_fence",
        """
        UPDATE scheduler.instances SET fenced_at = clock_timestamp(), fenced_by = $2
        WHERE id = $1 AND fenced_at IS NULL
        """, types: [.uuid, .uuid])

    /// What an instance's sessions are called: a fence ends them by this name.
    package static func applicationName(of id: InstanceID) -> String { "carillon \(id)" }

    /// Ends a member's right to change anything. Its sessions are ended first: a process stopped inside a transaction
    /// would hold its rows, and the fence would wait for it.
    /// - Returns: false if it was fenced before.
    package static func fence(
        _ victim: InstanceID, by own: InstanceID, on connection: PostgresConnection
    ) async throws -> Bool {
        if victim != own {
            _ = try await connection.query(terminateStatement, [.text(applicationName(of: victim))])
        }
        return try await connection.query(fenceStatement, [.id(victim), .id(own)]).affected == 1
    }

    static let unfencedStatement = Statement(
        "instances_unfenced", "SELECT id FROM scheduler.instances WHERE fenced_at IS NULL", isReadOnly: true)

    /// The incarnations that may change things.
    package static func unfenced(on runner: some StatementRunner) async throws -> Set<InstanceID> {
        var instances: Set<InstanceID> = []
        for row in try await runner.query(unfencedStatement, []) { instances.insert(try row.instanceID(0)) }
        return instances
    }

    static let membersStatement = Statement(
        "instances_members",
        "SELECT id, name, started_at FROM scheduler.instances WHERE fenced_at IS NULL ORDER BY started_at, id",
        isReadOnly: true)

    /// The incarnations that may change things, with their names, the oldest first.
    package static func members(
        on runner: some StatementRunner
    ) async throws -> [(id: InstanceID, name: String, startedAt: Instant)] {
        try await runner.query(membersStatement, []).map {
            (try $0.instanceID(0), try $0.text(1), try $0.instant(2))
        }
    }

    /// Along the key, whose values grow with time. An instance that left claims behind stays until they are rescued.
    static let forgetStatement = Statement(
        "instances_forget",
        """
        DELETE FROM scheduler.instances WHERE id IN (
            SELECT i.id FROM scheduler.instances i
            WHERE i.fenced_at < $1 AND NOT EXISTS (SELECT 1 FROM scheduler.claims c WHERE c.instance = i.id)
            ORDER BY i.id LIMIT $2)
        """, types: [.timestamptz, .int64])

    /// Drops one page of instances fenced before `instant`. - Returns: how many.
    package static func forgetFenced(
        before instant: Instant, page: Int = RetentionPage.size, on runner: some StatementRunner
    ) async throws -> Int {
        try await runner.query(forgetStatement, [.instant(instant), .int64(Int64(page))]).affected
    }

    static let clockStatement = Statement("clock", "SELECT clock_timestamp()", isReadOnly: true)

    /// PostgreSQL's clock, in microseconds since 1970.
    package static func clock(on runner: some StatementRunner) async throws -> Int64 {
        guard let row = try await runner.query(clockStatement, []).first else { return 0 }
        return try row.timestamptz(0)
    }
}
