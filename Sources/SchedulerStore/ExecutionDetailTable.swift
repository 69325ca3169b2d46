import PostgresClient
package import SchedulerCore
package import SchedulerWire

/// What replies tell of executions beside their rows: deadlines and progress of what is open, results of what ended.
package enum ExecutionDetailTable {
    static let findStatement = Statement(
        "executions_detail",
        """
        SELECT \(RunTable.columns), r.progress, e.result, e.id
        FROM scheduler.executions e LEFT JOIN scheduler.runs r ON r.execution_id = e.id
        WHERE e.id = ANY ($1::uuid[])
        """, types: [.uuidArray], isReadOnly: true)

    /// Asks for those that there can be something of; by the keys.
    package static func find(
        _ executions: [Execution], on runner: some StatementRunner
    ) async throws -> [ExecutionID: ExecutionDetail] {
        let ids = executions.filter { $0.isTracked || $0.state == .retryWait }.map(\.id)
        guard !ids.isEmpty else { return [:] }
        var details: [ExecutionID: ExecutionDetail] = [:]
        for row in try await runner.query(findStatement, [.ids(ids)]) {
            let life = row.isNull(0) ? nil : try RunTable.life(of: row)
            details[try row.executionID(RunTable.columnCount + 2)] = ExecutionDetail(
                life: life, progress: try row.jsonOrNil(RunTable.columnCount),
                result: try row.jsonOrNil(RunTable.columnCount + 1))
        }
        return details
    }
}
