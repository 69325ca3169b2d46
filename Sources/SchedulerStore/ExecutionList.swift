import PostgresClient
import Recurrence
package import SchedulerCore

/// Looking at executions: one by its id, or many, the latest first.
package enum ExecutionList {
    package struct Filter: Hashable, Sendable {
        package var schedule: ScheduleID?
        package var state: ExecutionState?
        /// Only executions before this one.
        package var before: ExecutionID?
        package var limit = 100

        package init() {}
    }

    package struct Row: Sendable {
        package let execution: Execution
        package let name: String
    }

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
        let rows = try await runner.query(findStatement, [.id(id), .text(namespace.description)])
        return try rows.first.map { Row(execution: try ExecutionTable.execution(of: $0), name: try $0.text(25)) }
    }

    /// By schedule on `executions_schedule`, else along the key; both in the order of time, partition by partition.
    static let listStatement = Statement(
        "executions_list",
        """
        SELECT \(ExecutionTable.columns), s.name
        FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
        WHERE s.namespace = $1 AND e.id < $2 AND ($3::uuid IS NULL OR e.schedule_id = $3)
            AND ($4::text IS NULL OR e.state = $4)
        ORDER BY e.id DESC LIMIT $5
        """, types: [.text, .uuid, .uuid, .text, .int64], isReadOnly: true)

    package static func list(
        _ filter: Filter, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> [Row] {
        let before = filter.before?.uuid ?? UUIDValue(high: .max, low: .max)
        return try await runner.query(
            listStatement,
            [
                .text(namespace.description), .uuid(before), .optional(filter.schedule) { .id($0) },
                .text(filter.state?.rawValue), .int64(Int64(filter.limit)),
            ]
        ).map { Row(execution: try ExecutionTable.execution(of: $0), name: try $0.text(25)) }
    }
}
