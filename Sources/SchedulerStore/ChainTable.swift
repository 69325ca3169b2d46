package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Ends of executions that followers are to be told: written with the end itself, so that no crash comes between.
package enum ChainTable {
    static let tellStatement = Statement(
        "chains_tell",
        """
        INSERT INTO scheduler.ended_upstreams (execution_id, downstream, position, ended_at, not_before)
        SELECT u.id, l.downstream, l.position, $1, $1
        FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS u (id, schedule_id, state)
        JOIN scheduler.links l ON l.upstream = u.schedule_id
            AND (l.condition = 'completed' OR l.condition = CASE u.state WHEN 'dead' THEN 'failed'
                WHEN 'delivered' THEN 'succeeded' WHEN 'succeeded' THEN 'succeeded' WHEN 'skipped' THEN 'succeeded' END)
        JOIN scheduler.executions e ON e.id = u.id AND e.state = u.state AND e.finished_at = $1
        WHERE u.state <> 'skipped' OR (e.reason = 'shadow'
            AND (SELECT s.shadow FROM scheduler.schedules s WHERE s.id = l.downstream))
        ON CONFLICT DO NOTHING
        """, types: [.timestamptz, .uuidArray, .uuidArray, .textArray])

    /// An execution that ends in this transaction.
    package struct End: Sendable {
        package let execution: ExecutionID
        package let schedule: ScheduleID
        package let state: ExecutionState

        package init(execution: ExecutionID, schedule: ScheduleID, state: ExecutionState) {
            self.execution = execution
            self.schedule = schedule
            self.state = state
        }
    }

    /// Tells the followers of those that ended; comes after the writes that end them, with the same instant: what was
    /// ended by another transaction was told by that one. A shadow's end is told to followers in shadow alone, as a
    /// success.
    package static func tell(_ ends: [End], at now: Instant) -> Call {
        tellStatement(
            .instant(now), .uuids(ends, \.execution.uuid), .uuids(ends, \.schedule.uuid),
            .texts(ends, \.state.rawValue))
    }

    /// An end that a follower is to be told.
    package struct Turn: Hashable, Sendable {
        package let upstream: ExecutionID
        package let follower: ScheduleID
        package let position: Int16
        package let endedAt: Instant
    }

    static let turnsStatement = Statement(
        "chains_turns",
        """
        SELECT execution_id, downstream, position, ended_at FROM scheduler.ended_upstreams
        WHERE not_before <= $1 ORDER BY not_before, execution_id LIMIT $2
        """, types: [.timestamptz, .int64], isReadOnly: true)

    /// Whose turn it is, the longest waiting first. Nothing is locked.
    package static func turns(
        by now: Instant, limit: Int, on runner: some StatementRunner
    ) async throws -> [Turn] {
        try await runner.query(turnsStatement, [.instant(now), .int64(Int64(limit))]).map {
            Turn(
                upstream: try $0.executionID(0), follower: try $0.scheduleID(1), position: try $0.int16(2),
                endedAt: try $0.instant(3))
        }
    }

    static let takeStatement = Statement(
        "chains_take",
        """
        DELETE FROM scheduler.ended_upstreams u WHERE u.execution_id = $1 AND u.downstream = $2
        RETURNING EXISTS (SELECT FROM scheduler.executions e
            WHERE e.id = $1 AND e.state = 'skipped' AND e.reason = 'shadow')
        """, types: [.uuid, .uuid])

    /// A turn that was taken.
    package struct Taken: Hashable, Sendable {
        /// What ended was in shadow: nothing was run that anything could follow, but in shadow too.
        package let isShadow: Bool
    }

    /// Takes a turn, once. - Returns: nil where somebody else has taken it.
    package static func take(_ turn: Turn, in transaction: PostgresTransaction) async throws -> Taken? {
        try await transaction.query(takeStatement, [.id(turn.upstream), .id(turn.follower)]).first.map {
            Taken(isShadow: try $0.bool(0))
        }
    }

    static let putOffStatement = Statement(
        "chains_put_off",
        "UPDATE scheduler.ended_upstreams SET not_before = $3 WHERE execution_id = $1 AND downstream = $2",
        types: [.uuid, .uuid, .timestamptz])

    /// Lets a turn wait.
    package static func putOff(_ turn: Turn, until: Instant, on runner: some StatementRunner) async throws {
        _ = try await runner.query(putOffStatement, [.id(turn.upstream), .id(turn.follower), .instant(until)])
    }

    static let holdStatement = Statement(
        "chains_hold",
        """
        WITH holding AS (SELECT FROM scheduler.freezes WHERE id = $3 AND until_at >= $2 FOR SHARE)
        UPDATE scheduler.ended_upstreams u SET not_before = $2
        FROM holding, (SELECT execution_id, downstream FROM scheduler.ended_upstreams
              WHERE downstream = $1 AND not_before < $2 FOR UPDATE SKIP LOCKED) w
        WHERE u.execution_id = w.execution_id AND u.downstream = w.downstream
        """, types: [.uuid, .timestamptz, .uuid])

    /// Lets all turns of a follower wait, together, while a freeze holds it; what somebody takes at this moment is left
    /// to him. A change of the freeze comes before, and nothing waits for what it was; or it comes behind, and lets them
    /// go on (``goOn(_:)``).
    package static func hold(
        _ follower: ScheduleID, until: Instant, by freeze: FreezeID, on runner: some StatementRunner
    ) async throws {
        _ = try await runner.query(holdStatement, [.id(follower), .instant(until), .uuid(freeze.uuid)])
    }

    static let goOnStatement = Statement(
        "chains_go_on",
        """
        UPDATE scheduler.ended_upstreams u SET not_before = u.ended_at
        FROM (SELECT execution_id, downstream FROM scheduler.ended_upstreams
              WHERE not_before > ended_at AND ($1::uuid IS NULL OR downstream = $1) FOR UPDATE SKIP LOCKED) w
        WHERE u.execution_id = w.execution_id AND u.downstream = w.downstream
        """, types: [.uuid])

    /// What holds followers may hold them no longer: the turns that wait are looked at now.
    /// - Parameter follower: only its; nil for those of all.
    package static func goOn(_ follower: ScheduleID? = nil) -> Call { goOnStatement(.optional(follower) { .id($0) }) }

    static let arriveStatement = Statement(
        "arrivals_arrive",
        """
        INSERT INTO scheduler.arrivals (downstream, position, execution_id) VALUES ($1, $2, $3)
        ON CONFLICT (downstream, position) DO UPDATE SET execution_id = excluded.execution_id
        """, types: [.uuid, .int16, .uuid])
    static let arrivedStatement = Statement(
        "arrivals_arrived",
        """
        SELECT count(*), (SELECT count(*) FROM scheduler.links l WHERE l.downstream = $1)
        FROM scheduler.arrivals a WHERE a.downstream = $1
        """, types: [.uuid])

    /// Notes an end for a follower of all, whose timer the caller holds.
    /// - Returns: whether it was the last that was missing; then the count begins anew.
    package static func arrive(_ turn: Turn, in transaction: PostgresTransaction) async throws -> Bool {
        _ = try await transaction.query(
            arriveStatement, [.id(turn.follower), .int16(turn.position), .id(turn.upstream)])
        let row = try await transaction.query(arrivedStatement, [.id(turn.follower)]).first
        guard let row, try row.int64(0) >= row.int64(1) else { return false }
        _ = try await transaction.query(LinkTable.forgetArrivalsStatement, [.id(turn.follower)])
        return true
    }

    static let causeStatement = Statement(
        "executions_set_cause", "UPDATE scheduler.executions SET caused_by = $2 WHERE id = $1", types: [.uuid, .uuid])

    /// Says whose end made an execution.
    package static func setCause(_ upstream: ExecutionID, of id: ExecutionID) -> Call {
        causeStatement(.id(id), .id(upstream))
    }
}
