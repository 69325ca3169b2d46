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
    /// `times_removed`, `absent`, `command_accepted`, `command_rejected`. Without an event: `triggered`, `backfilled`,
    /// `execution_cancelled`, `execution_retried`, `schedule_restored`, and what concerns no schedule.
    package var action: String
    package var actor: String?
    package var reason: String?
    package var requestID: String?
    package var before: [UInt8]?
    package var after: [UInt8]?
    /// Of the command that made the change.
    package var trace = Correlation.current.trace

    /// What the event of a submitted command tells beside the rest.
    package var outcome: [UInt8]? {
        action == "command_accepted" || action == "command_rejected" ? after : nil
    }

    /// A schedule was put back that was not there.
    package static let scheduleRestored = "schedule_restored"

    package init(at: Instant, namespace: String, action: String, fence: Int64) {
        self.at = at
        self.namespace = namespace
        self.action = action
        self.fence = fence
    }

    /// Tells that no message came by a deadline. The timer's fence is this entry's own.
    package init(
        absenceBy deadline: Instant, on subject: String, of timer: Timer, names: (namespace: String, name: String),
        at now: Instant
    ) {
        self.init(at: now, namespace: names.namespace, action: "absent", fence: timer.fireSequence)
        schedule = timer.schedule
        name = names.name
        version = timer.version
        reason = "no message came on '\(subject)' by \(deadline.rfc3339)"
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
                (at, schedule_id, fence, version, namespace, name, action, actor, reason, request_id, before, after,
                 trace)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id, at)
        INSERT INTO scheduler.outbox (audit_id, at) SELECT id, at FROM entry RETURNING audit_id
        """,
        types: [
            .timestamptz, .uuid, .int64, .int64, .text, .text, .text, .text, .text, .text, .json, .json, .text,
        ])

    package static func insert(_ entry: AuditEntry) -> Call {
        insertStatement(
            .instant(entry.at), .optional(entry.schedule) { .id($0) }, .int64(entry.fence), .int64(entry.version),
            .text(entry.namespace), .text(entry.name), .text(entry.action), .text(entry.actor), .text(entry.reason),
            .text(entry.requestID), .optional(entry.before) { .json($0) }, .optional(entry.after) { .json($0) },
            .text(entry.trace?.text))
    }

    static let noteStatement = Statement(
        "audit_note",
        """
        INSERT INTO scheduler.audit_log (at, fence, version, namespace, name, action, actor, reason, request_id, before,
            after, schedule_id)
        VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """, types: [.timestamptz, .int64, .text, .text, .text, .text, .text, .text, .json, .json, .uuid])

    /// Writes an entry that no event of a schedule tells of: what concerns none, and what is asked for its executions.
    package static func note(_ entry: AuditEntry) -> Call {
        noteStatement(
            .instant(entry.at), .int64(entry.version), .text(entry.namespace), .text(entry.name), .text(entry.action),
            .text(entry.actor), .text(entry.reason), .text(entry.requestID), .optional(entry.before) { .json($0) },
            .optional(entry.after) { .json($0) }, .optional(entry.schedule) { .id($0) })
    }

    /// The id that ``insert(_:)`` gave its entry.
    package static func insertedID(_ rows: PostgresRows) throws -> Int64? { try rows.first?.int64(0) }

    static let owedStatement = Statement(
        "outbox_owed",
        """
        SELECT a.id, a.at, a.schedule_id, a.fence, a.version, a.namespace, a.name, a.action, a.actor, a.reason,
            a.request_id, CASE WHEN a.action IN ('command_accepted', 'command_rejected') THEN a.after END, a.trace
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
            entry.after = try row.jsonOrNil(11)
            entry.trace = try row.textOrNil(12).flatMap { TraceContext(text: $0) }
            return (try row.int64(0), entry)
        }
    }

    static let settleStatement = Statement(
        "outbox_settle", "DELETE FROM scheduler.outbox WHERE audit_id = ANY ($1::bigint[])", types: [.int64Array])

    /// The events of these entries are acknowledged.
    package static func settle(_ ids: [Int64]) -> Call { settleStatement(PostgresValue.int64s(ids)) }

    static let pendingStatement = Statement(
        "outbox_pending",
        "SELECT (SELECT count(*) FROM scheduler.outbox) + (SELECT count(*) FROM scheduler.owed_messages)",
        isReadOnly: true)

    /// How many events and dead letters wait to be acknowledged.
    package static func pending(on runner: some StatementRunner) async throws -> Int64 {
        try await runner.query(pendingStatement, []).first?.int64(0) ?? 0
    }
}
