package import PostgresClient
import Recurrence
package import SchedulerCore
package import SchedulerWire

/// What a backup reads, page by page in the order of keys, and what putting it back needs besides the tables' own
/// statements.
package enum BackupTable {
    /// A page of records with the keys by which the next one goes on.
    package struct Page: Sendable {
        package var records: [(key: [String], record: BackupRecord)] = []
        /// Schedules whose rows this program cannot read.
        package var unreadable: [ScheduleTable.Unreadable] = []
        /// How many rows were read: fewer than asked for end the kind.
        package var count = 0
        /// The key of the last row.
        package var last: [String]?
    }

    /// - Parameters:
    ///   - key: of the last record that was read; nil from the beginning.
    ///   - namespace: only what belongs to this one.
    package static func page(
        of kind: BackupKind, after key: [String]?, in namespace: Namespace?, limit: Int,
        on runner: some StatementRunner
    ) async throws -> Page {
        let (bound, only) = (PostgresValue.int64(Int64(limit)), PostgresValue.text(namespace?.description))
        switch kind {
        case .namespace:
            return try namespaces(await runner.query(namespacesStatement, [.text(key?.first ?? ""), only, bound]))
        case .target:
            let (space, subject) = (key?.first ?? "", key?.last ?? "")
            return try targets(await runner.query(targetsStatement, [.text(space), .text(subject), only, bound]))
        case .calendar:
            let (space, name) = (key?.first ?? "", key?.last ?? "")
            return try calendars(await runner.query(calendarsStatement, [.text(space), .text(name), only, bound]))
        case .freeze:
            return try freezes(await runner.query(freezesStatement, [.uuid(uuid(key)), only, bound]))
        case .schedule:
            return try schedules(await runner.query(schedulesStatement, [.uuid(uuid(key)), only, bound]))
        }
    }

    private static func uuid(_ key: [String]?) -> UUIDValue {
        key?.first.flatMap { UUIDValue(text: $0) } ?? UUIDValue(high: 0, low: 0)
    }

    // MARK: Pages

    /// A row is there for its count of schedules too.
    private static let hasLimits = """
        (n.max_schedules IS NOT NULL OR n.commands_per_second IS NOT NULL OR n.min_interval_ms IS NOT NULL
            OR n.max_payload_bytes IS NOT NULL OR n.concurrency IS NOT NULL)
        """

    static let namespacesStatement = Statement(
        "backup_namespaces",
        """
        SELECT n.namespace, n.schedule_count, \(LimitTable.columns) FROM scheduler.namespaces n
        WHERE n.namespace > $1 AND \(hasLimits) AND ($2::text IS NULL OR n.namespace = $2)
        ORDER BY n.namespace LIMIT $3
        """, types: [.text, .text, .int64], isReadOnly: true)

    private static func namespaces(_ rows: PostgresRows) throws -> Page {
        var page = Page()
        for row in rows {
            guard let view = try LimitTable.view(of: row, from: 0) else {
                page.pass([try row.text(0)])
                continue
            }
            page.add(.namespace(view.namespace, view.limits), [view.namespace.description])
        }
        return page
    }

    static let targetsStatement = Statement(
        "backup_targets",
        """
        SELECT \(TargetTable.columns) FROM scheduler.targets
        WHERE (namespace, subject) > ($1, $2) AND ($3::text IS NULL OR namespace = $3)
        ORDER BY namespace, subject LIMIT $4
        """, types: [.text, .text, .text, .int64], isReadOnly: true)

    private static func targets(_ rows: PostgresRows) throws -> Page {
        var page = Page()
        for row in rows {
            let key = [try row.text(0), try row.text(1)]
            if let entry = try TargetTable.entry(of: row, from: 0) {
                page.add(.target(entry), key)
            } else {
                page.pass(key)
            }
        }
        return page
    }

    static let calendarsStatement = Statement(
        "backup_calendars",
        """
        SELECT \(CalendarTable.columns) FROM scheduler.calendars
        WHERE (namespace, name) > ($1, $2) AND ($3::text IS NULL OR namespace = $3)
        ORDER BY namespace, name LIMIT $4
        """, types: [.text, .text, .text, .int64], isReadOnly: true)

    private static func calendars(_ rows: PostgresRows) throws -> Page {
        var page = Page()
        for row in rows {
            let view = try CalendarTable.calendar(of: row)
            page.add(.calendar(view), [view.namespace.description, view.name.description])
        }
        return page
    }

    /// Those of everybody belong to no namespace, and to a backup of the whole store only.
    static let freezesStatement = Statement(
        "backup_freezes",
        """
        SELECT \(FreezeTable.columns) FROM scheduler.freezes
        WHERE id > $1 AND ($2::text IS NULL OR namespace = $2) ORDER BY id LIMIT $3
        """, types: [.uuid, .text, .int64], isReadOnly: true)

    private static func freezes(_ rows: PostgresRows) throws -> Page {
        var page = Page()
        for row in rows {
            let freeze = try FreezeTable.freeze(of: row, from: 0)
            page.add(.freeze(freeze), [freeze.id.description])
        }
        return page
    }

    /// In the order of the ids: the primary key, or index `schedules_namespace` where one namespace is asked for. A
    /// schedule and its timer come from one snapshot.
    static let schedulesStatement = Statement(
        "backup_schedules",
        """
        SELECT \(ScheduleTable.columnList), t.next_fire_at, t.resume_from, t.fire_seq, t.run_count
        FROM scheduler.schedules s JOIN scheduler.timers t ON t.schedule_id = s.id
        WHERE s.id > $1 AND s.state <> 'deleted' AND ($2::text IS NULL OR s.namespace = $2) ORDER BY s.id LIMIT $3
        """, types: [.uuid, .text, .int64], isReadOnly: true)

    private static func schedules(_ rows: PostgresRows) throws -> Page {
        var page = Page()
        let first = ScheduleTable.columns.count
        for row in rows {
            do throws(PostgresError) {
                let schedule = try ScheduleTable.schedule(of: row)
                let timer = Timer(
                    schedule: schedule.id, nextFireAt: try row.instantOrNil(first),
                    resumeFrom: try row.instantOrNil(first + 1), fireSequence: try row.int64(first + 2),
                    runCount: try row.int64(first + 3), version: schedule.version, generation: schedule.generation)
                page.add(.schedule(schedule, timer), [schedule.id.description])
            } catch {
                page.count += 1
                page.last = [try row.scheduleID(0).description]
                page.unreadable.append(try ScheduleTable.Unreadable(row, error))
            }
        }
        return page
    }

    static let countsStatement = Statement(
        "backup_counts",
        """
        SELECT (SELECT count(*) FROM scheduler.namespaces n
                WHERE \(hasLimits) AND ($1::text IS NULL OR n.namespace = $1)),
            (SELECT count(*) FROM scheduler.targets WHERE $1::text IS NULL OR namespace = $1),
            (SELECT count(*) FROM scheduler.calendars WHERE $1::text IS NULL OR namespace = $1),
            (SELECT count(*) FROM scheduler.freezes WHERE $1::text IS NULL OR namespace = $1),
            (SELECT count(*) FROM scheduler.schedules
                WHERE state <> 'deleted' AND ($1::text IS NULL OR namespace = $1))
        """, types: [.text], isReadOnly: true)

    /// How many records of each kind there are now.
    package static func counts(
        in namespace: Namespace?, on runner: some StatementRunner
    ) async throws -> [(kind: BackupKind, count: Int64)] {
        let rows = try await runner.query(countsStatement, [.text(namespace?.description)])
        guard let row = rows.first else { return [] }
        return try BackupKind.allCases.enumerated().map { ($1, try row.int64($0)) }
    }
}

