import PostgresClient
package import Recurrence
package import SchedulerCore

/// Lists of schedules: pages by keys, each of which looks at a bounded stretch of an index.
///
/// A page costs the same wherever it lies, because it begins at a key and not after a count. What a filter leaves out
/// is looked at all the same, so a page ends after ``stretch`` schedules, though it may be short or empty then: it
/// says where the next one begins. By next fire the stretch is one of the timers of all namespaces, for the timers are
/// hot and have one index alone.
extension ScheduleTable {
    /// How many schedules one page looks at.
    package static let stretch = 20_000

    package struct ListPage: Sendable {
        package var schedules: [Schedule] = []
        /// Where the next page begins; nil after the last one.
        package var next: ScheduleKey?
    }

    /// - Parameter stretch: how many schedules the page looks at.
    package static func page(
        _ filter: ScheduleFilter, in namespace: Namespace, stretch: Int = stretch, on runner: some StatementRunner
    ) async throws -> ListPage {
        let window = window(of: filter)
        let rows = try await runner.query(
            pageStatement(filter.sort, stretch: stretch),
            [.text(namespace.description)] + window + conditions(of: filter) + [.int64(Int64(filter.limit))])
        var page = ListPage()
        // One that this program cannot read keeps no other from its reader.
        page.schedules = try Fetched(rows).schedules
        if rows.count == filter.limit, let last = rows.last {
            page.next = ScheduleKey(
                id: try last.uuidValue(0), name: filter.sort.field == .name ? try last.text(2) : "",
                nextFireAt: try last.instantOrNil(columns.count) ?? Instant(milliseconds: 0))
            return page
        }
        let end = try await runner.query(
            endStatement(filter.sort, stretch: stretch), [.text(namespace.description)] + window
        ).first
        page.next = try end.map {
            ScheduleKey(
                id: try $0.uuidValue(0), name: try $0.textOrNil(1) ?? "",
                nextFireAt: try $0.instantOrNil(2) ?? Instant(milliseconds: 0))
        }
        return page
    }

    /// The keys that the page lies between, `$2` to `$5`.
    private static func window(of filter: ScheduleFilter) -> [PostgresValue] {
        let (low, high) = ScheduleKey.bounds(of: filter)
        switch filter.sort.field {
        case .id: return [.uuid(low.id), .uuid(high.id)]
        case .name: return [.uuid(low.id), .uuid(high.id), .text(low.name), .text(high.name)]
        case .nextFireAt: return [.uuid(low.id), .uuid(high.id), .instant(low.nextFireAt), .instant(high.nextFireAt)]
        }
    }

    private static func conditions(of filter: ScheduleFilter) -> [PostgresValue] {
        let isLiteral = filter.target?.isLiteral ?? true
        return [
            filter.states.isEmpty ? .null : PostgresValue.texts(filter.states.map(\.rawValue)),
            filter.tags.isEmpty ? .null : PostgresValue.texts(filter.tags),
            filter.allTags.isEmpty ? .null : PostgresValue.texts(filter.allTags),
            .text(isLiteral ? filter.target?.description : nil),
            .text(isLiteral ? nil : filter.target?.regularExpression), .text(filter.namePrefix),
            .instant(filter.dueBefore),
        ]
    }

    /// The stretch of an index that a page looks at: where it is read from, between which keys, and in which order.
    private struct Stretch {
        let keys: String
        let source: String
        let order: String
        let types: [PostgresType]

        init(_ sort: ScheduleSort) {
            let down = sort.isDescending ? " DESC" : ""
            switch sort.field {
            case .id:
                keys = "s.id, NULL::text, NULL::timestamptz"
                source = "scheduler.schedules s WHERE s.namespace = $1 AND s.id > $2 AND s.id < $3"
                order = "s.id\(down)"
                types = [.text, .uuid, .uuid]
            case .name:
                keys = "s.id, s.name, NULL::timestamptz"
                source = """
                    scheduler.schedules s WHERE s.namespace = $1 AND s.state <> 'deleted'
                        AND (s.name COLLATE "C", s.id) > ($4, $2) AND (s.name COLLATE "C", s.id) < ($5, $3)
                    """
                order = "s.name COLLATE \"C\"\(down), s.id\(down)"
                types = [.text, .uuid, .uuid, .text, .text]
            case .nextFireAt:
                keys = "t.schedule_id, NULL::text, t.next_fire_at"
                source = """
                    scheduler.timers t WHERE t.next_fire_at IS NOT NULL AND (t.next_fire_at, t.schedule_id) > ($4, $2)
                        AND (t.next_fire_at, t.schedule_id) < ($5, $3)
                    """
                order = "t.next_fire_at\(down), t.schedule_id\(down)"
                types = [.text, .uuid, .uuid, .timestamptz, .timestamptz]
            }
        }
    }

