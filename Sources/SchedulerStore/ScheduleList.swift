import PostgresClient
package import Recurrence
package import SchedulerCore

/// Which schedules a list shows; pages by id, which is the order of creation.
package struct ScheduleFilter: Hashable, Sendable {
    package var state: ScheduleState?
    package var tag: String?
    package var targetCommand: String?
    package var namePrefix: String?
    package var dueBefore: Instant?
    /// Only ids beyond this one.
    package var after: ScheduleID?
    /// 1 to 1000.
    package var limit = 100

    package init() {}
}

extension ScheduleTable {
    /// Index `schedules_namespace`, in its order; the other conditions are filters on the rows it finds.
    static let listStatement = Statement(
        "schedules_list",
        """
        SELECT \(columnList) FROM scheduler.schedules s
        LEFT JOIN scheduler.timers t ON t.schedule_id = s.id
        WHERE s.namespace = $1 AND s.id > $2 AND s.state <> 'deleted'
            AND ($3::text IS NULL OR s.state = $3)
            AND ($4::text IS NULL OR $4 = ANY (s.tags))
            AND ($5::text IS NULL OR s.target_command = $5)
            AND ($6::text IS NULL OR starts_with(s.name, $6))
            AND ($7::timestamptz IS NULL OR t.next_fire_at < $7)
        ORDER BY s.id LIMIT $8
        """, types: [.text, .uuid, .text, .text, .text, .text, .timestamptz, .int64], isReadOnly: true)

    package static func list(
        _ filter: ScheduleFilter, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> [Schedule] {
        let after = filter.after?.uuid ?? UUIDValue(high: 0, low: 0)
        return try await runner.query(
            listStatement,
            [
                .text(namespace.description), .uuid(after), .text(filter.state?.rawValue), .text(filter.tag),
                .text(filter.targetCommand), .text(filter.namePrefix), .instant(filter.dueBefore),
                .int64(Int64(filter.limit)),
            ]
        ).map { try schedule(of: $0) }
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
