import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

// `execution.cancel`.
extension ExecutionCommands {
    private static let patience = Duration.seconds(2)

    /// Gives up an execution. One that was not yet handed to NATS is ended by whoever holds it, so that it cannot go out
    /// meanwhile; one that waits for its next attempt ends here; where a worker has it, or may have it, the worker is asked
    /// to stop, and has ``Life/cancelGrace`` to say how it ended.
    func cancel(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let id = try body.finish(with: body.executionID("id"))
        let asked = try await ask(id, request, options)
        let now = context.now
        return try await context.runner.run(request, options) { transaction in
            guard let found = try await ExecutionList.find(id, in: request.namespace, on: transaction) else {
                throw Self.notFound(id, in: request.namespace)
            }
            var execution = found.execution
            var change = Change()
            change.schedule = execution.schedule
            var open: OpenLife?
            if !execution.isOver, execution.state != .claimed || (asked == .sent && execution.isTracked) {
                open = try await hold(execution, mayBeClaimed: asked == .sent, in: transaction)
                // It may have ended, or gone on, while its locks were waited for.
                let latest = try await ExecutionList.find(id, in: request.namespace, on: transaction)?.execution
                execution = latest ?? execution
            }
            var detail: ExecutionDetail?
            var isAsked = asked == .cancelled
            if let held = open {
                (execution, detail) = try await give(
                    up: held, Self.line(options, request), at: now, &change, in: transaction)
                isAsked = true
            } else {
                if options.isDryRun, execution.state == .claimed { execution.state = .cancelled }
                guard execution.state == .cancelled else { throw Self.refusal(execution, asked) }
            }
            if isAsked {
                let reference = ScheduleReference.id(execution.schedule)
                if let schedule = try await ScheduleTable.find(reference, in: request.namespace, on: transaction) {
                    change.note("execution_cancelled", of: schedule, options, at: now) {
                        $0.member("execution_id", id.description)
                    }
                }
            }
            let (told, known) = (execution, detail)
            change.reply = { writer in
                writer.name("execution")
                writer.value(
                    told, scheduleName: found.name, namespace: request.namespace.description, detail: known)
            }
            return change
        }
    }

    /// Timer, execution, life: locked in the order of everybody. Nil where it is over by then, or claimed again.
    /// - Parameter mayBeClaimed: its claimant has sent it, and sends it no more.
    private func hold(
        _ execution: Execution, mayBeClaimed: Bool, in transaction: PostgresTransaction
    ) async throws -> OpenLife? {
        _ = try await transaction.pipeline([ExhaustionTable.lock([execution.schedule])])
        let open = try await LifeTable.lock([execution.id], in: transaction).first
        guard let open, open.life.state == .claimed else { return open }
        return mayBeClaimed && open.life.fence == execution.fence ? open : nil
    }

    /// Asks the worker to stop, or ends what has none.
    private func give(
        up open: OpenLife, _ reason: String, at now: Instant, _ change: inout Change,
        in transaction: PostgresTransaction
    ) async throws -> (Execution, ExecutionDetail) {
        let schedules = try await ScheduleTable.fetch([open.life.schedule], on: transaction).schedules
        guard let schedule = schedules.first else {
            throw WireError(.wrongState, "the execution's schedule cannot be read")
        }
        let compiler = context.session.compiler
        try await compiler.load(schedules, on: transaction)
        let compiled = compiler.compile(schedule)
        guard let next = try open.life.taking(.cancel(reason: reason), under: compiled.life, at: now) else {
            // The worker was asked before.
            return (open.execution, ExecutionDetail(life: open.life))
        }
        if open.life.state == .claimed, let claimant = open.execution.claimedBy {
            // Said once before; it may have been another attempt that its claimant knew then.
            context.session.cancellations.add(
                Cancellation(execution: open.life.execution, schedule: schedule.id, reason: reason), at: claimant)
        }
        var writer = LifeWriter(names: context.session.configuration.names, at: now)
        writer.write(next, of: open.execution, by: compiled, payload: open.payload)
        change.write(writer.writes())
        change.stops = writer.workersToStop
        var execution = open.execution
        execution.state = next.life.state
        execution.reason = next.life.reason
        execution.finishedAt = next.life.isOver ? now : nil
        return (execution, ExecutionDetail(life: next.life.isOver ? nil : next.life))
    }

    private static func line(_ options: ChangeOptions, _ request: CommandRequest) -> String {
        let who = options.actor ?? request.namespace.description
        return (options.reason ?? "asked by \(who)").split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func refusal(_ execution: Execution, _ asked: Cancellation.Answer?) -> WireError {
        switch (execution.state, asked) {
        case (.claimed, .sent):
            WireError(.wrongState, "the execution was handed to NATS, whose acknowledgement is awaited")
        case (.claimed, _):
            WireError(.timedOut, "the instance that holds the execution did not answer: ask again, or look")
        default:
            WireError(
                .wrongState,
                "the execution is \(execution.state.rawValue)"
                    + (execution.finishedAt.map { " since \($0.rfc3339)" } ?? "") + ": only an open one is cancelled")
        }
    }

    /// Asks the holder until the row says how it ended. Nothing is asked for a dry run, and for a request whose reply
    /// is remembered.
    /// - Returns: the last answer; nil where nobody was asked, or nobody answered.
    private func ask(
        _ id: ExecutionID, _ request: CommandRequest, _ options: ChangeOptions
    ) async throws -> Cancellation.Answer? {
        guard !options.isDryRun else { return nil }
        if let requestID = options.requestID {
            let known = try await context.session.pool.withConnection {
                try await RequestTable.find(requestID, in: request.namespace, on: $0)
            }
            guard known == nil else { return nil }
        }
        let line = Self.line(options, request)
        let deadline = ContinuousClock.now + Self.patience
        var pause = Duration.milliseconds(2)
        var answer: Cancellation.Answer?
        while true {
            let found = try await context.session.pool.withConnection {
                try await ExecutionList.find(id, in: request.namespace, on: $0)
            }
            guard let execution = found?.execution else { throw Self.notFound(id, in: request.namespace) }
            guard execution.state == .claimed, let claimant = execution.claimedBy else { return answer }
            if answer != .cancelled {
                let cancellation = Cancellation(execution: id, schedule: execution.schedule, reason: line)
                answer =
                    await context.session.cancel(cancellation, at: claimant, within: .milliseconds(1500)) ?? answer
            }
            // Of what is tracked its life says how long it is waited for from here on.
            if answer == .sent, execution.isTracked { return answer }
            // What was sent may come back, where nobody takes the subject, or end.
            if ContinuousClock.now + pause > deadline { return answer }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(100))
        }
    }
}