    /// The stretch is bounded in the text, so that the planner knows it too.
    static func pageStatement(_ sort: ScheduleSort, stretch count: Int = stretch) -> Statement {
        let stretch = Stretch(sort)
        let first = stretch.types.count + 1
        let isByTime = sort.field == .nextFireAt
        let conditions = """
            s.state <> 'deleted'
                AND ($\(first)::text[] IS NULL OR s.state = ANY ($\(first)))
                AND ($\(first + 1)::text[] IS NULL OR s.tags && $\(first + 1))
                AND ($\(first + 2)::text[] IS NULL OR s.tags @> $\(first + 2))
                AND ($\(first + 3)::text IS NULL OR s.target_command = $\(first + 3))
                AND ($\(first + 4)::text IS NULL OR s.target_command ~ $\(first + 4))
                AND ($\(first + 5)::text IS NULL OR starts_with(s.name, $\(first + 5)))
                AND ($\(first + 6)::timestamptz IS NULL OR
                    (SELECT d.next_fire_at FROM scheduler.timers d WHERE d.schedule_id = s.id) < $\(first + 6))
            """
        let inner = isByTime ? "t.schedule_id, t.next_fire_at" : "*"
        let found =
            """
            (SELECT \(inner) FROM \(stretch.source)
             ORDER BY \(stretch.order) LIMIT \(count))
            """
        let from =
            isByTime
            ? "\(found) t JOIN scheduler.schedules s ON s.id = t.schedule_id AND s.namespace = $1" : "\(found) s"
        return Statement(
            "schedules_page_\(sort.rawValue)_\(count)",
            """
            SELECT \(columnList), \(isByTime ? "t.next_fire_at" : "NULL::timestamptz") FROM \(from)
            WHERE \(conditions)
            ORDER BY \(stretch.order) LIMIT $\(first + 7)
            """,
            types: stretch.types + [
                .textArray, .textArray, .textArray, .text, .text, .text, .timestamptz, .int64,
            ], isReadOnly: true)
    }

    /// Where the stretch ends; no row where the list ends before it does. Index only.
    static func endStatement(_ sort: ScheduleSort, stretch count: Int = stretch) -> Statement {
        let stretch = Stretch(sort)
        let namespace = sort.field == .nextFireAt ? " AND $1::text IS NOT NULL" : ""
        return Statement(
            "schedules_page_end_\(sort.rawValue)_\(count)",
            """
            SELECT \(stretch.keys) FROM \(stretch.source)\(namespace)
            ORDER BY \(stretch.order) OFFSET \(count - 1) LIMIT 1
            """, types: stretch.types, isReadOnly: true)
    }

    static let lastFireStatement = Statement(
        "schedules_last_fire",
        """
        SELECT e.fired_at, e.state FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, n)
        LEFT JOIN LATERAL (
            SELECT fired_at, state FROM scheduler.executions
            WHERE \(ExecutionList.ofSchedule("u.id", before: "'ffffffff-ffff-ffff-ffff-ffffffffffff'"))
                AND state <> 'claimed' AND fired_at IS NOT NULL
            ORDER BY \(ExecutionList.latestFirst) LIMIT 1) e ON true
        ORDER BY u.n
        """, types: [.uuidArray], isReadOnly: true)

    /// When each schedule fired last, and how that ended, whatever was skipped since; in the order of the ids.
    package static func lastFires(
        of ids: [ScheduleID], on runner: some StatementRunner
    ) async throws -> [(firedAt: Instant?, status: String?)] {
        try await runner.query(lastFireStatement, [.ids(ids)]).map { (try $0.instantOrNil(0), try $0.textOrNil(1)) }
    }

    static let countsStatement = Statement(
        "schedules_counts", "SELECT state, count(*) FROM scheduler.schedules WHERE state <> 'deleted' GROUP BY state",
        isReadOnly: true)

    /// How many schedules there are in each state.
    package static func counts(on runner: some StatementRunner) async throws -> [(state: String, count: Int64)] {
        try await runner.query(countsStatement, []).map { (try $0.text(0), try $0.int64(1)) }
    }
}
