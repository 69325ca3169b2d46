package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Occurrences that wait for a place. Whoever reads rows of a schedule to decide by them, or writes them, holds its
/// timer's lock.
package enum BufferTable {
    static let insertStatement = Statement(
        "buffered_insert",
        """
        INSERT INTO scheduler.buffered (execution_id, schedule_id, scheduled_for, due_at, since, ordinal, missed_count,
            generation, origin, trigger, caused_by)
        SELECT u.id, u.schedule_id, u.scheduled_for, u.due_at, $1, u.ordinal, u.missed, u.generation, u.origin,
            u.trigger, u.caused_by
        FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bigint[],
            $8::int[], $9::text[], $10::text[], $11::uuid[]) WITH ORDINALITY
            AS u (id, schedule_id, scheduled_for, due_at, ordinal, missed, generation, origin, trigger, caused_by, n)
        ORDER BY u.n ON CONFLICT (execution_id) DO NOTHING
        """, types: [.timestamptz])

    /// What waits from now on, in the order in which it came. What waits already stays where it is.
    package static func insert(_ waiting: [WaitingOccurrence], at now: Instant) -> Call {
        insertStatement(
            .instant(now), .uuids(waiting, \.id.uuid), .uuids(waiting, \.occurrence.schedule.uuid),
            .instants(waiting, \.occurrence.scheduledFor), .instants(waiting, \.dueAt),
            .int64s(waiting, \.occurrence.ordinal), .int64s(waiting, \.missedCount),
            .int32s(waiting, \.occurrence.generation), .texts(waiting, \.occurrence.origin.rawValue),
            .texts(waiting, \.trigger.rawValue),
            .array(
                waiting.reduce(into: PostgresArray(of: .uuid, capacity: waiting.count)) { array, waiting in
                    guard let cause = waiting.causedBy?.uuid else { return array.appendNull() }
                    array.append(uuidHigh: cause.high, low: cause.low)
                }))
    }

    static let describeStatement = Statement(
        "buffered_describe", "UPDATE scheduler.buffered SET payload = $2, retry_of = $3 WHERE execution_id = $1",
        types: [.uuid, .json, .uuid])

    /// What one that waits sends in place of its schedule's payload, and the execution that it takes up again.
    package static func describe(_ id: ExecutionID, payload: [UInt8]?, retryOf: ExecutionID?) -> Call {
        describeStatement(.id(id), .optional(payload) { .json($0) }, .optional(retryOf) { .id($0) })
    }

    static let columns = """
        b.schedule_id, b.generation, b.origin, b.scheduled_for, b.ordinal, b.execution_id, b.due_at, b.trigger,
        b.missed_count, b.since, b.caused_by
        """

    static func waiting(of row: PostgresRow) throws(PostgresError) -> WaitingOccurrence {
        WaitingOccurrence(
            occurrence: Occurrence(
                schedule: try row.scheduleID(0), generation: try row.int32(1), origin: try row.choice(2),
                scheduledFor: try row.instant(3), ordinal: try row.int64(4)),
            id: try row.executionID(5), dueAt: try row.instant(6), trigger: try row.choice(7),
            missedCount: try row.int64(8), since: try row.instant(9),
            causedBy: row.isNull(10) ? nil : try row.executionID(10))
    }

    /// Index `runs_schedule`: one look a schedule.
    static let openStatement = Statement(
        "runs_count_open",
        """
        SELECT r.schedule_id, count(*), count(*) FILTER (WHERE r.cancelling) FROM scheduler.runs r
        WHERE r.schedule_id = ANY ($1::uuid[]) AND r.tracked GROUP BY r.schedule_id
        """, types: [.uuidArray], isReadOnly: true)
    static let waitingStatement = Statement(
        "buffered_of",
        """
        SELECT \(columns) FROM scheduler.buffered b WHERE b.schedule_id = ANY ($1::uuid[])
        ORDER BY b.schedule_id, b.due_at, b.seq
        """, types: [.uuidArray], isReadOnly: true)

    /// What schedules have open, and what of them waits. Exact while their timers are locked; those that have nothing
    /// are missing.
    package static func occupancies(
        of schedules: [ScheduleID], on runner: some StatementRunner
    ) async throws -> [ScheduleID: Occupancy] {
        var found: [ScheduleID: Occupancy] = [:]
        for row in try await runner.query(openStatement, [.ids(schedules)]) {
            found[try row.scheduleID(0)] = Occupancy(open: Int(try row.int64(1)), stopping: Int(try row.int64(2)))
        }
        for row in try await runner.query(waitingStatement, [.ids(schedules)]) {
            let waiting = try waiting(of: row)
            found[waiting.occurrence.schedule, default: Occupancy()].waiting.append(waiting)
        }
        return found
    }

    static let candidatesStatement = Statement(
        "buffered_candidates",
        """
        SELECT w.schedule_id
        FROM (SELECT b.schedule_id, min(b.seq) AS first FROM scheduler.buffered b
              WHERE b.schedule_id <> ALL ($2::uuid[]) GROUP BY b.schedule_id) w
            JOIN scheduler.schedules s ON s.id = w.schedule_id
        WHERE s.state IN ('invalid', 'deleted') OR s.completion = 'none' OR s.overlap_policy = 'allow'
            OR (SELECT count(*) FROM scheduler.runs r WHERE r.schedule_id = w.schedule_id AND r.tracked) < s.max_in_flight
            OR (s.overlap_policy = 'cancel_previous' AND EXISTS (
                SELECT FROM scheduler.runs r WHERE r.schedule_id = w.schedule_id AND r.tracked AND NOT r.cancelling))
        ORDER BY w.first LIMIT $1
        """, types: [.int64, .uuidArray], isReadOnly: true)

    /// Schedules of which something waits and may have its turn; whoever waits longest comes first. Nothing is locked.
    /// - Parameter except: what was looked at a moment ago.
    package static func candidates(
        limit: Int, except: [ScheduleID], on runner: some StatementRunner
    ) async throws -> [ScheduleID] {
        try await runner.query(candidatesStatement, [.int64(Int64(limit)), .ids(except)]).map { try $0.scheduleID(0) }
    }

    static let takeStatement = Statement(
        "buffered_open",
        """
        WITH taken AS (
            DELETE FROM scheduler.buffered b USING unnest($3::uuid[], $4::bigint[], $5::bigint[]) AS u (id, fence, version)
            WHERE b.execution_id = u.id RETURNING b.*, u.fence, u.version)
        INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence,
            schedule_version, missed_count, ordinal, attempt, generation, state, origin, trigger, tracked, payload, retry_of,
            caused_by)
        SELECT execution_id, schedule_id, $1, scheduled_for, due_at, $2, fence, version, missed_count, ordinal, 1,
            generation, 'claimed', origin, trigger, $6, payload, retry_of, caused_by
        FROM taken
        """, types: [.uuid, .timestamptz, .uuidArray, .int64Array, .int64Array, .bool])

    /// Opens executions of what waited, with all that was kept for them. The key is the gate, as for every opening.
    package static func open(
        _ openings: [ExecutionTable.Opening], tracked: Bool, by instance: InstanceID, at now: Instant
    ) -> Call {
        takeStatement(
            .id(instance), .instant(now), .uuids(openings, \.id.uuid), .int64s(openings, \.fence),
            .int64s(openings, \.version), .bool(tracked))
    }

    static let skipStatement = Statement(
        "buffered_skip",
        """
        WITH taken AS (
            DELETE FROM scheduler.buffered b USING unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS u (id, fence, version)
            WHERE b.execution_id = u.id RETURNING b.*, u.fence, u.version)
        INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, claimed_at, finished_at, fence,
            schedule_version, missed_count, ordinal, attempt, generation, state, origin, trigger, reason, payload, retry_of,
            caused_by)
        SELECT execution_id, schedule_id, scheduled_for, due_at, $1, $1, fence, version, missed_count, ordinal, 0,
            generation, 'skipped', origin, trigger, $5, payload, retry_of, caused_by
        FROM taken ON CONFLICT (id) DO NOTHING
        """, types: [.timestamptz, .uuidArray, .int64Array, .int64Array, .text])

    /// Tells that what waited was skipped; all for one reason.
    package static func skip(_ skipped: [Execution], at now: Instant) -> Call {
        skipStatement(
            .instant(now), .uuids(skipped, \.id.uuid), .int64s(skipped, \.fence), .int64s(skipped, \.scheduleVersion),
            .text(skipped.first?.reason))
    }

    static let forgetStatement = Statement(
        "buffered_forget", "DELETE FROM scheduler.buffered WHERE execution_id = ANY ($1::uuid[])", types: [.uuidArray])

    /// Drops what has a row in the ledger already.
    package static func forget(_ ids: [ExecutionID]) -> Call { forgetStatement(.ids(ids)) }

    static let payloadsStatement = Statement(
        "buffered_payloads",
        "SELECT b.execution_id, b.payload FROM scheduler.buffered b WHERE b.execution_id = ANY ($1::uuid[]) AND b.payload IS NOT NULL",
        types: [.uuidArray], isReadOnly: true)

    /// What triggers send in place of their schedule's payload.
    package static func payloads(
        of ids: [ExecutionID], on runner: some StatementRunner
    ) async throws -> [ExecutionID: [UInt8]] {
        var payloads: [ExecutionID: [UInt8]] = [:]
        for row in try await runner.query(payloadsStatement, [.ids(ids)]) {
            payloads[try row.executionID(0)] = try row.jsonOrNil(1)
        }
        return payloads
    }

    static let openIDsStatement = Statement(
        "runs_open_of",
        """
        SELECT r.execution_id FROM scheduler.runs r
        WHERE r.schedule_id = $1 AND r.tracked AND NOT r.cancelling ORDER BY r.fence LIMIT $2
        """, types: [.uuid, .int64], isReadOnly: true)

    /// The oldest open executions of a schedule that nobody asked to stop.
    package static func oldestOpen(
        of schedule: ScheduleID, limit: Int, on runner: some StatementRunner
    ) async throws -> [ExecutionID] {
        try await runner.query(openIDsStatement, [.id(schedule), .int64(Int64(limit))]).map { try $0.executionID(0) }
    }

    static let busyStatement = Statement(
        "schedules_is_busy",
        """
        SELECT EXISTS (SELECT FROM scheduler.runs WHERE schedule_id = $1)
            OR EXISTS (SELECT FROM scheduler.buffered WHERE schedule_id = $1)
        """, types: [.uuid], isReadOnly: true)

    /// Whether something of a schedule is open beyond its delivery, or waits.
    package static func isBusy(_ schedule: ScheduleID, in transaction: PostgresTransaction) async throws -> Bool {
        try await transaction.query(busyStatement, [.id(schedule)]).first?.bool(0) ?? false
    }

    static let anyStatement = Statement(
        "buffered_any", "SELECT EXISTS (SELECT FROM scheduler.buffered)", isReadOnly: true)

    /// Whether anything waits.
    package static func isAnyWaiting(on runner: some StatementRunner) async throws -> Bool {
        try await runner.query(anyStatement, []).first?.bool(0) ?? false
    }

    static let countStatement = Statement(
        "buffered_count", "SELECT count(*) FROM scheduler.buffered", isReadOnly: true)

    /// How many wait.
    package static func count(on runner: some StatementRunner) async throws -> Int64 {
        try await runner.query(countStatement, []).first?.int64(0) ?? 0
    }
}
