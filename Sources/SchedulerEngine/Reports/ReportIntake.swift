import Logging
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Takes workers' reports on tracked executions, on every instance: those that the commands stream keeps through one
/// consumer that all share, heartbeats through a queue group.
///
/// A report is acknowledged when what it changed is committed. So one that an instance took and could not settle comes
/// again, to any instance, and finds what it has made or has not. What is quicker than the record of its message's
/// acknowledgement waits for that a few times, then counts as one.
struct ReportIntake: Sendable {
    private static let batch = 200
    /// Until an early report is looked at again.
    private static let soon = Duration.milliseconds(100)
    private static let later = Duration.seconds(1)
    private static let longestPause = Duration.seconds(5)
    /// Deliveries of a report that cannot be settled, for a fault of ours or its own, until it is given up.
    private static let mostTries: UInt64 = 100

    let session: Session
    private let queue = ReportQueue()
    private let writer: ReportWriter
    private let signWriter: SignWriter

    init(session: Session) {
        self.session = session
        writer = ReportWriter(
            instance: session.instance, names: session.configuration.names, compiler: session.compiler)
        signWriter = SignWriter(instance: session.instance, compiler: session.compiler)
    }

    /// The service's loop. Throws when this member is fenced.
    func run() async throws {
        let heartbeats = try session.serving.subscribe(
            try SubjectFilter(session.configuration.names.heartbeats), queue: try Subject("carillon"))
        defer {
            heartbeats.cancel()
            // The others need not wait until nobody has acknowledged them.
            for report in queue.drain() { report.giveBack(for: .zero) }
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await consume() }
            tasks.addTask { await listen(heartbeats) }
            tasks.addTask { try await work() }
            defer { tasks.cancelAll() }
            while try await tasks.next() != nil {}
        }
    }

    /// One consumer after another: what breaks one is told, and the next begins after a pause.
    private func consume() async {
        let consumer = ReportConsumer(
            connection: session.serving, stream: session.commandsStream, names: session.configuration.names,
            queue: queue)
        var pause = Self.soon
        var told: String?
        while !Task.isCancelled {
            do {
                defer { session.hearing.ended() }
                try await consumer.run {
                    session.hearing.began(at: session.clock.now())
                    if told != nil { session.logger.notice("workers' reports are taken again") }
                    told = nil
                    pause = Self.soon
                }
            } catch {
                if Task.isCancelled { return }
                let words = "\(error)"
                if told != words {
                    session.logger.warning("workers' reports are not taken", metadata: ["error": "\(words)"])
                }
                told = words
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }

    private func listen(_ heartbeats: NATSSubscription) async {
        let prefix = session.configuration.subjectPrefix
        await withTaskCancellationHandler {
            for await message in heartbeats { queue.add(ReceivedReport(message, prefix: prefix)) }
        } onCancel: {
            heartbeats.cancel()
        }
    }

    private func work() async throws {
        while !Task.isCancelled {
            let batch = queue.take(atMost: Self.batch)
            guard !batch.isEmpty else {
                await queue.wait(atMost: .seconds(1))
                continue
            }
            try await settle(batch)
        }
    }

    /// Settles a batch. One that fails as a whole is settled one by one, so that what one report fails by keeps no other
    /// waiting.
    private func settle(_ batch: [ReceivedReport]) async throws {
        do {
            try await settleOnce(batch)
        } catch {
            if (error as? PostgresError)?.sqlState == InstanceTable.fencedState { throw error }
            if Task.isCancelled {
                for report in batch { report.giveBack(for: .zero) }
                return
            }
            let isPassing = (error as? PostgresError)?.isConnectionLoss ?? false
            if batch.count > 1, !isPassing {
                for report in batch { try await settle([report]) }
                return
            }
            for report in batch { putOff(report, after: error, isPassing: isPassing) }
            guard isPassing else { return }
            // Heartbeats among them are lost.
            session.hearing.unanswered()
            try? await Task.sleep(for: Self.soon)
        }
    }

    private func putOff(_ report: ReceivedReport, after error: any Error, isPassing: Bool) {
        let metadata: Logger.Metadata = ["subject": "\(report.message.subject)", "error": "\(error)"]
        guard isPassing || report.deliveries < Self.mostTries else {
            session.logger.error("a report cannot be taken, and is given up", metadata: metadata)
            return report.acknowledge()
        }
        if isPassing {
            session.logger.debug("a report could not be taken, and comes again", metadata: metadata)
        } else {
            session.logger.warning("a report could not be taken, and comes again", metadata: metadata)
        }
        report.giveBack(for: Self.later)
    }

    private func settleOnce(_ batch: [ReceivedReport]) async throws {
        let (readings, unread) = read(batch)
        let connection = session.connections.reports
        let now = session.clock.now()
        // What stands beside other reports of its execution is decided after them, or before them, as they came.
        let spoken = Set(readings.filter { $0.report.subject.kind != .heartbeat }.map(\.execution))
        let signs = readings.filter { !spoken.contains($0.execution) }
        var rest = readings.filter { spoken.contains($0.execution) }
        if !signs.isEmpty { rest += try await signWriter.take(signs, at: now, on: connection) }
        guard !rest.isEmpty || !unread.isEmpty else { return }
        let (taken, owed) = try await writer.take(rest, unread.map(\.problem), at: now, on: connection)
        if !taken.settled.isEmpty { FailPoint.reportApplied.reach() }
        session.teller.owe(owed)
        session.unended.add(taken.ended)
        session.ask(taken.workersToStop)
        if !taken.early.isEmpty { session.records.hurry() }
        for reading in taken.early { reading.received.giveBack(for: Self.soon) }
        for reading in taken.unreadable { reading.received.giveBack(for: Self.longestPause) }
        for reading in taken.settled { reading.received.acknowledge() }
        for (received, _) in unread { received.acknowledge() }
    }

    private func read(
        _ batch: [ReceivedReport]
    ) -> (readings: [ReportWriter.Reading], unread: [(received: ReceivedReport, problem: ReportProblem)]) {
        let prefix = session.configuration.subjectPrefix
        var readings: [ReportWriter.Reading] = []
        var unread: [(received: ReceivedReport, problem: ReportProblem)] = []
        for received in batch {
            let message = received.message
            do throws(WireError) {
                let report = try WorkerReport(
                    try ReportSubject(message.subject, prefix: prefix), fence: message.header("Scheduler-Fence"),
                    body: message.payload)
                readings.append(ReportWriter.Reading(received: received, report: report))
            } catch {
                let problem = ReportProblem(
                    unreadable: message.subject, prefix: prefix, body: message.payload, for: error)
                unread.append((received, problem))
            }
        }
        return (readings, unread)
    }
}
