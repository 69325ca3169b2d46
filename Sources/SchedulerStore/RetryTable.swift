package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Deadlines of lives as the reaper meets them, and retries that wait for their schedule.
package enum RetryTable {
    /// What is due, earliest first. A bound that is null takes none of its kind. Index `runs_due`.
    static let dueStatement = Statement(
        "runs_due",
        """
        SELECT r.execution_id, r.schedule_id, r.deadline_at FROM scheduler.runs r
        WHERE r.deadline_at <= greatest($1, $2, $3)
            AND r.deadline_at <= CASE r.deadline WHEN 'retry' THEN $1 WHEN 'cancel' THEN $2 ELSE $3 END
        ORDER BY r.deadline_at LIMIT $4
        """, types: [.timestamptz, .timestamptz, .timestamptz, .int64], isReadOnly: true)

    /// A deadline that has come.
    package struct Due: Sendable {
        package let id: ExecutionID
        package let schedule: ScheduleID
        package let at: Instant
    }

    /// Executions whose deadline has come. Nothing is locked.
    /// - Parameters:
    ///   - retries: retries that are due by then are taken; nil for none.
    ///   - cancellations: the same of workers that were asked to stop.
    ///   - workers: the same of those that begin, give signs of life, or end.
    package static func due(
        retries: Instant?, cancellations: Instant?, workers: Instant?, limit: Int, on runner: some StatementRunner
    ) async throws -> [Due] {
        let values: [PostgresValue] = [
            .instant(retries), .instant(cancellations), .instant(workers), .int64(Int64(limit)),
        ]
        return try await runner.query(dueStatement, values).map {
            Due(id: try $0.executionID(0), schedule: try $0.scheduleID(1), at: try $0.instant(2))
        }
    }

    static let statesStatement = Statement(
        "schedules_states", "SELECT id, state FROM scheduler.schedules WHERE id = ANY ($1::uuid[])",
        types: [.uuidArray], isReadOnly: true)

    /// How schedules stand; what is gone is missing. The caller holds their timers' locks, so it stays so.
    package static func states(
        of ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> [ScheduleID: ScheduleState] {
        var states: [ScheduleID: ScheduleState] = [:]
        for row in try await transaction.query(statesStatement, [.ids(ids)]) {
            states[try row.scheduleID(0)] = try row.choice(1)
        }
        return states
    }

    static let holdStatement = Statement(
        "runs_hold",
        """
        UPDATE scheduler.runs r SET deadline_at = u.until, held_until = u.until
        FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, until)
        WHERE r.execution_id = u.id AND r.deadline_at IS NOT NULL
        """)

    /// Puts deadlines off.
    package static func hold(_ held: [(id: ExecutionID, until: Instant)]) -> Call {
        holdStatement(.uuids(held, \.id.uuid), .instants(held, \.until))
    }

    static let releaseStatement = Statement(
        "runs_release",
        """
        UPDATE scheduler.runs SET deadline_at = $2
        WHERE schedule_id = $1 AND state = 'retry_wait' AND deadline_at = held_until AND deadline_at > $2
        """, types: [.uuid, .timestamptz])

    /// The schedule goes on: its retries that were put off are due.
    package static func release(_ schedule: ScheduleID, at now: Instant) -> Call {
        releaseStatement(.id(schedule), .instant(now))
    }

    static let releaseHeldStatement = Statement(
        "runs_release_held",
        """
        WITH held AS (
            SELECT r.execution_id FROM scheduler.runs r JOIN scheduler.schedules s ON s.id = r.schedule_id
            WHERE r.state = 'retry_wait' AND r.deadline_at = r.held_until AND r.deadline_at > $2
                AND s.state NOT IN ('paused', 'invalid') AND ($1::text IS NULL OR s.namespace = $1)
            ORDER BY r.execution_id FOR UPDATE OF r)
        UPDATE scheduler.runs r SET deadline_at = $2 FROM held h WHERE r.execution_id = h.execution_id
        """, types: [.text, .timestamptz])

    /// A freeze is another from now on: the retries that it may have put off are due, of one namespace or of all. Whom
    /// a freeze still holds is put off again. Index `runs_due`: what is put off is due within a minute.
    package static func release(in namespace: Namespace?, at now: Instant) -> Call {
        releaseHeldStatement(.text(namespace?.description), .instant(now))
    }

    static let hastenStatement = Statement(
        "runs_hasten",
        """
        UPDATE scheduler.runs SET deadline_at = $2
        WHERE schedule_id = $1 AND state = 'retry_wait' AND deadline_at > $2
        """, types: [.uuid, .timestamptz])

    /// The schedule is gone: the reaper ends its retries now.
    package static func hasten(_ schedule: ScheduleID, at now: Instant) -> Call {
        hastenStatement(.id(schedule), .instant(now))
    }
}
