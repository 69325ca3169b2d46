import JSONText
import Logging
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire
import ServiceMetrics
import ServiceTracing

/// Applies what was submitted, for as long as this instance holds the role.
struct SubmittedApplier: Sendable {
    let engine: Engine
    let session: Session
    let role: Role
    let settings: CommandService.Settings
    let logger: Logger
    let followUps: FollowUps
    let begun: BegunCommand

    /// The role is another's, or the session is over.
    private struct Deposed: Error {}

    /// The consumer is of no more use; another begins where its acknowledgements ended.
    private struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    private static let longestPause = Duration.seconds(5)
    /// Tries after which the command that keeps the others waiting is named in the readiness.
    private static let patience = 5

    private var names: SubjectNames { session.configuration.names }
    private var connection: NATSConnection { session.commandConnection }

    /// Returns when the role is another's; throws when the task is cancelled.
    func run() async throws {
        var pause = Duration.milliseconds(100)
        var consumers = 1
        while true {
            do {
                try expectRole()
                // One that has delivered nothing is asked for again under its name: a replicated work queue that deletes
                // one without a leader may refuse every other from then on.
                try await follow(consumer: "carillon-\(role.epoch)-\(consumers)") { hasDelivered in
                    if hasDelivered { consumers += 1 }
                    pause = .milliseconds(100)
                }
            } catch is Deposed {
                return
            } catch {
                try Task.checkCancellation()
                if engine.report(submitted: "submitted commands are not taken: \(error)") {
                    logger.warning("submitted commands are not taken", metadata: ["error": "\(error)"])
                }
                try await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }

    private func expectRole() throws(Deposed) {
        guard role.isHeld, engine.session === session else { throw Deposed() }
    }

    /// Takes messages from a consumer of its own, until something breaks it.
    /// - Parameter onSign: called once messages can come, and when the first has come.
    private func follow(consumer name: String, onSign: (_ hasDelivered: Bool) -> Void) async throws {
        let info = try await session.commandsStream.ensure()
        let holding = CommandCursorTable.Holding(
            stream: info.name, created: info.created, role: role.name, epoch: role.epoch)
        let cursor = try await session.pool.withConnection { try await CommandCursorTable.open(holding, on: $0) }
        guard let cursor else { throw Deposed() }
        try await makeConsumer(name)
        let consumer = try PullConsumer(connection, stream: names.commandsStream, consumer: name)
        if engine.report(submitted: nil) { logger.notice("submitted commands are taken again") }
        onSign(false)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await consumer.run() }
            defer { tasks.cancelAll() }
            try await read(consumer, holding, from: UInt64(clamping: cursor)) { onSign(true) }
        }
    }

    /// Takes the place of earlier holders' consumers: a work queue has one for each subject. It begins at the first message that nobody
    /// acknowledged, in the stream's order; an old consumer would give its unacknowledged ones after the others.
    private func makeConsumer(_ name: String) async throws {
        let api = JetStreamAPI(connection)
        let present = try await api.consumerNames(of: names.commandsStream)
        for other in present where other != name && epoch(of: other).map({ $0 <= role.epoch }) ?? false {
            try await api.deleteConsumer(other, of: names.commandsStream)
        }
        do {
            try await api.createConsumer(
                name, of: names.commandsStream,
                configuration: """
                    {"durable_name":"\(name)","filter_subject":"\(names.submitted)","deliver_policy":"all","ack_policy":"explicit","ack_wait":30000000000,\
                    "max_deliver":-1,"max_ack_pending":1000,"replay_policy":"instant"}
                    """)
        } catch {
            let others = present.filter { epoch(of: $0) == nil && $0 != SubjectNames.reportConsumer }
            guard !others.isEmpty else { throw error }
            throw EngineError(
                .stream,
                "the stream \(names.commandsStream) has the consumer \(others.joined(separator: ", ")), which is not ours: delete it"
            )
        }
    }

    /// The epoch of the holder whose consumer it is; nil for somebody else's.
    private func epoch(of consumer: String) -> Int64? {
        let parts = consumer.split(separator: "-")
        return parts.count == 3 && parts[0] == "carillon" ? Int64(parts[1]) : nil
    }

    private func read(
        _ consumer: PullConsumer, _ holding: CommandCursorTable.Holding, from cursor: UInt64, onFirst: () -> Void
    ) async throws {
        var hasDelivered = false
        var order = SubmittedOrder(applied: cursor)
        var isFirst = true
        for await event in consumer.events {
            try expectRole()
            switch event {
            case .tick: continue
            case .broken(let why): throw Broken(description: why)
            case .delivery(let delivery):
                if !hasDelivered { onFirst() }
                hasDelivered = true
                consumer.took()
                switch order.take(delivery.streamSequence, delivery: delivery.consumerSequence) {
                case .beginAnew: throw Broken(description: "a delivery was lost on its way")
                case .acknowledge: break
                case .apply:
                    let command = SubmittedCommand(delivery, created: holding.created)
                    let span = engine.tracer.begin(command, of: engine)
                    let correlation = Correlation(
                        trace: span?.trace ?? command.trace, requestID: command.requestID)
                    let isFirstNow = isFirst
                    let refusal = try await Correlation.$current.withValue(correlation) {
                        try await settle(command, holding, isFirst: isFirstNow)
                    }
                    span?.end(refusal, of: engine)
                    order.settle(delivery.streamSequence)
                    isFirst = false
                }
                consumer.acknowledge(delivery)
            }
        }
        try Task.checkCancellation()
        throw Broken(description: "the consumer's messages ended")
    }
}

