import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Takes the usual heartbeat: of a worker that is known to run. It moves a deadline in one narrow row, and nothing of the
/// ledger, under that row's lock alone.
struct SignWriter: Sendable {
    let instance: InstanceID
    let compiler: ScheduleCompiler

    /// - Returns: those that mean more than a sign of life, or nothing: they are for the ``ReportWriter``.
    func take(
        _ batch: [ReportWriter.Reading], at now: Instant, on connection: PostgresConnection
    ) async throws -> [ReportWriter.Reading] {
        try await connection.transaction { transaction in
            var left: [ReportWriter.Reading] = []
            var lives: [ExecutionID: Life] = [:]
            for life in try await RunTable.lock(Set(batch.map(\.execution)).sorted(), in: transaction) {
                lives[life.execution] = life
            }
            let owners = try await ReportTable.owners(of: Set(lives.values.map(\.schedule)).sorted(), on: transaction)
            let schedules = try await compiler.schedules(
                for: owners.map { (id: $0.key, version: $0.value.version) }, in: transaction
            ).ready
            var kept: [ExecutionID: Life] = [:]
            var calls: [Call] = []
            for reading in batch {
                let report = reading.report
                guard let life = lives[reading.execution], life.state == .running, life.fence == report.fence,
                    owners[life.schedule]?.namespace == report.subject.namespace.description, report.flaws.isEmpty,
                    let rule = schedules[life.schedule]?.life
                else {
                    left.append(reading)
                    continue
                }
                if let change = try? life.taking(report.event, under: rule, at: now) {
                    kept[life.execution] = change.life
                }
                if let progress = report.progress {
                    calls.append(ReportTable.setProgress(progress, of: life.execution))
                }
            }
            if !kept.isEmpty { calls.insert(RunTable.keep(kept.values.sorted { $0.execution < $1.execution }), at: 0) }
            if !calls.isEmpty { calls.insert(InstanceTable.hold(instance), at: 0) }
            _ = try await transaction.commit(with: calls)
            return left
        }
    }
}
