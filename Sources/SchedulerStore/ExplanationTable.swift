import PostgresClient
package import Recurrence
package import SchedulerCore

/// What the tables say of one moment of a schedule.
package enum ExplanationTable {
    /// Executions that one explanation looks at, on either side of the moment.
    package static let most = 50

    static let nearStatement = Statement(
        "executions_near",
        """
        SELECT \(ExecutionTable.columns) FROM scheduler.executions e
        WHERE \(ExecutionList.ofSchedule("$1", from: "$2", before: "$3"))
        ORDER BY schedule_id, id LIMIT $4
        """, types: [.uuid, .uuid, .uuid, .int64], isReadOnly: true)

    /// The rows scheduled in `from...through`, oldest first.
    package static func executions(
        of schedule: ScheduleID, from: Instant, through: Instant, on runner: some StatementRunner
    ) async throws -> [Execution] {
        try await runner.query(
            nearStatement,
            [
                .id(schedule), .uuid(.lowest(at: from)), .uuid(.lowest(at: through.adding(milliseconds: 1))),
                .int64(Int64(most)),
            ]
        ).map { try ExecutionTable.execution(of: $0) }
    }

    /// The range of skipped occurrences in which an instant lies. Its row stands under the range's last occurrence, and
    /// no row of the schedule's own time lies between: it is among the next ones, unless triggers crowd it out.
    package static func range(
        of schedule: ScheduleID, around instant: Instant, on runner: some StatementRunner
    ) async throws -> Execution? {
        let rows = try await executions(of: schedule, from: instant, through: .latest, on: runner)
        return rows.first { row in row.rangeFrom.map { $0 <= instant } ?? false }
    }

    static let deadlinesStatement = Statement(
        "runs_deadlines",
        """
        SELECT execution_id, deadline, deadline_at FROM scheduler.runs
        WHERE execution_id = ANY ($1::uuid[]) AND deadline_at IS NOT NULL
        """, types: [.uuidArray], isReadOnly: true)

    /// What is watched for of these executions; of what is over, or with its claimant, nothing.
    package static func deadlines(
        of ids: [ExecutionID], on runner: some StatementRunner
    ) async throws -> [ExecutionID: Life.Deadline] {
        guard !ids.isEmpty else { return [:] }
        var deadlines: [ExecutionID: Life.Deadline] = [:]
        for row in try await runner.query(deadlinesStatement, [.ids(ids)]) {
            deadlines[try row.executionID(0)] = Life.Deadline(try row.choice(1), at: try row.instant(2))
        }
        return deadlines
    }

    static let stateStatement = Statement(
        "audit_state_at",
        """
        SELECT at, action, actor, reason FROM scheduler.audit_log
        WHERE schedule_id = $1 AND at <= $2
            AND action IN ('created', 'updated', 'paused', 'resumed', 'invalidated', 'exhausted')
        ORDER BY at DESC, id DESC LIMIT 1
        """, types: [.uuid, .timestamptz], isReadOnly: true)

    /// The last change of a schedule's state at or before an instant.
    package static func stateChange(
        of schedule: ScheduleID, through instant: Instant, on runner: some StatementRunner
    ) async throws -> ExplanationFacts.Change? {
        try await runner.query(stateStatement, [.id(schedule), .instant(instant)]).first.map { try change(of: $0) }
    }

    static let updatesStatement = Statement(
        "audit_updates_after",
        """
        SELECT at, action, actor, reason, before, after FROM scheduler.audit_log
        WHERE schedule_id = $1 AND at > $2 AND action = 'updated' AND before IS NOT NULL
        ORDER BY at, id LIMIT $3
        """, types: [.uuid, .timestamptz, .int64], isReadOnly: true)

    /// The edits of a schedule after an instant, oldest first, with what was and what is.
    package static func updates(
        of schedule: ScheduleID, after instant: Instant, on runner: some StatementRunner
    ) async throws -> [(change: ExplanationFacts.Change, before: [UInt8]?, after: [UInt8]?)] {
        try await runner.query(updatesStatement, [.id(schedule), .instant(instant), .int64(Int64(most))]).map {
            (try change(of: $0), try $0.jsonOrNil(4), try $0.jsonOrNil(5))
        }
    }

    private static func change(of row: PostgresRow) throws(PostgresError) -> ExplanationFacts.Change {
        ExplanationFacts.Change(
            at: try row.instant(0), action: try row.text(1), actor: try row.textOrNil(2), reason: try row.textOrNil(3))
    }
}
