import PostgresClient
package import Recurrence
package import SchedulerCore

/// What a check of the ledger reads: schedules page by page, their rows piece by piece, and what the audit log says of
/// their timing. Each statement reads an index in its order, and as much of it as it returns.
package enum LedgerTable {
    /// Schedules that one statement returns at most; their payloads are left out.
    package static let schedulesPage = 100
    /// Rows that one piece of the ledger holds.
    package static let rowsPage = 500
    /// Entries of the audit log that one statement returns: each may be as long as a schedule.
    static let turnsPage = 20
    /// Entries that are looked through for one schedule.
    static let mostEntries = 1000
    /// Rows behind a piece that are looked at for one that reaches into it.
    static let laterRows = 3

    // MARK: Schedules

    private static let scheduleColumns = ScheduleTable.columns
        .map { $0 == "command_payload" ? "'{}'::json" : "s.\($0)" }.joined(separator: ", ")
    private static let endedColumn = ScheduleTable.columns.firstIndex(of: "ended_at") ?? 0

    private static func schedules(_ name: String, where condition: String) -> Statement {
        Statement(
            name,
            """
            SELECT \(scheduleColumns), t.next_fire_at, t.resume_from, t.fire_seq, t.run_count, t.version, t.generation
            FROM scheduler.schedules s LEFT JOIN scheduler.timers t ON t.schedule_id = s.id
            WHERE s.id >= $1\(condition) ORDER BY s.id LIMIT $2
            """, types: [.uuid, .int64] + (condition.isEmpty ? [] : [.text]), isReadOnly: true)
    }

    static let schedulesStatement = schedules("ledger_schedules", where: "")
    /// Index `schedules_namespace`.
    static let ofNamespaceStatement = schedules("ledger_schedules_of_namespace", where: " AND s.namespace = $3")

    /// A schedule as it stands, or the id of a row that this program cannot read.
    package enum Standing: Sendable {
        case readable(Schedule, Timer, endedAt: Instant?)
        case unreadable(ScheduleTable.Unreadable)

        package var id: ScheduleID {
            switch self {
            case .readable(let schedule, _, _): schedule.id
            case .unreadable(let unreadable): unreadable.id
            }
        }
    }

    /// A page of schedules in the order of their ids, deleted and exhausted ones among them.
    package static func schedules(
        from id: ScheduleID?, in namespace: Namespace?, limit: Int = schedulesPage, on runner: some StatementRunner
    ) async throws -> [Standing] {
        let values: [PostgresValue] = [.uuid(id?.uuid ?? UUIDValue(high: 0, low: 0)), .int64(Int64(limit))]
        let rows =
            if let namespace {
                try await runner.query(ofNamespaceStatement, values + [.text(namespace.description)])
            } else {
                try await runner.query(schedulesStatement, values)
            }
        return try rows.map { try standing(of: $0) }
    }

    private static func standing(of row: PostgresRow) throws(PostgresError) -> Standing {
        let first = ScheduleTable.columns.count
        do throws(PostgresError) {
            guard !row.isNull(first + 2) else { throw PostgresError(.decoding, "the schedule has no timer") }
            let schedule = try ScheduleTable.schedule(of: row)
            let timer = Timer(
                schedule: schedule.id, nextFireAt: try row.instantOrNil(first),
                resumeFrom: try row.instantOrNil(first + 1), fireSequence: try row.int64(first + 2),
                runCount: try row.int64(first + 3), version: try row.int64(first + 4),
                generation: try row.int32(first + 5))
            return .readable(schedule, timer, endedAt: try row.instantOrNil(endedColumn))
        } catch {
            return .unreadable(try ScheduleTable.Unreadable(row, error))
        }
    }
}

// MARK: - Rows

extension LedgerTable {
    /// What watches over an open row: by the key of a small table, and asked for open ones only.
    private static func run(_ column: String) -> String {
        "CASE WHEN e.finished_at IS NULL THEN (SELECT \(column) FROM scheduler.runs r WHERE r.execution_id = e.id) END"
    }

    private static let rowColumns = """
        e.id, e.generation, e.origin, e.scheduled_for, greatest(e.due_at, e.claimed_at), e.finished_at IS NOT NULL,
        e.range_from, e.range_count, \(run("r.deadline_at")), false
        """