extension BackupTable.Page {
    /// A row that names nobody that there can be: it allows nothing and bounds nothing.
    fileprivate mutating func pass(_ key: [String]) {
        count += 1
        last = key
    }

    fileprivate mutating func add(_ record: BackupRecord, _ key: [String]) {
        records.append((key, record))
        count += 1
        last = key
    }
}

// MARK: - Putting back

extension BackupTable {
    static let heldStatement = Statement(
        "backup_held", ScheduleTable.fetchStatement.sql + " ORDER BY s.id FOR UPDATE", types: [.uuidArray])

    /// The schedules with these ids that are there, deleted ones too, locked until the transaction ends. The caller
    /// holds their timers.
    package static func hold(
        _ ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> ScheduleTable.Fetched {
        try ScheduleTable.Fetched(await transaction.query(heldStatement, [.ids(ids)]))
    }

    /// Index `schedules_name`.
    static let holdersStatement = Statement(
        "backup_name_holders",
        """
        SELECT s.namespace, s.name, s.id FROM unnest($1::text[], $2::text[]) AS u (namespace, name)
        JOIN scheduler.schedules s ON s.namespace = u.namespace AND s.name = u.name
        WHERE s.state NOT IN ('exhausted', 'deleted')
        """, types: [.textArray, .textArray], isReadOnly: true)

    /// Who has these names now, by `namespace/name`.
    package static func holders(
        of names: [(namespace: Namespace, name: ScheduleName)], on runner: some StatementRunner
    ) async throws -> [String: ScheduleID] {
        let rows = try await runner.query(
            holdersStatement, [.texts(names.map(\.namespace.description)), .texts(names.map(\.name.description))])
        var holders: [String: ScheduleID] = [:]
        for row in rows { holders["\(try row.text(0))/\(try row.text(1))"] = try row.scheduleID(2) }
        return holders
    }

    static let countStatement = Statement(
        "backup_count_schedules",
        """
        INSERT INTO scheduler.namespaces AS n (namespace, schedule_count) VALUES ($1, $2)
        ON CONFLICT (namespace) DO UPDATE SET schedule_count = n.schedule_count + excluded.schedule_count
        """, types: [.text, .int64])

    /// Counts schedules that were put back, whatever the limit: they were within it once.
    package static func count(_ schedules: Int64, in namespace: Namespace) -> Call {
        countStatement(.text(namespace.description), .int64(schedules))
    }

    static let freezeStatement = Statement(
        "backup_freeze", "SELECT \(FreezeTable.columns) FROM scheduler.freezes WHERE id = ANY ($1::uuid[]) FOR UPDATE",
        types: [.uuidArray])

    package static func freezes(_ ids: [FreezeID], in transaction: PostgresTransaction) async throws -> [Freeze] {
        try await transaction.query(freezeStatement, [.uuids(ids, \.uuid)]).map {
            try FreezeTable.freeze(of: $0, from: 0)
        }
    }
}
