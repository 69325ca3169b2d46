package import PostgresClient
package import Recurrence
package import SchedulerCore

/// One change, with what was and what is.
package struct AuditEntry: Sendable {
    package var at: Instant
    package var schedule: ScheduleID?
    /// Orders a schedule's events.
    package var fence: Int64
    package var version: Int64?
    package var namespace: String
    package var name: String?
    /// The event's name: `created`, `updated`, `paused`, `resumed`, `deleted`, `exhausted`, `invalidated`,
    /// `times_removed`.
    package var action: String
    package var actor: String?
    package var reason: String?
    package var requestID: String?
    package var before: [UInt8]?
    package var after: [UInt8]?

    package init(at: Instant, namespace: String, action: String, fence: Int64) {
        self.at = at
        self.namespace = namespace
        self.action = action
        self.fence = fence
    }

    /// Tells that a jump of the clocks leaves times of a schedule out. The timer's fence is this entry's own.
    package init(
        _ removed: RemovedTimes, of timer: Timer, names: (namespace: String, name: String), at now: Instant
    ) {
        self.init(at: now, namespace: names.namespace, action: "times_removed", fence: timer.fireSequence)
        schedule = timer.schedule
        name = names.name
        version = timer.version
        reason = removed.description
    }
}

/// The audit log, and the outbox of schedule events that lies on it.
package enum AuditTable {
    /// Writes an entry and owes its event, in one statement.
    static let insertStatement = Statement(
        "audit_insert",
        """
        WITH entry AS (
            INSERT INTO scheduler.audit_log
                (at, schedule_id, fence, version, namespace, name, action, actor, reason, request_id, before, after)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id, at)
        INSERT INTO scheduler.outbox (audit_id, at) SELECT id, at FROM entry RETURNING audit_id
        """,
        types: [
            .timestamptz, .uuid, .int64, .int64, .text, .text, .text, .text, .text, .text, .json, .json,
        ])

    package static func insert(_ entry: AuditEntry) -> Call {
        insertStatement(
            .instant(entry.at), .optional(entry.schedule) { .id($0) }, .int64(entry.fence), .int64(entry.version),
            .text(entry.namespace), .text(entry.name), .text(entry.action), .text(entry.actor), .text(entry.reason),
            .text(entry.requestID), .optional(entry.before) { .json($0) }, .optional(entry.after) { .json($0) })
    }

    static let noteStatement = Statement(
        "audit_note",
        """
        INSERT INTO scheduler.audit_log (at, fence, version, namespace, name, action, actor, reason, request_id, before,
            after)
        VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """, types: [.timestamptz, .int64, .text, .text, .text, .text, .text, .text, .json, .json])

    /// Writes an entry that no event tells of: what concerns no schedule.
    package static func note(_ entry: AuditEntry) -> Call {
        noteStatement(
            .instant(entry.at), .int64(entry.version), .text(entry.namespace), .text(entry.name), .text(entry.action),
            .text(entry.actor), .text(entry.reason), .text(entry.requestID), .optional(entry.before) { .json($0) },
            .optional(entry.after) { .json($0) })
    }

    /// The id that ``insert(_:)`` gave its entry.
    package static func insertedID(_ rows: PostgresRows) throws -> Int64? { try rows.first?.int64(0) }

    static let owedStatement = Statement(
        "outbox_owed",
        """
        SELECT a.id, a.at, a.schedule_id, a.fence, a.version, a.namespace, a.name, a.action, a.actor, a.reason,
            a.request_id
        FROM scheduler.outbox o JOIN scheduler.audit_log a ON a.id = o.audit_id
        WHERE o.at <= $1 AND NOT (o.audit_id = ANY ($3::bigint[]))
        ORDER BY o.audit_id LIMIT $2
        """, types: [.timestamptz, .int64, .int64Array], isReadOnly: true)

    /// Entries whose events no acknowledgement has come for, oldest first. Two instances may tell the same one: its id
    /// is the same.
    /// - Parameter except: what this instance is telling now.
    package static func owed(
        before instant: Instant, limit: Int, except telling: [Int64], on runner: some StatementRunner
    ) async throws -> [(id: Int64, entry: AuditEntry)] {
        let rows = try await runner.query(
            owedStatement, [.instant(instant), .int64(Int64(limit)), PostgresValue.int64s(telling)])
        return try rows.map { row in
            var entry = AuditEntry(
                at: try row.instant(1), namespace: try row.text(5), action: try row.text(7), fence: try row.int64(3))
            if !row.isNull(2) { entry.schedule = try row.scheduleID(2) }
            entry.version = try row.int64OrNil(4)
            entry.name = try row.textOrNil(6)
            entry.actor = try row.textOrNil(8)
            entry.reason = try row.textOrNil(9)
            entry.requestID = try row.textOrNil(10)
            return (try row.int64(0), entry)
        }
    }

    static let settleStatement = Statement(
        "outbox_settle", "DELETE FROM scheduler.outbox WHERE audit_id = ANY ($1::bigint[])", types: [.int64Array])

    /// The events of these entries are acknowledged.
    package static func settle(_ ids: [Int64]) -> Call { settleStatement(PostgresValue.int64s(ids)) }

    static let pendingStatement = Statement(
        "outbox_pending", "SELECT count(*) FROM scheduler.outbox", isReadOnly: true)

    package static func pending(on runner: some StatementRunner) async throws -> Int64 {
        try await runner.query(pendingStatement, []).first?.int64(0) ?? 0
    }

    /// Index `audit_log_at`, oldest first. An entry whose event is owed stays.
    static let forgetStatement = Statement(
        "audit_forget",
        """
        DELETE FROM scheduler.audit_log WHERE id IN (
            SELECT a.id FROM scheduler.audit_log a
            WHERE a.at < $1 AND NOT EXISTS (SELECT 1 FROM scheduler.outbox o WHERE o.audit_id = a.id)
            ORDER BY a.at LIMIT $2)
        """, types: [.timestamptz, .int64])

    /// Drops one page of entries older than the retention. - Returns: how many.
    package static func forget(
        before instant: Instant, page: Int = RetentionPage.size, on runner: some StatementRunner
    ) async throws -> Int {
        try await runner.query(forgetStatement, [.instant(instant), .int64(Int64(page))]).affected
    }
}
