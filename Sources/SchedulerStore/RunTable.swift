package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Open executions that somebody must look after: tracked ones from their claim on, and those that wait for a retry.
/// Whoever changes a row holds its timer's lock, or the row's.
package enum RunTable {
    static let openStatement = Statement(
        "runs_open",
        """
        INSERT INTO scheduler.runs (execution_id, schedule_id, opened_at, fence, attempt, tracked, state)
        SELECT u.id, u.schedule_id, u.opened_at, u.fence, 1, true, 'claimed'
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[]) AS u (id, schedule_id, opened_at, fence)
        """)

    static let openLimitedStatement = Statement(
        "runs_open_limited",
        """
        INSERT INTO scheduler.runs (execution_id, schedule_id, opened_at, fence, attempt, tracked, state,
            concurrency_key, target_limit)
        SELECT u.id, u.schedule_id, u.opened_at, u.fence, 1, true, 'claimed', u.concurrency_key, u.target_limit
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[])
            AS u (id, schedule_id, opened_at, fence, concurrency_key, target_limit)
        """)

    /// The rows of tracked executions that a claim opens.
    /// - Parameters:
    ///   - begin: when their first attempt is due; nil where that is when they are due themselves.
    ///   - limits: of which they take places, by their schedules, which the caller has locked.
    package static func open(
        _ openings: some Collection<ExecutionTable.Opening>, begin: Instant? = nil,
        limits: [ScheduleID: ConcurrencyNames] = [:]
    ) -> Call {
        let values: [PostgresValue] = [
            .uuids(openings, \.id.uuid), .uuids(openings, \.occurrence.schedule.uuid),
            .instants(openings) { begin ?? $0.dueAt }, .int64s(openings, \.fence),
        ]
        guard !limits.isEmpty else { return Call(openStatement, values) }
        return Call(
            openLimitedStatement,
            values + [
                .texts(openings) { limits[$0.occurrence.schedule]?.key },
                .texts(openings) { limits[$0.occurrence.schedule]?.target },
            ])
    }

    static let keepStatement = Statement(
        "runs_keep",
        """
        INSERT INTO scheduler.runs (execution_id, schedule_id, opened_at, delivered_at, started_at, run_until,
            deadline_at, deadline, fence, attempt, tracked, cancelling, state, last_outcome, reason)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
            $6::timestamptz[], $7::timestamptz[], $8::text[], $9::bigint[], $10::int[], $11::bool[], $12::bool[],
            $13::text[], $14::text[], $15::text[])
        ON CONFLICT (execution_id) DO UPDATE SET delivered_at = excluded.delivered_at,
            started_at = excluded.started_at, run_until = excluded.run_until, deadline_at = excluded.deadline_at,
            deadline = excluded.deadline, fence = excluded.fence, attempt = excluded.attempt,
            cancelling = excluded.cancelling, state = excluded.state, last_outcome = excluded.last_outcome,
            reason = excluded.reason
        """)

    /// Writes lives that stay open, as they stand now.
    package static func keep(_ lives: [Life]) -> Call {
        keepStatement(
            .uuids(lives, \.execution.uuid), .uuids(lives, \.schedule.uuid), .instants(lives, \.openedAt),
            .instants(lives, \.deliveredAt), .instants(lives, \.startedAt), .instants(lives, \.runUntil),
            .instants(lives, \.deadline?.at), .texts(lives, \.deadline?.kind.rawValue), .int64s(lives, \.fence),
            .int32s(lives, \.attempt), .bools(lives, \.isTracked), .bools(lives, \.isCancelling),
            .texts(lives, \.state.rawValue), .texts(lives, \.lastOutcome), .texts(lives, \.reason))
    }

    static let deleteStatement = Statement(
        "runs_delete", "DELETE FROM scheduler.runs WHERE execution_id = ANY ($1::uuid[])", types: [.uuidArray])

    /// Those of executions that are over, or were given back.
    package static func delete(_ ids: some Collection<ExecutionID>) -> Call { deleteStatement(.ids(ids)) }

    static let awaitedStatement = Statement(
        "runs_awaited",
        "SELECT execution_id, fence FROM scheduler.runs WHERE execution_id = ANY ($1::uuid[]) AND state = 'claimed'",
        types: [.uuidArray], isReadOnly: true)

    /// Those whose message nobody is known to have, each with its attempt's fence. Nothing is locked.
    package static func awaited(
        _ ids: some Collection<ExecutionID>, on runner: some StatementRunner
    ) async throws -> [ExecutionID: Int64] {
        var fences: [ExecutionID: Int64] = [:]
        for row in try await runner.query(awaitedStatement, [.ids(ids)]) {
            fences[try row.executionID(0)] = try row.int64(1)
        }
        return fences
    }

    /// How many ``columns`` names.
    static let columnCount = 15
    static let columns = """
        r.execution_id, r.schedule_id, r.tracked, r.state, r.attempt, r.fence, r.opened_at, r.delivered_at,
        r.started_at, r.run_until, r.deadline, r.deadline_at, r.last_outcome, r.reason, r.cancelling
        """

    static func life(of row: PostgresRow) throws(PostgresError) -> Life {
        var life = Life(
            execution: try row.executionID(0), schedule: try row.scheduleID(1), isTracked: try row.bool(2),
            state: try row.choice(3), attempt: try row.int32(4), fence: try row.int64(5), openedAt: try row.instant(6))
        life.deliveredAt = try row.instantOrNil(7)
        life.startedAt = try row.instantOrNil(8)
        life.runUntil = try row.instantOrNil(9)
        if !row.isNull(10) { life.deadline = Life.Deadline(try row.choice(10), at: try row.instant(11)) }
        life.lastOutcome = try row.textOrNil(12)
        life.reason = try row.textOrNil(13)
        life.isCancelling = try row.bool(14)
        return life
    }

    static let lockStatement = Statement(
        "runs_lock",
        "SELECT \(columns) FROM scheduler.runs r WHERE r.execution_id = ANY ($1::uuid[]) ORDER BY r.execution_id FOR UPDATE",
        types: [.uuidArray])

    /// Locks lives until the transaction ends; what is over is missing.
    package static func lock(
        _ ids: some Collection<ExecutionID>, in transaction: PostgresTransaction
    ) async throws -> [Life] {
        var lives: [Life] = []
        for row in try await transaction.query(lockStatement, [.ids(ids)]) { lives.append(try life(of: row)) }
        return lives
    }
}
