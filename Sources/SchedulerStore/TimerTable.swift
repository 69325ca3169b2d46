package import PostgresClient
package import Recurrence
package import SchedulerCore

/// The hot half of the schedules: who is due, and where each timer moves.
package enum TimerTable {
    /// A timer that a claim holds locked.
    package struct Due: Sendable {
        package let timer: Timer
        package let nextFireAt: Instant
        package let priority: Int16
    }

    /// What one look found.
    package struct Taken: Sendable {
        package var due: [Due] = []
        /// The epoch of the freezes: the same for all claims between two changes of them.
        package var freezeEpoch: Int64?
        /// The same of the targets that commands allow.
        package var targetEpoch: Int64?
    }

    /// Takes due timers and locks them until the transaction ends; what a peer holds is passed over.
    ///
    /// Index `timers_due`, in its order, so LIMIT ends the scan. The share is a filter on the index's third column: two
    /// members read each other's entries and leave them. Anyone may take what is overdue ($4). What is put off is read
    /// ahead of its time too, but neither locked nor counted before it has come ($7).
    static let takeDueStatement = Statement(
        "timers_take_due",
        """
        SELECT schedule_id, next_fire_at, fire_seq, run_count, version, generation, priority, resume_from,
            (SELECT epoch FROM scheduler.freeze_epoch), (SELECT targets FROM scheduler.rules_epoch)
        FROM scheduler.timers
        WHERE next_fire_at >= $1 AND next_fire_at <= $2 AND (partition = ANY ($3::smallint[]) OR next_fire_at <= $4)
            AND schedule_id <> ALL ($6::uuid[]) AND (NOT put_off OR next_fire_at <= $7)
        ORDER BY next_fire_at, priority DESC
        LIMIT $5
        FOR UPDATE SKIP LOCKED
        """, types: [.timestamptz, .timestamptz, .int16Array, .timestamptz, .int64, .uuidArray, .timestamptz])

    /// - Parameters:
    ///   - from: what is due earlier is somebody else's work (the backlog's).
    ///   - share: this member's partitions.
    ///   - overdue: what was due by then is taken whatever its partition.
    ///   - except: schedules that are left alone; few.
    ///   - now: what is put off until later is left alone.
    package static func takeDue(
        from: Instant, through horizon: Instant, share: [Int16], overdue: Instant, limit: Int,
        except: [ScheduleID], now: Instant, in transaction: PostgresTransaction
    ) async throws -> Taken {
        let rows = try await transaction.query(
            takeDueStatement,
            [
                .instant(from), .instant(horizon), .int16s(share), .instant(overdue), .int64(Int64(limit)),
                .ids(except), .instant(now),
            ])
        var taken = Taken()
        taken.due.reserveCapacity(rows.count)
        taken.freezeEpoch = try rows.first?.int64(8)
        taken.targetEpoch = try rows.first?.int64(9)
        for row in rows {
            let nextFireAt = try row.instant(1)
            taken.due.append(
                Due(
                    timer: Timer(
                        schedule: try row.scheduleID(0), nextFireAt: nextFireAt,
                        resumeFrom: try row.instantOrNil(7), fireSequence: try row.int64(2), runCount: try row.int64(3),
                        version: try row.int64(4), generation: try row.int32(5)),
                    nextFireAt: nextFireAt, priority: try row.int16(6)))
        }
        return taken
    }

    /// Moves timers on from what was claimed. The caller holds their locks.
    static let advanceStatement = Statement(
        "timers_advance",
        """
        UPDATE scheduler.timers t SET next_fire_at = u.next_fire_at, fire_seq = u.fire_seq, run_count = u.run_count,
            resume_from = u.resume_from
        FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::timestamptz[])
            AS u (schedule_id, next_fire_at, fire_seq, run_count, resume_from)
        WHERE t.schedule_id = u.schedule_id
        """)

    package static func advance(_ timers: [Timer]) -> Call {
        advanceStatement(
            .uuids(timers, \.schedule.uuid), .instants(timers, \.nextFireAt), .int64s(timers, \.fireSequence),
            .int64s(timers, \.runCount), .instants(timers, \.resumeFrom))
    }

    static let advanceListeningStatement = Statement(
        "timers_advance_listening",
        """
        UPDATE scheduler.timers t SET next_fire_at = u.next_fire_at, fire_seq = u.fire_seq, run_count = u.run_count,
            resume_from = u.resume_from, put_off = u.put_off
        FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bool[])
            AS u (schedule_id, next_fire_at, fire_seq, run_count, resume_from, put_off)
        WHERE t.schedule_id = u.schedule_id
        """)

    /// Moves timers of schedules that messages drive, as ``advance(_:)``.
    /// - Parameter isPutOff: no claim takes it ahead of its time.
    package static func advanceListening(_ timers: [(timer: Timer, isPutOff: Bool)]) -> Call {
        advanceListeningStatement(
            .uuids(timers, \.timer.schedule.uuid), .instants(timers, \.timer.nextFireAt),
            .int64s(timers, \.timer.fireSequence), .int64s(timers, \.timer.runCount),
            .instants(timers, \.timer.resumeFrom), .bools(timers, \.isPutOff))
    }

    static let lockStatement = Statement(
        "timers_lock",
        """
        SELECT schedule_id, next_fire_at, resume_from, fire_seq, run_count, version, generation
        FROM scheduler.timers WHERE schedule_id = $1 FOR UPDATE
        """, types: [.uuid])

    /// Locks one timer, so that no claim of the schedule is under way until the transaction ends.
    package static func lock(_ id: ScheduleID, in transaction: PostgresTransaction) async throws -> Timer? {
        try await timer(of: transaction.query(lockStatement, [.id(id)]).first)
    }

    static let lockAllStatement = Statement(
        "timers_lock_all",
        """
        SELECT schedule_id, next_fire_at, resume_from, fire_seq, run_count, version, generation
        FROM scheduler.timers WHERE schedule_id = ANY ($1::uuid[]) ORDER BY schedule_id FOR UPDATE
        """, types: [.uuidArray])

    /// Locks many timers, in the order of their ids, as everybody does.
    package static func lockAll(
        _ ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> [ScheduleID: Timer] {
        var timers: [ScheduleID: Timer] = [:]
        for row in try await transaction.query(lockAllStatement, [.ids(ids)]) {
            if let timer = try timer(of: row) { timers[timer.schedule] = timer }
        }
        return timers
    }

    static let fetchStatement = Statement(
        "timers_fetch",
        """
        SELECT schedule_id, next_fire_at, resume_from, fire_seq, run_count, version, generation
        FROM scheduler.timers WHERE schedule_id = ANY ($1::uuid[])
        """, types: [.uuidArray], isReadOnly: true)

    package static func fetch(
        _ ids: [ScheduleID], on runner: some StatementRunner
    ) async throws -> [ScheduleID: Timer] {
        var timers: [ScheduleID: Timer] = [:]
        for row in try await runner.query(fetchStatement, [.ids(ids)]) {
            if let timer = try timer(of: row) { timers[timer.schedule] = timer }
        }
        return timers
    }

    static func timer(of row: PostgresRow?) throws -> Timer? {
        guard let row else { return nil }
        return Timer(
            schedule: try row.scheduleID(0), nextFireAt: try row.instantOrNil(1), resumeFrom: try row.instantOrNil(2),
            fireSequence: try row.int64(3), runCount: try row.int64(4), version: try row.int64(5),
            generation: try row.int32(6))
    }

    static let insertStatement = Statement(
        "timers_insert",
        """
        INSERT INTO scheduler.timers
            (schedule_id, next_fire_at, resume_from, fire_seq, run_count, version, generation, partition, priority)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """)

    package static func insert(_ timer: Timer, priority: Int16) -> Call {
        insertStatement(
            .id(timer.schedule), .instant(timer.nextFireAt), .instant(timer.resumeFrom), .int64(timer.fireSequence),
            .int64(timer.runCount), .int64(timer.version), .int32(timer.generation),
            .int16(Int16(timer.schedule.partition)), .int16(priority))
    }

    static let updateStatement = Statement(
        "timers_update",
        """
        UPDATE scheduler.timers SET next_fire_at = $2, resume_from = $3, fire_seq = $4, run_count = $5, version = $6,
            generation = $7, priority = $8, put_off = false
        WHERE schedule_id = $1
        """)

    /// Moves a timer for a command. What put it off is looked at again; another type may need no putting off.
    package static func update(_ timer: Timer, priority: Int16) -> Call {
        updateStatement(
            .id(timer.schedule), .instant(timer.nextFireAt), .instant(timer.resumeFrom), .int64(timer.fireSequence),
            .int64(timer.runCount), .int64(timer.version), .int32(timer.generation), .int16(priority))
    }

    static let fenceStatement = Statement(
        "timers_fence", "UPDATE scheduler.timers SET fire_seq = $2 WHERE schedule_id = $1", types: [.uuid, .int64])

    /// Moves nothing but the fence. The caller holds the lock.
    package static func advanceFence(_ timer: Timer) -> Call {
        fenceStatement(.id(timer.schedule), .int64(timer.fireSequence))
    }

    /// How much falls due in each of the coming seconds, of what nobody has claimed; index only, bounded by $3.
    static let forecastStatement = Statement(
        "timers_forecast",
        """
        SELECT floor(extract(epoch FROM (next_fire_at - $1)))::bigint AS second, count(*)
        FROM (SELECT next_fire_at FROM scheduler.timers
              WHERE next_fire_at > $1 AND next_fire_at <= $2 ORDER BY next_fire_at LIMIT $3) due
        GROUP BY 1
        """, types: [.timestamptz, .timestamptz, .int64], isReadOnly: true)

    /// - Returns: counts for each second from `now`, as many as the bound lets be seen.
    package static func forecast(
        now: Instant, seconds: Int, limit: Int, on runner: some StatementRunner
    ) async throws -> [Int] {
        var counts = [Int](repeating: 0, count: seconds)
        let end = now.adding(milliseconds: Int64(seconds) * 1000)
        for row in try await runner.query(forecastStatement, [.instant(now), .instant(end), .int64(Int64(limit))]) {
            let second = try row.int64(0)
            if second >= 0, second < Int64(seconds) { counts[Int(second)] = Int(try row.int64(1)) }
        }
        return counts
    }

    static let overdueStatement = Statement(
        "timers_overdue",
        "SELECT count(*) FROM (SELECT 1 FROM scheduler.timers WHERE next_fire_at <= $1 LIMIT $2) due",
        types: [.timestamptz, .int64], isReadOnly: true)

    /// How many timers are due and unclaimed, up to a bound.
    package static func countOverdue(
        at now: Instant, limit: Int = 1_000_000, on runner: some StatementRunner
    ) async throws -> Int {
        let rows = try await runner.query(overdueStatement, [.instant(now), .int64(Int64(limit))])
        return try rows.first.map { Int(try $0.int64(0)) } ?? 0
    }
}
