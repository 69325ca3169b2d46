package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Deadlines of lives as the reaper meets them, and retries that wait for their schedule.
package enum RetryTable {
    /// What is due, earliest first: retries a little ahead, so that they go out at their time; or none of them. Index
    /// `runs_due`.
    static let dueStatement = Statement(
        "runs_due",
        """
        SELECT r.execution_id, r.schedule_id FROM scheduler.runs r
        WHERE r.deadline_at <= greatest($1, $2)
            AND r.deadline_at <= CASE WHEN r.deadline = 'retry' THEN $2 ELSE $1 END
        ORDER BY r.deadline_at LIMIT $3
        """, types: [.timestamptz, .timestamptz, .int64], isReadOnly: true)

    /// Executions with a deadline that has come. Nothing is locked.
    /// - Parameter retries: retries that are due by then are taken; nil for none.
    package static func due(
        at now: Instant, retriesThrough retries: Instant?, limit: Int, on runner: some StatementRunner
    ) async throws -> [(id: ExecutionID, schedule: ScheduleID)] {
        let values: [PostgresValue] = [.instant(now), .instant(retries), .int64(Int64(limit))]
        return try await runner.query(dueStatement, values).map { (try $0.executionID(0), try $0.scheduleID(1)) }
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
