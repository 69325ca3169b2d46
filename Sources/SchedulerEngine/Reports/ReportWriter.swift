import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Takes many reports in one transaction: what each means is decided over its execution's rows as they stand under their
/// locks, and as the reports before it have left them. So a report that comes twice, or on two instances at once, moves its
/// execution once.
struct ReportWriter: Sendable {
    /// A report beside what came.
    struct Reading: Sendable {
        let received: ReceivedReport
        let report: WorkerReport

        var execution: ExecutionID { report.subject.execution }
    }

    /// What becomes of a batch.
    struct Taken: Sendable {
        var writes = Writes([])
        /// Those that are looked at again in a moment: the acknowledgement of their message is not recorded.
        var early: [Reading] = []
        /// Those of schedules whose rows cannot be read by now.
        var unreadable: [Reading] = []
        /// Those that are dealt with once this is committed.
        var settled: [Reading] = []
        var ended: Set<ScheduleID> = []
        var workersToStop: [LifeWriter.WorkerToStop] = []
    }

    /// How often a report is looked at that is quicker than the record: some four seconds long.
    static let mostEarlyLooks: UInt64 = 40

    let instance: InstanceID
    let names: SubjectNames
    let compiler: ScheduleCompiler

    /// - Parameter unread: what is to be told of reports that cannot be read.
    func take(
        _ batch: [Reading], _ unread: [ReportProblem], at now: Instant, on connection: PostgresConnection
    ) async throws -> (taken: Taken, owed: [EventTeller.Owed]) {
        let (taken, rows) = try await SettledTransaction.run(on: connection) { transaction in
            var taken = try await decide(batch, unread, at: now, in: transaction)
            var all = Writes([InstanceTable.hold(instance)])
            all += taken.writes
            taken.writes = all
            return (taken, all.calls)
        }
        // Where the rows are lost the sweep tells what is owed.
        return (taken, try rows.map { try taken.writes.owed($0) } ?? [])
    }

    private func decide(
        _ batch: [Reading], _ unread: [ReportProblem], at now: Instant, in transaction: PostgresTransaction
    ) async throws -> Taken {
        var rows = try await Rows(of: Set(batch.map(\.execution)).sorted(), by: compiler, in: transaction)
        var taken = Taken()
        var writer = LifeWriter(names: names, at: now)
        var progress: [ExecutionID: [UInt8]?] = [:]
        var problems = unread
        /// What follows a report that waits waits with it.
        var waiting: Set<ExecutionID> = []
        for reading in batch {
            let found = rows.found[reading.execution]
            let open = rows.open[reading.execution]
            let schedule = found.flatMap { rows.schedules[$0.execution.schedule] }
            if found != nil, schedule == nil {
                taken.unreadable.append(reading)
                continue
            }
            let known = found.map {
                ReportDecision.Known(open?.execution ?? $0.execution, namespace: $0.namespace, life: open?.life)
            }
            let isPatient = reading.received.deliveries < Self.mostEarlyLooks
            let decision = ReportDecision.decide(
                reading.report, on: known, under: schedule?.life ?? .nobodys, isPatient: isPatient, at: now)
            if case .early = decision { waiting.insert(reading.execution) }
            guard !waiting.contains(reading.execution) else {
                taken.early.append(reading)
                continue
            }
            taken.settled.append(reading)
            var life = open?.life
            var hasBegun = false
            if case .refused(let error) = decision {
                problems.append(problem(reading, found, refusing: error))
                continue
            }
            if case .change(let change) = decision, let open, let schedule {
                let execution = writer.write(
                    change, of: open.execution, by: schedule, payload: open.payload, result: reading.report.result)
                rows.follow(change.life, execution, open.payload)
                life = change.life
                hasBegun = change.tells.contains(.running)
            }
            if let life, Self.progresses(reading.report, life, hasBegun: hasBegun) {
                progress[life.execution] = .some(reading.report.progress)
            }
            if let flawed = flaws(of: reading, found) { problems.append(flawed) }
        }
        taken.ended = writer.ended
        taken.workersToStop = writer.workersToStop
        taken.writes += writer.writes()
        taken.writes += progress.sorted { $0.key < $1.key }.map { ReportTable.setProgress($0.value, of: $0.key) }
        let told = Dictionary(problems.map { message(of: $0, at: now) }.map { ($0.messageID, $0) }) { first, _ in first
        }
        if !told.isEmpty { taken.writes.owe(told.values.sorted { $0.messageID < $1.messageID }, at: now) }
        return taken
    }

