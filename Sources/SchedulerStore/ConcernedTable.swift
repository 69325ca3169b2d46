import PostgresClient
package import SchedulerCore

/// What a rehearsal reads of the schedules that a change concerns: bounded looks, without locks, and rows without what
/// may be long in them.
package enum ConcernedTable {
    /// How many schedules one look sees.
    package static let stretch = 10_000

    /// Schedules that something concerns.
    package struct Found: Sendable {
        package let ids: [ScheduleID]
        /// There are no others.
        package let isComplete: Bool

        package init(ids: [ScheduleID], isComplete: Bool) {
            self.ids = ids
            self.isComplete = isComplete
        }
    }

    /// Index `schedules_namespace`, in its order.
    static let ofNamespaceStatement = Statement(
        "concerned_of_namespace",
        """
        SELECT id, target_command, state FROM scheduler.schedules WHERE namespace = $1 ORDER BY id LIMIT \(stretch)
        """, types: [.text], isReadOnly: true)

    /// The active schedules of a namespace, with a target, of both, or all of them.
    package static func active(
        in namespace: Namespace?, target: SubjectPattern?, on runner: some StatementRunner
    ) async throws -> Found {
        guard let namespace else {
            let scope = TargetScope(namespace: nil, subject: try target ?? SubjectPattern(">"))
            let page = try await RevocationTable.page(of: scope, after: nil, limit: stretch, on: runner)
            return Found(ids: page.schedules, isComplete: page.next == nil)
        }
        let rows = try await runner.query(ofNamespaceStatement, [.text(namespace.description)])
        let ids = try rows.compactMap { row -> ScheduleID? in
            guard try row.text(2) == ScheduleState.active.rawValue else { return nil }
            let subject = try row.text(1)
            guard target.map({ $0.matches(subject) }) ?? true else { return nil }
            return try row.scheduleID(0)
        }
        return Found(ids: ids, isComplete: rows.count < stretch)
    }

    /// Indexes `schedules_only_on` and `schedules_not_on`; UNION, so that each is used.
    static let usersStatement = Statement(
        "concerned_calendar_users",
        """
        SELECT id, state FROM (
            (SELECT id, state FROM scheduler.schedules WHERE namespace = $1 AND only_on = $2 LIMIT \(stretch))
            UNION (SELECT id, state FROM scheduler.schedules WHERE namespace = $1 AND not_on = $2 LIMIT \(stretch))) u
        ORDER BY id
        """, types: [.text, .text], isReadOnly: true)

    /// The schedules that use a calendar and may fire yet.
    package static func users(
        of name: CalendarName, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> Found {
        let rows = try await runner.query(usersStatement, [.text(namespace.description), .text(name.description)])
        let over = [ScheduleState.deleted.rawValue, ScheduleState.exhausted.rawValue]
        let ids = try rows.compactMap { over.contains(try $0.text(1)) ? nil : try $0.scheduleID(0) }
        return Found(ids: ids, isComplete: rows.count < stretch)
    }

    /// The columns of a schedule; what may be long and decides over no time is empty.
    private static let briefColumns = ScheduleTable.columns.map { column in
        switch column {
        case "command_payload", "command_headers", "metadata": "'{}'::json"
        case "description": "''::text"
        default: "s.\(column)"
        }
    }.joined(separator: ", ")

    static let briefStatement = Statement(
        "concerned_brief",
        "SELECT \(briefColumns) FROM scheduler.schedules s WHERE s.id = ANY ($1::uuid[]) ORDER BY s.id",
        types: [.uuidArray], isReadOnly: true)

    /// The schedules with these ids, without payload, headers, metadata and description; those that can be read.
    package static func brief(_ ids: [ScheduleID], on runner: some StatementRunner) async throws -> [Schedule] {
        try ScheduleTable.Fetched(await runner.query(briefStatement, [.ids(ids)])).schedules
    }

    /// How many schedules are held against a namespace's limits.
    package static let mostMeasured = 1000

    /// Index `schedules_namespace`, in its order. Of a payload only its length leaves the server.
    static let measuredStatement = Statement(
        "concerned_measured",
        """
        SELECT \(briefColumns), octet_length(s.command_payload::text) FROM scheduler.schedules s
        WHERE s.namespace = $1 ORDER BY s.id LIMIT \(mostMeasured)
        """, types: [.text], isReadOnly: true)

    /// A schedule without what may be long in it, and how many bytes its payload has.
    package struct Measured: Sendable {
        package let schedule: Schedule
        package let payloadBytes: Int64
    }

    /// The schedules of a namespace that are neither exhausted nor deleted, of the first ``mostMeasured``.
    package static func measured(
        in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> (schedules: [Measured], isComplete: Bool) {
        let rows = try await runner.query(measuredStatement, [.text(namespace.description)])
        var measured: [Measured] = []
        for row in rows {
            // One that cannot be read keeps no other from being measured.
            guard let schedule = try? ScheduleTable.schedule(of: row), schedule.state != .deleted,
                schedule.state != .exhausted
            else { continue }
            measured.append(
                Measured(schedule: schedule, payloadBytes: Int64(try row.int32(ScheduleTable.columns.count))))
        }
        return (measured, rows.count < mostMeasured)
    }
}
