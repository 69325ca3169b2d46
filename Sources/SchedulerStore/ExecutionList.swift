import PostgresClient
import Recurrence
package import SchedulerCore

/// Looking at executions: one by its id, or many, the latest first.
///
/// A list reads a bounded stretch of the ledger, whatever is asked for: a page may come back short, with the place
/// where the next one goes on.
package enum ExecutionList {
    package struct Filter: Hashable, Sendable {
        package var schedule: ScheduleID?
        package var state: ExecutionState?
        /// Only executions before this one.
        package var before: ExecutionID?
        /// 1 to 1000.
        package var limit = 100

        package init() {}
    }

    package struct Row: Sendable {
        package let execution: Execution
        package let name: String
    }

    package struct Page: Sendable {
        package let rows: [Row]
        /// Where the next page goes on; nil where there is nothing more.
        package let next: ExecutionID?
    }

    /// How many rows of the ledger one page looks at. Some 50 ms.
    package static let stretch = 20_000
    /// A namespace with at most so many schedules is looked up schedule by schedule, beyond the first stretch.
    package static let fewSchedules = 500

    static let findStatement = Statement(
        "executions_find",
        """
        SELECT \(ExecutionTable.columns), s.name
        FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
        WHERE e.id = $1 AND s.namespace = $2
        """, types: [.uuid, .text], isReadOnly: true)

    package static func find(
        _ id: ExecutionID, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> Row? {
        try await runner.query(findStatement, [.id(id), .text(namespace.description)]).first.map { try row(of: $0) }
    }

    /// - Parameter stretch: rows of the ledger that are looked at, at most.
    package static func page(
        _ filter: Filter, in namespace: Namespace, stretch: Int = stretch, on runner: some StatementRunner
    ) async throws -> Page {
        if let schedule = filter.schedule {
            return try await page(of: schedule, filter, in: namespace, stretch: stretch, on: runner)
        }
        let before = filter.before.map(\.uuid) ?? UUIDValue(high: .max, low: .max)
        let floor = try await runner.query(floorStatement, [.uuid(before), .int64(Int64(stretch) - 1)]).first?
            .uuidValue(0)
        var rows = try await runner.query(
            walkStatement,
            [
                .text(namespace.description), .uuid(floor ?? UUIDValue(high: 0, low: 0)), .uuid(before),
                .text(filter.state?.rawValue), .int64(Int64(filter.limit)),
            ]
        ).map { try row(of: $0) }
        guard rows.count < filter.limit, let floor else {
            return Page(rows: rows, next: rows.count < filter.limit ? nil : rows.last?.execution.id)
        }
        // The latest stretch is mostly others': the rest is looked up by the namespace's own schedules, if they are few.
        let few = [PostgresValue.text(namespace.description), .int64(Int64(fewSchedules) + 1)]
        guard try await runner.query(countStatement, few).first?.int64(0) ?? 0 <= fewSchedules else {
            return Page(rows: rows, next: ExecutionID(floor))
        }
        let missing = filter.limit - rows.count
        let older = try await runner.query(
            lookUpStatement,
            [
                .text(namespace.description), .uuid(floor), .text(filter.state?.rawValue), .int64(Int64(missing)),
            ])
        rows += try older.map { try row(of: $0) }
        return Page(rows: rows, next: older.count < missing ? nil : rows.last?.execution.id)
    }

    private static func page(
        of schedule: ScheduleID, _ filter: Filter, in namespace: Namespace, stretch: Int,
        on runner: some StatementRunner
    ) async throws -> Page {
        let before = filter.before.map(\.uuid) ?? UUIDValue(high: .max, low: .max)
        let floor = try await runner.query(
            scheduleFloorStatement, [.uuid(before), .id(schedule), .int64(Int64(stretch) - 1)]
        ).first?.uuidValue(0)
        let rows = try await runner.query(
            ofScheduleStatement,
            [
                .text(namespace.description), .id(schedule), .uuid(floor ?? UUIDValue(high: 0, low: 0)),
                .uuid(before), .text(filter.state?.rawValue), .int64(Int64(filter.limit)),
            ]
        ).map { try row(of: $0) }
        let isFull = rows.count == filter.limit
        return Page(rows: rows, next: isFull ? rows.last?.execution.id : floor.map { ExecutionID($0) })
    }

    private static func row(of row: PostgresRow) throws -> Row {
        Row(execution: try ExecutionTable.execution(of: row), name: try row.text(ExecutionTable.columnCount))
    }
}

// MARK: - Statements

extension ExecutionList {
    /// The key, backwards, without a look at the rows: the last id of the stretch.
    static let floorStatement = Statement(
        "executions_floor",
        "SELECT id FROM scheduler.executions WHERE id < $1 ORDER BY id DESC OFFSET $2 LIMIT 1",
        types: [.uuid, .int64], isReadOnly: true)

    /// What bounds and orders a look-up of one schedule's executions, latest first, so that only the index
    /// `executions_schedule` serves it: as a range of pairs. With an equality the planner takes the key as often, for its
    /// order, and reads everybody's rows until it has found enough of this one's. The plain bound picks the partitions.
    static func ofSchedule(
        _ schedule: String, from: String = "'00000000-0000-0000-0000-000000000000'", before: String
    ) -> String {
        """
        (schedule_id, id) < (\(schedule), \(before))
            AND (schedule_id, id) >= (\(schedule), \(from)) AND id < \(before)
        """
    }

    static let latestFirst = "schedule_id DESC, id DESC"

    static let scheduleFloorStatement = Statement(
        "executions_schedule_floor",
        """
        SELECT id FROM scheduler.executions WHERE \(ofSchedule("$2", before: "$1"))
        ORDER BY \(latestFirst) OFFSET $3 LIMIT 1
        """, types: [.uuid, .uuid, .int64], isReadOnly: true)

    /// The key, backwards, with a look-up of each row's schedule, until the page is full. OFFSET 0 keeps it so: joined
    /// freely, the planner may begin with all schedules of the namespace.
    static let walkStatement = Statement(
        "executions_walk",
        """
        SELECT \(ExecutionTable.columns), s.name
        FROM scheduler.executions e
        CROSS JOIN LATERAL (
            SELECT name FROM scheduler.schedules WHERE id = e.schedule_id AND namespace = $1 OFFSET 0) s
        WHERE e.id >= $2 AND e.id < $3 AND ($4::text IS NULL OR e.state = $4)
        ORDER BY e.id DESC LIMIT $5
        """, types: [.text, .uuid, .uuid, .text, .int64], isReadOnly: true)

    static let countStatement = Statement(
        "schedules_count",
        "SELECT count(*) FROM (SELECT 1 FROM scheduler.schedules WHERE namespace = $1 LIMIT $2) s",
        types: [.text, .int64], isReadOnly: true)

    /// Each schedule's latest on `executions_schedule`, then the latest of all.
    static let lookUpStatement = Statement(
        "executions_look_up",
        """
        SELECT \(ExecutionTable.columns), l.name
        FROM (SELECT s.name, f.id FROM scheduler.schedules s
              CROSS JOIN LATERAL (
                  SELECT id FROM scheduler.executions
                  WHERE \(ofSchedule("s.id", before: "$2")) AND ($3::text IS NULL OR state = $3)
                  ORDER BY \(latestFirst) LIMIT $4) f
              WHERE s.namespace = $1 ORDER BY f.id DESC LIMIT $4) l
        CROSS JOIN LATERAL (SELECT * FROM scheduler.executions WHERE id = l.id OFFSET 0) e
        ORDER BY e.id DESC
        """, types: [.text, .uuid, .text, .int64], isReadOnly: true)

    static let ofScheduleStatement = Statement(
        "executions_of_schedule",
        """
        SELECT \(ExecutionTable.columns), s.name
        FROM scheduler.schedules s
        CROSS JOIN LATERAL (
            SELECT * FROM scheduler.executions
            WHERE \(ofSchedule("s.id", from: "$3", before: "$4")) AND ($5::text IS NULL OR state = $5)
            ORDER BY \(latestFirst) LIMIT $6) e
        WHERE s.id = $2 AND s.namespace = $1
        ORDER BY e.id DESC
        """, types: [.text, .uuid, .uuid, .uuid, .text, .int64], isReadOnly: true)
}
