package import PostgresClient
package import SchedulerCore

/// What workers' reports look up and leave behind, beside the lives that they change.
package enum ReportTable {
    /// An execution, and whose it is.
    package struct Found: Sendable {
        package let execution: Execution
        package let name: String
        package let namespace: String
        /// Of the schedule.
        package let version: Int64

        package init(execution: Execution, name: String, namespace: String, version: Int64) {
            self.execution = execution
            self.name = name
            self.namespace = namespace
            self.version = version
        }
    }

    static let findStatement = Statement(
        "reports_find",
        """
        SELECT \(ExecutionTable.columns), s.name, s.namespace, s.version
        FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
        WHERE e.id = ANY ($1::uuid[])
        """, types: [.uuidArray], isReadOnly: true)

    /// The executions of these ids, those that are over included. By the key, in the partitions that the ids name.
    package static func find(
        _ ids: [ExecutionID], on runner: some StatementRunner
    ) async throws -> [ExecutionID: Found] {
        var found: [ExecutionID: Found] = [:]
        for row in try await runner.query(findStatement, [.ids(ids)]) {
            let execution = try ExecutionTable.execution(of: row)
            found[execution.id] = Found(
                execution: execution, name: try row.text(ExecutionTable.columnCount),
                namespace: try row.text(ExecutionTable.columnCount + 1),
                version: try row.int64(ExecutionTable.columnCount + 2))
        }
        return found
    }

    static let setProgressStatement = Statement(
        "runs_set_progress", "UPDATE scheduler.runs SET progress = $2 WHERE execution_id = $1", types: [.uuid, .json])

    /// How far a worker says that it is; nil where an attempt begins that has said nothing yet. No indexed column: the
    /// update can be HOT.
    package static func setProgress(_ progress: [UInt8]?, of id: ExecutionID) -> Call {
        setProgressStatement(.id(id), progress.map { .json($0) } ?? .null)
    }
}

extension ReportTable {
    static let ownersStatement = Statement(
        "reports_owners", "SELECT id, namespace, version FROM scheduler.schedules WHERE id = ANY ($1::uuid[])",
        types: [.uuidArray], isReadOnly: true)

    /// Whose schedules these are, and at which version.
    package static func owners(
        of ids: [ScheduleID], on runner: some StatementRunner
    ) async throws -> [ScheduleID: (namespace: String, version: Int64)] {
        var owners: [ScheduleID: (namespace: String, version: Int64)] = [:]
        for row in try await runner.query(ownersStatement, [.ids(ids)]) {
            owners[try row.scheduleID(0)] = (try row.text(1), try row.int64(2))
        }
        return owners
    }
}
