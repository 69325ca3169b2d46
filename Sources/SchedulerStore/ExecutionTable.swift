package import PostgresClient
package import Recurrence
package import SchedulerCore

/// The ledger: claims open rows, records end them, a recall takes them back.
package enum ExecutionTable {
    /// An occurrence that a claim opens.
    package struct Opening: Sendable {
        package let id: ExecutionID
        package let occurrence: Occurrence
        package let dueAt: Instant
        package let fence: Int64
        package let version: Int64
        package let missedCount: Int64
        package let trigger: Trigger
        /// Its target tells how it ends.
        package let isTracked: Bool

        package init(
            id: ExecutionID, occurrence: Occurrence, dueAt: Instant, fence: Int64, version: Int64, missedCount: Int64,
            trigger: Trigger, isTracked: Bool
        ) {
            self.id = id
            self.occurrence = occurrence
            self.dueAt = dueAt
            self.fence = fence
            self.version = version
            self.missedCount = missedCount
            self.trigger = trigger
            self.isTracked = isTracked
        }
    }

    /// Opens executions. The key is the gate: an occurrence that has a row fails the whole transaction (23505).
    static let openStatement = Statement(
        "executions_open",
        """
        INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence,
            schedule_version, missed_count, ordinal, attempt, generation, state, origin, trigger, tracked)
        SELECT u.id, u.schedule_id, $1, u.scheduled_for, u.due_at, $2, u.fence, u.version, u.missed, u.ordinal, 1,
            u.generation, 'claimed', u.origin, u.trigger, u.tracked
        FROM unnest($3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::int[], $12::text[], $13::text[], $14::bool[])
            AS u (id, schedule_id, scheduled_for, due_at, fence, version, missed, ordinal, generation, origin, trigger,
                tracked)
        """, types: [.uuid, .timestamptz])

    package static func open(_ openings: [Opening], by instance: InstanceID, at now: Instant) -> Call {
        openStatement(
            .id(instance), .instant(now), .uuids(openings, \.id.uuid), .uuids(openings, \.occurrence.schedule.uuid),
            .instants(openings, \.occurrence.scheduledFor), .instants(openings, \.dueAt), .int64s(openings, \.fence),
            .int64s(openings, \.version), .int64s(openings, \.missedCount), .int64s(openings, \.occurrence.ordinal),
            .int32s(openings, \.occurrence.generation), .texts(openings, \.occurrence.origin.rawValue),
            .texts(openings, \.trigger.rawValue), .bools(openings, \.isTracked))
    }

    static let setPayloadStatement = Statement(
        "executions_set_payload", "UPDATE scheduler.executions SET payload = $2 WHERE id = $1", types: [.uuid, .json])

    /// What a trigger sends in place of the schedule's payload.
    package static func setPayload(_ payload: [UInt8], of id: ExecutionID) -> Call {
        setPayloadStatement(.id(id), .json(payload))
    }

    static let setTraceStatement = Statement(
        "executions_set_trace", "UPDATE scheduler.executions SET trace = $2 WHERE id = ANY ($1::uuid[])",
        types: [.uuidArray, .text])

    /// Says which trace executions belong to.
    package static func setTrace(_ trace: TraceContext, of ids: [ExecutionID]) -> Call {
        setTraceStatement(.ids(ids), .text(trace.text))
    }

    static let payloadStatement = Statement(
        "executions_payload", "SELECT payload FROM scheduler.executions WHERE id = $1", types: [.uuid], isReadOnly: true
    )

    /// What an execution sends in place of its schedule's payload; nil where it sends that.
    package static func payload(of id: ExecutionID, on runner: some StatementRunner) async throws -> [UInt8]? {
        try await runner.query(payloadStatement, [.id(id)]).first?.jsonOrNil(0)
    }

    static let setRetryStatement = Statement(
        "executions_set_retry", "UPDATE scheduler.executions SET retry_of = $2 WHERE id = $1", types: [.uuid, .uuid])

    /// Says which execution this one was made again of.
    package static func setRetry(of original: ExecutionID, in id: ExecutionID) -> Call {
        setRetryStatement(.id(id), .id(original))
    }

    /// The occurrences among `ids` that have rows: what a claim that met 23505 leaves out.
    static let existingStatement = Statement(
        "executions_existing", "SELECT id FROM scheduler.executions WHERE id = ANY ($1::uuid[])", types: [.uuidArray],
        isReadOnly: true)

    package static func existing(
        among ids: [ExecutionID], on runner: some StatementRunner
    ) async throws -> Set<ExecutionID> {
        var existing: Set<ExecutionID> = []
        for row in try await runner.query(existingStatement, [.ids(ids)]) { existing.insert(try row.executionID(0)) }
        return existing
    }

    /// Writes skipped occurrences: single rows, or one row for a range. A row that stands wins: the skip is repeated
    /// after a lost COMMIT, or tells what another transaction has told.
    static let skipStatement = Statement(
        "executions_skip",
        """
        INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, claimed_at, finished_at, range_from,
            fence, schedule_version, missed_count, range_count, ordinal, attempt, generation, state, origin, trigger,
            reason, caused_by)
        SELECT u.id, u.schedule_id, u.scheduled_for, u.due_at, $1, $1, u.range_from, u.fence, u.version, 0,
            u.range_count, u.ordinal, 0, u.generation, 'skipped', u.origin, u.trigger, u.reason,
            u.caused_by
        FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::int[], $12::text[], $13::text[], $14::text[], $15::uuid[])
            AS u (id, schedule_id, scheduled_for, due_at, range_from, fence, version, range_count, ordinal, generation,
                origin, trigger, reason, caused_by)
        ON CONFLICT (id) DO NOTHING
        """, types: [.timestamptz])

    package static func skip(_ skipped: [Execution], at now: Instant) -> Call {
        skipStatement(
            .instant(now), .uuids(skipped, \.id.uuid), .uuids(skipped, \.schedule.uuid),
            .instants(skipped, \.scheduledFor), .instants(skipped, \.dueAt), .instants(skipped, \.rangeFrom),
            .int64s(skipped, \.fence), .int64s(skipped, \.scheduleVersion), .int64s(skipped, \.rangeCount),
            .int64s(skipped, \.ordinal), .int32s(skipped, \.generation), .texts(skipped, \.origin.rawValue),
            .texts(skipped, \.trigger.rawValue), .texts(skipped, \.reason), .uuidsOrNil(skipped, \.causedBy?.uuid))
    }

    /// How one execution ended.
    package struct Ending: Sendable {
        package let id: ExecutionID
        package let state: ExecutionState
        package let firedAt: Instant?
        package let reason: String?
        package let outcome: String?
        package let ackStream: String?
        package let ackSequence: Int64?

        package init(
            id: ExecutionID, state: ExecutionState, firedAt: Instant?, reason: String?, outcome: String?,
            ackStream: String?, ackSequence: Int64?
        ) {
            self.id = id
            self.state = state
            self.firedAt = firedAt
            self.reason = reason
            self.outcome = outcome
            self.ackStream = ackStream
            self.ackSequence = ackSequence
        }
    }

    /// Ends executions that this instance holds: for each id one look-up by the key, in the one partition that it names.
    /// A bound on the range of ids would tempt the planner to read that range, which for a herd is the whole herd. A row
    /// that is not claimed by this instance any more is left alone. No indexed column changes: the update can be HOT.
    static let endStatement = Statement(
        "executions_end",
        """
        UPDATE scheduler.executions e SET state = u.state, fired_at = u.fired_at, finished_at = $2, reason = u.reason,
            outcome = u.outcome, last_outcome = CASE WHEN u.state <> 'dead' THEN NULL
                WHEN u.reason = 'uncertain' THEN 'uncertain' ELSE 'failed' END, ack_stream = u.stream,
            ack_sequence = u.sequence
        FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::bigint[])
            AS u (id, state, fired_at, reason, outcome, stream, sequence)
        WHERE e.id = u.id AND e.state = 'claimed' AND e.claimed_by = $1
        """, types: [.uuid, .timestamptz])

    package static func end(_ endings: [Ending], by instance: InstanceID, at now: Instant) -> Call {
        endStatement(
            .id(instance), .instant(now), .uuids(endings, \.id.uuid), .texts(endings, \.state.rawValue),
            .instants(endings, \.firedAt), .texts(endings, \.reason), .texts(endings, \.outcome),
            .texts(endings, \.ackStream),
            .array(
                endings.reduce(into: PostgresArray(of: .int64, capacity: endings.count)) { array, ending in
                    if let sequence = ending.ackSequence { array.append(sequence) } else { array.appendNull() }
                }))
    }

    /// How many columns ``columns`` names: where what a statement adds begins.
    static let columnCount = 30
    static let columns = """
        e.id, e.schedule_id, e.scheduled_for, e.due_at, e.state, e.reason, e.outcome, e.last_outcome, e.origin,
        e.trigger, e.generation, e.schedule_version, e.attempt, e.fence, e.missed_count, e.ordinal, e.claimed_by,
        e.claimed_at, e.fired_at, e.finished_at, e.range_from, e.range_count, e.ack_stream, e.ack_sequence, e.recalled, e.retry_of,
        e.tracked, e.started_at, e.caused_by, e.trace
        """

    static func execution(of row: PostgresRow) throws(PostgresError) -> Execution {
        var execution = Execution(
            id: try row.executionID(0), schedule: try row.scheduleID(1), scheduledFor: try row.instant(2),
            dueAt: try row.instant(3), state: try row.choice(4), origin: try row.choice(8), trigger: try row.choice(9),
            generation: try row.int32(10), scheduleVersion: try row.int64(11), attempt: try row.int32(12),
            fence: try row.int64(13), claimedAt: try row.instant(17))
        execution.reason = try row.textOrNil(5)
        execution.outcome = try row.textOrNil(6)
        execution.lastOutcome = try row.textOrNil(7)
        execution.missedCount = try row.int64(14)
        execution.ordinal = try row.int64(15)
        if !row.isNull(16) { execution.claimedBy = try row.instanceID(16) }
        execution.firedAt = try row.instantOrNil(18)
        execution.finishedAt = try row.instantOrNil(19)
        execution.rangeFrom = try row.instantOrNil(20)
        execution.rangeCount = try row.int64(21)
        execution.ackStream = try row.textOrNil(22)
        execution.ackSequence = try row.int64OrNil(23)
        execution.isRecalled = try row.bool(24)
        if !row.isNull(25) { execution.retryOf = try row.executionID(25) }
        execution.isTracked = try row.bool(26)
        execution.startedAt = try row.instantOrNil(27)
        if !row.isNull(28) { execution.causedBy = try row.executionID(28) }
        execution.trace = try row.textOrNil(29).flatMap { TraceContext(text: $0) }
        return execution
    }
}