    /// Whether a report says how far its attempt is: of what stays open only. A further attempt begins with nothing said.
    private static func progresses(_ report: WorkerReport, _ life: Life, hasBegun: Bool) -> Bool {
        guard !life.isOver, life.state != .retryWait else { return false }
        return report.progress != nil || (hasBegun && life.attempt > 1)
    }

    // MARK: What is told

    private func problem(
        _ reading: Reading, _ found: ReportTable.Found?, refusing error: WireError
    ) -> ReportProblem {
        let message = reading.received.message
        let problem = ReportProblem(
            refusing: reading.report, body: message.payload, on: message.subject, for: error)
        // Of another namespace's execution nothing is told.
        return error.code == .executionNotFound ? problem : problem.about(found?.execution)
    }

    private func flaws(of reading: Reading, _ found: ReportTable.Found?) -> ReportProblem? {
        let message = reading.received.message
        return ReportProblem(flawsOf: reading.report, body: message.payload, on: message.subject)?
            .about(found?.execution)
    }

    private func message(of problem: ReportProblem, at now: Instant) -> OwedMessage {
        let text = problem.text(at: now, source: names.source)
        return OwedMessage(
            stream: names.eventsStream, subject: text.subject(prefix: names.prefix), messageID: text.id,
            contentType: CloudEvent.contentType, body: text.body)
    }
}

extension LifeRule {
    /// Stands where there is no execution to decide over.
    fileprivate static let nobodys = LifeRule(
        completion: .none, startTimeout: nil, runTimeout: 0, heartbeatTimeout: nil, retry: RetryRule())
}

extension ReportWriter {
    /// Executions as they stand, those that are open under their locks: timers, executions, runs.
    private struct Rows {
        private(set) var found: [ExecutionID: ReportTable.Found]
        private(set) var open: [ExecutionID: OpenLife] = [:]
        private(set) var schedules: [ScheduleID: CompiledSchedule] = [:]

        init(of ids: [ExecutionID], by compiler: ScheduleCompiler, in transaction: PostgresTransaction) async throws {
            found = try await ReportTable.find(ids, on: transaction)
            let wanted = found.values.filter { $0.execution.isTracked && !$0.execution.isOver }.map(\.execution)
            if !wanted.isEmpty {
                _ = try await transaction.pipeline([ExhaustionTable.lock(Set(wanted.map(\.schedule)).sorted())])
                for life in try await LifeTable.lock(wanted.map(\.id).sorted(), in: transaction) {
                    open[life.execution.id] = life
                }
                // What ended while the locks were waited for stands as it ended.
                let gone = wanted.map(\.id).filter { open[$0] == nil }
                if !gone.isEmpty {
                    for id in gone { found[id] = nil }
                    found.merge(try await ReportTable.find(gone, on: transaction)) { $1 }
                }
            }
            let versions = Dictionary(found.values.map { ($0.execution.schedule, $0.version) }) { first, _ in first }
            schedules = try await compiler.schedules(
                for: versions.map { (id: $0.key, version: $0.value) }, in: transaction
            ).ready
        }

        /// A report has brought an execution further: what comes behind it meets it there.
        mutating func follow(_ life: Life, _ execution: Execution, _ payload: [UInt8]?) {
            guard life.isOver else {
                open[life.execution] = OpenLife(life: life, execution: execution, payload: payload)
                return
            }
            open[life.execution] = nil
            found[life.execution] = found[life.execution].map {
                ReportTable.Found(execution: execution, name: $0.name, namespace: $0.namespace, version: $0.version)
            }
        }
    }
}
