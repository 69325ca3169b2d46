package import PostgresClient
package import SchedulerCore

/// An open execution and its life, with what a trigger sends in place of its schedule's payload.
package struct OpenLife: Hashable, Sendable {
    package let life: Life
    package let execution: Execution
    package let payload: [UInt8]?

    package init(life: Life, execution: Execution, payload: [UInt8]?) {
        self.life = life
        self.execution = execution
        self.payload = payload
    }
}

extension Life {
    /// The life of one that has no row in `runs`: untracked, and in its first attempt. Nil for any other.
    fileprivate init?(claimed execution: Execution) {
        guard execution.state == .claimed, !execution.isTracked else { return nil }
        self.init(
            execution: execution.id, schedule: execution.schedule, isTracked: false, attempt: execution.attempt,
            fence: execution.fence, openedAt: execution.dueAt)
    }
}

/// The ledger's side of lives: executions that change more than once before they end.
///
/// Locks are taken in one order by everybody: timers, then executions, then runs.
package enum LifeTable {
    static let lockStatement = Statement(
        "executions_lock",
        """
        SELECT \(ExecutionTable.columns), e.payload
        FROM scheduler.executions e WHERE e.id = ANY ($1::uuid[]) ORDER BY e.id FOR UPDATE
        """, types: [.uuidArray])

    /// Locks executions and their lives until the transaction ends. What is over, or was given back, is missing. The
    /// caller holds the timers' locks.
    package static func lock(
        _ ids: some Collection<ExecutionID>, in transaction: PostgresTransaction
    ) async throws -> [OpenLife] {
        let rows = try await rows(ids, in: transaction)
        let open = rows.filter { !$0.execution.isOver }
        guard !open.isEmpty else { return [] }
        var lives: [ExecutionID: Life] = [:]
        for life in try await RunTable.lock(open.map(\.execution.id), in: transaction) { lives[life.execution] = life }
        return open.compactMap { row in
            let life = lives[row.execution.id] ?? Life(claimed: row.execution)
            return life.map { OpenLife(life: $0, execution: row.execution, payload: row.payload) }
        }
    }

    /// Locks executions, whatever their state.
    package static func rows(
        _ ids: some Collection<ExecutionID>, in transaction: PostgresTransaction
    ) async throws -> [(execution: Execution, payload: [UInt8]?)] {
        try await transaction.query(lockStatement, [.ids(ids)]).map { row in
            (try ExecutionTable.execution(of: row), try row.jsonOrNil(ExecutionTable.columnCount))
        }
    }

    /// One look-up by the key for each, in the one partition that it names (``ExecutionTable/endStatement``). No indexed
    /// column changes.
    static let changeStatement = Statement(
        "executions_change",
        """
        UPDATE scheduler.executions e SET state = u.state, claimed_by = u.claimed_by, due_at = u.due_at,
            claimed_at = u.claimed_at, fired_at = u.fired_at, started_at = u.started_at, finished_at = u.finished_at,
            fence = u.fence, attempt = u.attempt, reason = u.reason, outcome = u.outcome,
            last_outcome = u.last_outcome, ack_stream = u.ack_stream, ack_sequence = u.ack_sequence,
            result = coalesce(u.result, e.result), recalled = u.recalled
        FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
            $7::timestamptz[], $8::timestamptz[], $9::bigint[], $10::int[], $11::text[], $12::text[], $13::text[],
            $14::text[], $15::bigint[], $16::json[], $17::bool[])
            AS u (id, state, claimed_by, due_at, claimed_at, fired_at, started_at, finished_at, fence, attempt, reason,
                outcome, last_outcome, ack_stream, ack_sequence, result, recalled)
        WHERE e.id = u.id
        """)

    /// Writes executions as they stand now; their rows are locked by the caller.
    /// - Parameter executions: in the order of their ids, each with what its worker gave back, if that is new.
    package static func change(_ executions: [(execution: Execution, result: [UInt8]?)]) -> Call {
        var claimants = PostgresArray(of: .uuid, capacity: executions.count)
        var sequences = PostgresArray(of: .int64, capacity: executions.count)
        var results = PostgresArray(of: .json, capacity: executions.count)
        for (execution, result) in executions {
            if let claimant = execution.claimedBy?.uuid {
                claimants.append(uuidHigh: claimant.high, low: claimant.low)
            } else {
                claimants.appendNull()
            }
            if let sequence = execution.ackSequence { sequences.append(sequence) } else { sequences.appendNull() }
            if let result { results.append(json: result) } else { results.appendNull() }
        }
        let rows = executions.map(\.execution)
        return changeStatement(
            .uuids(rows, \.id.uuid), .texts(rows, \.state.rawValue), .array(claimants), .instants(rows, \.dueAt),
            .instants(rows, \.claimedAt), .instants(rows, \.firedAt), .instants(rows, \.startedAt),
            .instants(rows, \.finishedAt), .int64s(rows, \.fence), .int32s(rows, \.attempt), .texts(rows, \.reason),
            .texts(rows, \.outcome), .texts(rows, \.lastOutcome), .texts(rows, \.ackStream), .array(sequences),
            .array(results), .bools(rows, \.isRecalled))
    }
}