    /// Index `executions_schedule`, in the partitions of the piece.
    static let rowsStatement = Statement(
        "ledger_rows",
        """
        SELECT \(rowColumns) FROM scheduler.executions e
        WHERE \(ExecutionList.ofSchedule("$1", from: "$2", before: "$3")) AND id >= $2
        ORDER BY schedule_id, id LIMIT $4
        """, types: [.uuid, .uuid, .uuid, .int64], isReadOnly: true)

    /// The rows of a schedule whose keys lie in `from..<to`, in their order.
    package static func rows(
        of schedule: ScheduleID, from: Instant, to: Instant, limit: Int = rowsPage, on runner: some StatementRunner
    ) async throws -> [LedgerRow] {
        try await runner.query(
            rowsStatement,
            [.id(schedule), .uuid(.lowest(at: from)), .uuid(.lowest(at: to)), .int64(Int64(limit))]
        ).map { try row(of: $0) }
    }

    /// Index `buffered_schedule`.
    static let waitingStatement = Statement(
        "ledger_waiting",
        """
        SELECT b.execution_id, b.generation, b.origin, b.scheduled_for, greatest(b.due_at, b.since), false,
            NULL::timestamptz, 1::bigint, NULL::timestamptz, true
        FROM scheduler.buffered b
        WHERE b.schedule_id = $1 AND b.execution_id >= $2 AND b.execution_id < $3
        """, types: [.uuid, .uuid, .uuid], isReadOnly: true)

    /// Occurrences of a schedule that wait for a place: open, for as long as that takes, and without a row.
    package static func waiting(
        of schedule: ScheduleID, from: Instant, to: Instant, on runner: some StatementRunner
    ) async throws -> [LedgerRow] {
        try await runner.query(
            waitingStatement, [.id(schedule), .uuid(.lowest(at: from)), .uuid(.lowest(at: to))]
        ).map { try row(of: $0) }
    }

    static let laterStatement = Statement(
        "ledger_rows_later",
        """
        SELECT \(rowColumns) FROM scheduler.executions e
        WHERE \(ExecutionList.ofSchedule("$1", from: "$2", before: "'ffffffff-ffff-ffff-ffff-ffffffffffff'"))
            AND id >= $2 AND origin = 'time'
        ORDER BY schedule_id, id LIMIT $3
        """, types: [.uuid, .uuid, .int64], isReadOnly: true)

    /// The next rows of a schedule's own time from an instant on: a range stands under its last occurrence, and nothing
    /// of the schedule's own time lies within it.
    package static func later(
        of schedule: ScheduleID, from: Instant, on runner: some StatementRunner
    ) async throws -> [LedgerRow] {
        try await runner.query(
            laterStatement, [.id(schedule), .uuid(.lowest(at: from)), .int64(Int64(laterRows))]
        ).map { try row(of: $0) }
    }

    /// Index `claims_commanded`: as much as commands have open.
    static let heldStatement = Statement(
        "ledger_held",
        """
        SELECT x.id FROM scheduler.claims c JOIN scheduler.instances i ON i.id = c.instance AND i.fenced_at IS NULL
            CROSS JOIN LATERAL unnest(c.executions) AS x (id)
        WHERE c.commanded AND x.id = ANY ($1::uuid[])
        """, types: [.uuidArray], isReadOnly: true)

    /// Those of these that commands opened, and that a living instance has in hand.
    package static func held(
        among ids: [ExecutionID], on runner: some StatementRunner
    ) async throws -> Set<ExecutionID> {
        Set(try await runner.query(heldStatement, [.ids(ids)]).map { try $0.executionID(0) })
    }

    private static func row(of row: PostgresRow) throws(PostgresError) -> LedgerRow {
        // What waits for a place waits for as long as that takes.
        var openUntil = try row.instantOrNil(8)
        if openUntil == nil, try row.bool(9) { openUntil = .latest }
        return LedgerRow(
            id: try row.executionID(0), generation: try row.int32(1), origin: try row.choice(2),
            scheduledFor: try row.instant(3), openSince: try row.instant(4), isOver: try row.bool(5),
            rangeFrom: try row.instantOrNil(6), rangeCount: try row.int64(7), openUntil: openUntil)
    }
}

// MARK: - What was

extension LedgerTable {
    /// Index `audit_log_schedule`, backwards.
    static let entriesStatement = Statement(
        "ledger_turns",
        """
        SELECT at, id, before, after FROM scheduler.audit_log
        WHERE schedule_id = $1 AND (at, id) < ($2, $3) AND action = 'updated' AND before IS NOT NULL
            AND after IS NOT NULL
        ORDER BY at DESC, id DESC LIMIT $4
        """, types: [.uuid, .timestamptz, .int64, .int64], isReadOnly: true)

