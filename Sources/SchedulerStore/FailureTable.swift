package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Schedules whose executions gave up one after the other (`pause_after_failures`).
package enum FailureTable {
    /// How many of a schedule's latest rows are looked at: what was skipped between failures lies among them.
    private static let stretch = 1000

    /// Of those of $1 that ask for it, notes the ones whose latest executions gave up, as many as they ask for and without
    /// one among them that did not. Counted are those that ended since the schedule was last changed: a resume or an edit
    /// begins anew. What was skipped or cancelled says nothing.
    static let noteStatement = Statement(
        "schedules_note_failing",
        """
        INSERT INTO scheduler.failing_schedules (schedule_id, at, failures)
        SELECT s.id, $2, s.pause_after_failures
        FROM scheduler.schedules s
        CROSS JOIN LATERAL (
            SELECT count(*) AS ended, count(*) FILTER (WHERE l.state = 'dead') AS dead FROM (
                SELECT e.state FROM (
                    SELECT id, state, tracked, finished_at FROM scheduler.executions
                    WHERE \(ExecutionList.ofSchedule("s.id", before: "'ffffffff-ffff-ffff-ffff-ffffffffffff'"))
                    ORDER BY \(ExecutionList.latestFirst) LIMIT \(stretch)) e
                WHERE e.finished_at > s.updated_at AND e.state IN ('delivered', 'succeeded', 'dead')
                ORDER BY e.id DESC LIMIT s.pause_after_failures) l) latest
        WHERE s.id = ANY ($1::uuid[]) AND s.state = 'active' AND s.pause_after_failures IS NOT NULL
            AND latest.dead = s.pause_after_failures
        ON CONFLICT (schedule_id) DO NOTHING
        """, types: [.uuidArray, .timestamptz])

    /// For schedules of which this transaction has ended an execution as dead; their timers are locked.
    package static func note(_ ids: [ScheduleID], at now: Instant) -> Call {
        noteStatement(.ids(ids), .instant(now))
    }

    /// One that is to be paused.
    package struct Failing: Sendable {
        package let schedule: ScheduleID
        /// Nil where nobody knows whose it is.
        package let namespace: Namespace?
        package let failures: Int32
    }

    static let listStatement = Statement(
        "schedules_failing",
        """
        SELECT f.schedule_id, s.namespace, f.failures FROM scheduler.failing_schedules f
        LEFT JOIN scheduler.schedules s ON s.id = f.schedule_id ORDER BY f.at, f.schedule_id LIMIT 100
        """, isReadOnly: true)

    package static func list(on runner: some StatementRunner) async throws -> [Failing] {
        try await runner.query(listStatement, []).map { row in
            Failing(
                schedule: try row.scheduleID(0), namespace: try row.textOrNil(1).flatMap { try? Namespace($0) },
                failures: try row.int32(2))
        }
    }

    static let settleStatement = Statement(
        "schedules_settle_failing", "DELETE FROM scheduler.failing_schedules WHERE schedule_id = $1", types: [.uuid])

    /// There is nothing to pause any more: it is changed, and its failures count anew from there. The caller holds the
    /// timer, so a note stands either before that, and goes, or is of failures since.
    package static func settle(_ id: ScheduleID) -> Call { settleStatement(.id(id)) }

    /// Takes a note, once; the caller holds the timer. - Returns: false where somebody was quicker: another instance, or
    /// whoever changed the schedule.
    package static func take(_ id: ScheduleID, in transaction: PostgresTransaction) async throws -> Bool {
        try await transaction.query(settleStatement, [.id(id)]).affected > 0
    }
}
