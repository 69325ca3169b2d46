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
            generation, origin, trigger, caused_by, concurrency_key, target_limit)
        SELECT u.id, u.schedule_id, u.scheduled_for, u.due_at, $1, u.ordinal, u.missed, u.generation, u.origin,
            u.trigger, u.caused_by, u.concurrency_key, u.target_limit
        FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bigint[],
            $8::int[], $9::text[], $10::text[], $11::uuid[], $12::text[], $13::text[]) WITH ORDINALITY
            AS u (id, schedule_id, scheduled_for, due_at, ordinal, missed, generation, origin, trigger, caused_by,
                concurrency_key, target_limit, n)
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
                }), .texts(waiting, \.limits.key), .texts(waiting, \.limits.target))
    }

    static let describeStatement = Statement(
        "buffered_describe",
        "UPDATE scheduler.buffered SET payload = $2, retry_of = $3, trace = $4 WHERE execution_id = $1",
        types: [.uuid, .json, .uuid, .text])

    /// What one that waits sends in place of its schedule's payload, the execution that it takes up again, and the trace that
    /// it belongs to.
    package static func describe(
        _ id: ExecutionID, payload: [UInt8]?, retryOf: ExecutionID?, trace: TraceContext? = nil
    ) -> Call {
        describeStatement(
            .id(id), .optional(payload) { .json($0) }, .optional(retryOf) { .id($0) }, .text(trace?.text))
    }

    static let columns = """
        b.schedule_id, b.generation, b.origin, b.scheduled_for, b.ordinal, b.execution_id, b.due_at, b.trigger,
        b.missed_count, b.since, b.caused_by, b.concurrency_key, b.target_limit
        """

    static func waiting(of row: PostgresRow) throws(PostgresError) -> WaitingOccurrence {
        WaitingOccurrence(
            occurrence: Occurrence(
                schedule: try row.scheduleID(0), generation: try row.int32(1), origin: try row.choice(2),
                scheduledFor: try row.instant(3), ordinal: try row.int64(4)),
            id: try row.executionID(5), dueAt: try row.instant(6), trigger: try row.choice(7),
            missedCount: try row.int64(8), since: try row.instant(9),
            causedBy: row.isNull(10) ? nil : try row.executionID(10),
            limits: ConcurrencyNames(key: try row.textOrNil(11), target: try row.textOrNil(12)))
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

    /// The schedules of which something waits, from one on: one search of index `buffered_schedule` for each, however many
    /// occurrences wait, so a page costs what its schedules do.
    static let candidatesStatement = Statement(
        "buffered_candidates",
        """
        WITH RECURSIVE w (id) AS (
            (SELECT b.schedule_id FROM scheduler.buffered b WHERE b.schedule_id > $1 ORDER BY b.schedule_id LIMIT 1)
            UNION ALL
            SELECT (SELECT b.schedule_id FROM scheduler.buffered b WHERE b.schedule_id > w.id
                    ORDER BY b.schedule_id LIMIT 1)
            FROM w WHERE w.id IS NOT NULL),
        page AS MATERIALIZED (SELECT w.id FROM w WHERE w.id IS NOT NULL LIMIT $2)
        SELECT page.id, f.since, f.concurrency_key, f.target_limit, s.namespace, s.target_command,
            s.state IN ('invalid', 'deleted') OR s.completion = 'none' OR s.shadow,
            s.overlap_policy = 'allow' OR (
                SELECT count(*) FROM scheduler.runs r WHERE r.schedule_id = page.id AND r.tracked) < s.max_in_flight,
            s.overlap_policy = 'cancel_previous' AND EXISTS (
                SELECT FROM scheduler.runs r WHERE r.schedule_id = page.id AND r.tracked AND NOT r.cancelling)
        FROM page
            CROSS JOIN LATERAL (
                SELECT b.since, b.concurrency_key, b.target_limit FROM scheduler.buffered b
                WHERE b.schedule_id = page.id ORDER BY b.due_at, b.seq LIMIT 1) f
            LEFT JOIN scheduler.schedules s ON s.id = page.id
        ORDER BY page.id
        """, types: [.uuid, .int64], isReadOnly: true)

    /// A schedule of which something waits, as it looks without a lock.
    package struct Candidate: Hashable, Sendable {
        package let schedule: ScheduleID
        /// Since when its first one waits.
        package let since: Instant
        /// What its first one waits for besides a place of its own.
        package let limits: ConcurrencyNames
        package let namespace: String
        package let target: String
        /// Nothing holds it back any more: what waits is told, or opened.
        package let isLoose: Bool
        /// One of its own places is free.
        package let isFree: Bool
        /// Its open executions may be asked to stop.
        package let mayStop: Bool
    }

    /// A page of the schedules of which something waits, in the order of their ids. Nothing is locked.
    /// - Returns: those of the page that are schedules, and where the next page begins; nil after the last.
    package static func candidates(
        after id: ScheduleID?, limit: Int, on runner: some StatementRunner
    ) async throws -> (candidates: [Candidate], next: ScheduleID?) {
        let from = id?.uuid ?? UUIDValue(high: 0, low: 0)
        let rows = try await runner.query(candidatesStatement, [.uuid(from), .int64(Int64(limit))])
        var candidates: [Candidate] = []
        for row in rows where !row.isNull(4) {
            candidates.append(
                Candidate(
                    schedule: try row.scheduleID(0), since: try row.instant(1),
                    limits: ConcurrencyNames(key: try row.textOrNil(2), target: try row.textOrNil(3)),
                    namespace: try row.text(4), target: try row.text(5), isLoose: try row.bool(6),
                    isFree: try row.bool(7), mayStop: try row.bool(8)))
        }
        return (candidates, rows.count == limit ? try rows.last?.scheduleID(0) : nil)
    }

    /// Moves rows into the ledger, with all that was kept for them: `$1` to `$3` are their ids, fences and versions.
    private static func taking(into columns: String, _ values: String) -> String {
        """
        WITH taken AS (
            DELETE FROM scheduler.buffered b USING unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS u (id, fence, version)
            WHERE b.execution_id = u.id RETURNING b.*, u.fence, u.version)
        INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, fence, schedule_version, missed_count,
            ordinal, generation, origin, trigger, payload, retry_of, caused_by, trace, claimed_at,
            \(columns))
        SELECT execution_id, schedule_id, scheduled_for, due_at, fence, version, missed_count, ordinal, generation,
            origin, trigger, payload, retry_of, caused_by, trace, $4, \(values)
        FROM taken
        """
    }

    static let takeStatement = Statement(
        "buffered_open", taking(into: "claimed_by, state, attempt, tracked", "$5, 'claimed', 1, $6"),
        types: [.uuidArray, .int64Array, .int64Array, .timestamptz, .uuid, .bool])

    /// Opens executions of what waited. The key is the gate, as for every opening.
    package static func open(
        _ openings: [ExecutionTable.Opening], tracked: Bool, by instance: InstanceID, at now: Instant
    ) -> Call {
        takeStatement(
            .uuids(openings, \.id.uuid), .int64s(openings, \.fence), .int64s(openings, \.version), .instant(now),
            .id(instance), .bool(tracked))
    }

    static let skipStatement = Statement(
        "buffered_skip",
        taking(into: "finished_at, state, attempt, reason", "$4, 'skipped', 0, $5") + " ON CONFLICT (id) DO NOTHING",
        types: [.uuidArray, .int64Array, .int64Array, .timestamptz, .text])

    /// Tells that what waited was skipped; all for one reason.
    package static func skip(_ skipped: [Execution], at now: Instant) -> Call {
        skipStatement(
            .uuids(skipped, \.id.uuid), .int64s(skipped, \.fence), .int64s(skipped, \.scheduleVersion), .instant(now),
            .text(skipped.first?.reason))
    }

    static let forgetStatement = Statement(
        "buffered_forget", "DELETE FROM scheduler.buffered WHERE execution_id = ANY ($1::uuid[])", types: [.uuidArray])

    /// Drops what has a row in the ledger already.
    package static func forget(_ ids: [ExecutionID]) -> Call { forgetStatement(.ids(ids)) }

    static let payloadsStatement = Statement(
        "buffered_payloads",
        """
        SELECT b.execution_id, b.payload, b.trace FROM scheduler.buffered b
        WHERE b.execution_id = ANY ($1::uuid[]) AND (b.payload IS NOT NULL OR b.trace IS NOT NULL)
        """, types: [.uuidArray], isReadOnly: true)

    /// What triggers brought.
    package struct Brought: Sendable {
        /// Is sent in place of the schedule's payload.
        package let payload: [UInt8]?
        package let trace: TraceContext?
    }

    /// What was brought by the triggers of what waits; those that brought nothing are missing.
    package static func brought(
        for ids: [ExecutionID], on runner: some StatementRunner
    ) async throws -> [ExecutionID: Brought] {
        var brought: [ExecutionID: Brought] = [:]
        for row in try await runner.query(payloadsStatement, [.ids(ids)]) {
            brought[try row.executionID(0)] = Brought(
                payload: try row.jsonOrNil(1), trace: try row.textOrNil(2).flatMap { TraceContext(text: $0) })
        }
        return brought
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