    /// The edits of a schedule's timing, newest first, until one at or before `from`, or all.
    /// - Parameter read: what an entry's text says.
    package static func turns(
        of schedule: ScheduleID, from: Instant, on runner: some StatementRunner,
        reading read: ([UInt8]) -> AuditedTiming?
    ) async throws -> [TimingTurn] {
        var turns: [TimingTurn] = []
        var (at, id) = (Instant.latest, Int64.max)
        for _ in 0..<(mostEntries / turnsPage) {
            let rows = try await runner.query(
                entriesStatement, [.id(schedule), .instant(at), .int64(id), .int64(Int64(turnsPage))])
            for row in rows {
                (at, id) = (try row.instant(0), try row.int64(1))
                let (before, after) = (try row.jsonOrNil(2).flatMap(read), try row.jsonOrNil(3).flatMap(read))
                guard let turn = TimingTurn(at: at, before: before, after: after) else { continue }
                turns.append(turn)
                if at <= from { return turns }
            }
            if rows.count < turnsPage { break }
        }
        return turns
    }

    static let disturbancesStatement = Statement(
        "ledger_disturbances",
        """
        SELECT at, action, reason FROM scheduler.audit_log
        WHERE schedule_id = $1 AND action IN ('schedule_restored', 'invalidated', 'updated', 'deleted')
        ORDER BY at, id LIMIT $2
        """, types: [.uuid, .int64], isReadOnly: true)

    /// Stretches of time over which a schedule's ledger cannot be whole: before it was put back from a backup, and while
    /// it was invalid.
    package static func disturbances(
        of schedule: ScheduleID, on runner: some StatementRunner
    ) async throws -> [LedgerDoubt] {
        var doubts: [LedgerDoubt] = []
        var invalidFrom: Instant?
        for row in try await runner.query(disturbancesStatement, [.id(schedule), .int64(Int64(mostEntries))]) {
            let at = try row.instant(0)
            switch try row.text(1) {
            case AuditEntry.scheduleRestored:
                doubts.append(LedgerDoubt(.restored, from: .earliest, through: at))
            case "invalidated":
                // What was due meanwhile is told when it heals, unless nobody knows its times.
                let fault = try row.textOrNil(2) ?? ""
                if unreadableFaults.contains(where: { fault.hasPrefix($0) }) { invalidFrom = invalidFrom ?? at }
            default:
                guard let from = invalidFrom else { continue }
                doubts.append(LedgerDoubt(.invalid, from: from.adding(milliseconds: -day), through: at))
                invalidFrom = nil
            }
        }
        if let from = invalidFrom {
            doubts.append(LedgerDoubt(.invalid, from: from.adding(milliseconds: -day), through: .latest))
        }
        return doubts
    }

    private static let day: Int64 = 86_400_000
    /// How the faults begin that leave nobody to say which occurrences there were.
    private static let unreadableFaults = [
        "timezone", "cron_expression", "rrule", "only_on", "not_on", "a schedule's row",
    ]

    static let zoneDataStatement = Statement(
        "ledger_zone_data", "SELECT changed_at FROM scheduler.zone_data", isReadOnly: true)

    /// When the zone data were others last; nil before any instance has started.
    package static func zoneDataChangedAt(on runner: some StatementRunner) async throws -> Instant? {
        try await runner.query(zoneDataStatement, []).first?.instant(0)
    }

    static let calendarsStatement = Statement(
        "ledger_calendars",
        "SELECT count(*), max(updated_at) FROM scheduler.calendars WHERE namespace = $1 AND name = ANY ($2::text[])",
        types: [.text, .textArray], isReadOnly: true)

    /// When one of these calendars was changed last; nil where one of them is gone.
    package static func calendarsChangedAt(
        _ names: Set<CalendarName>, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> Instant? {
        let rows = try await runner.query(
            calendarsStatement, [.text(namespace.description), .texts(names.map(\.description).sorted())])
        guard let row = rows.first, try row.int64(0) == Int64(names.count) else { return nil }
        return try row.instantOrNil(1)
    }

    /// The beginning of the oldest day that the ledger keeps as a day.
    package static func oldestDay(on runner: some StatementRunner) async throws -> Instant? {
        try await PartitionTable.days(on: runner).first.flatMap { PartitionTable.dayStart(named: $0) }
    }
}