// MARK: - One command

extension SubmittedApplier {
    /// Applies a command or rejects it; tries again, for as long as it takes, where neither can be done.
    /// - Returns: why it was rejected; nil where it was not.
    private func settle(
        _ command: SubmittedCommand, _ holding: CommandCursorTable.Holding, isFirst: Bool
    ) async throws -> WireError? {
        var refusal: WireError?
        if case .failure(let error) = command.request { refusal = error }
        var hasBegun = !isFirst || refusal != nil
        var tries = 0
        var isNamed = false
        let taken = MonotonicClock.now()
        defer { if isNamed { engine.report(submitted: nil) } }
        while true {
            try expectRole()
            do {
                if !hasBegun {
                    refusal = try await refusalOfEndless(command, holding)
                    hasBegun = true
                }
                FailPoint.submittedTaken.reach()
                let submission = Submission(command, holding, followUps, isInParts: command.isInParts)
                if let refusal {
                    try await tell(submission.entry(.rejected(refusal), at: session.clock.now()), submission.whole)
                } else {
                    try await carryOut(submission)
                }
                FailPoint.submittedApplied.reach()
                count(command, refusal, since: taken)
                return refusal
            } catch {
                switch SubmittedFailure(error) {
                case .applied:
                    count(command, refusal, since: taken)
                    return refusal
                case .deposed: throw Deposed()
                case .rejected(let error): refusal = error
                case .again(let failure, let wireError):
                    tries += 1
                    let next = SubmittedRetry.decide(failure, tries: tries)
                    log(command, error, tries, isLast: next == .giveUp)
                    if case .after(let milliseconds) = next {
                        if tries >= Self.patience {
                            isNamed = true
                            engine.report(
                                submitted: "submitted command \(command.sequence) cannot be carried out yet: \(error)")
                        }
                        try await Task.sleep(for: .milliseconds(milliseconds))
                    } else {
                        refusal = WireError(wireError.code, "\(wireError) (tried \(tries) times)")
                        tries = 0
                    }
                }
            }
        }
    }

    private func count(_ command: SubmittedCommand, _ refusal: WireError?, since taken: Int64) {
        engine.meters.answered(
            command.name, code: refusal?.code.httpStatus ?? 200, nanoseconds: MonotonicClock.now() - taken)
    }

    private func carryOut(_ submission: Submission) async throws {
        let request = try submission.command.request.get()
        var context = settings.context(session, on: connection)
        context.submission = submission
        let reply = try await CommandHandlers.answer(request, in: context)
        if submission.isApplied, !submission.isInParts { return }
        let isRehearsal = request.body?["dry_run"]?.bool ?? false
        let effect: CommandOutcome.Effect =
            isRehearsal ? .rehearsed : submission.isInParts ? .applied : .repeated
        var entry = submission.entry(.accepted(effect), at: session.clock.now())
        if !isRehearsal, let text = try? JSONValue.parse(reply) {
            let id = text["schedule"]?["id"] ?? text["execution"]?["schedule_id"]
            entry.schedule = id?.string.flatMap { ScheduleID(text: $0) }
        }
        try await tell(entry, submission.whole)
    }

    /// Settles a command that changes nothing: its event, and the cursor's step.
    private func tell(_ entry: AuditEntry, _ submission: Submission) async throws {
        guard let advance = submission.advance else { return }
        let calls = [InstanceTable.hold(session.instance), AuditTable.insert(entry), advance]
        let rows = try await session.pool.withConnection { connection in
            try await SettledTransaction.run(on: connection) { _ in ((), calls) }.rows
        }
        // Where the rows are lost the outbox's sweep tells it.
        guard let rows, let id = try AuditTable.insertedID(rows[1]) else { return }
        session.teller.owe([.change(ScheduleChange(entry, auditID: id))])
    }

    /// A command in whose midst process after process ends must not end them all. Only the first one of a holding can
    /// have ended a holder before: what came before it is applied, and what comes after was not begun.
    private func refusalOfEndless(
        _ command: SubmittedCommand, _ holding: CommandCursorTable.Holding
    ) async throws -> WireError? {
        guard begun.begin(holding.created, command.sequence) else { return nil }
        let tries: Int32
        do {
            tries = try await session.pool.withConnection {
                try await CommandCursorTable.begin(at: Int64(clamping: command.sequence), holding, on: $0)
            }
        } catch {
            begun.forget()
            throw error
        }
        guard tries > SubmittedRetry.mostTries else { return nil }
        return WireError(.internalError, "\(tries - 1) processes ended before they had carried it out")
    }

    private func log(_ command: SubmittedCommand, _ error: any Error, _ tries: Int, isLast: Bool) {
        let metadata: Logger.Metadata = [
            "subject": "\(command.subject)", "sequence": "\(command.sequence)", "tries": "\(tries)",
            "error": "\(error)",
        ]
        if isLast {
            logger.error("a submitted command failed, and is rejected", metadata: metadata)
        } else if tries == 1 {
            logger.warning("a submitted command failed, and is tried again", metadata: metadata)
        } else {
            logger.debug("a submitted command failed again", metadata: metadata)
        }
    }
}
