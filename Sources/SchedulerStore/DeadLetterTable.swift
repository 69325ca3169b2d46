import PostgresClient
package import SchedulerCore

/// Executions that gave up, as those look for them who send them again.
package enum DeadLetterTable {
    /// Whatever its namespace.
    static let findStatement = Statement(
        "dead_letters_find",
        """
        SELECT \(ExecutionTable.columns), e.payload, s.namespace
        FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id WHERE e.id = $1
        """, types: [.uuid], isReadOnly: true)

    package struct Found: Sendable {
        package let execution: Execution
        /// What it sent in place of its schedule's payload.
        package let payload: [UInt8]?
        /// Nil where the row names none that anybody can have.
        package let namespace: Namespace?
    }

    package static func find(_ id: ExecutionID, on runner: some StatementRunner) async throws -> Found? {
        try await runner.query(findStatement, [.id(id)]).first.map { row in
            Found(
                execution: try ExecutionTable.execution(of: row),
                payload: try row.jsonOrNil(ExecutionTable.columnCount),
                namespace: try? Namespace(try row.text(ExecutionTable.columnCount + 1)))
        }
    }
}
