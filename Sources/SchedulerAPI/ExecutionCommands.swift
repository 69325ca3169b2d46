import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `execution.cancel` and `execution.retry`.
struct ExecutionCommands: Sendable {
    let context: CommandContext

    private static func notFound(_ id: ExecutionID, in namespace: Namespace) -> WireError {
        WireError(.executionNotFound, "namespace '\(namespace)' has no execution \(id)")
    }

    // MARK: cancel

    private static let patience = Duration.seconds(2)

    /// Gives up an execution that was not yet handed to NATS. Whoever holds it ends it, so that it cannot go out
    /// meanwhile; the command then writes down who asked.
    func cancel(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let id = try body.finish(with: body.executionID("id"))
        let now = context.now
        let asked = try await ask(id, request, options)
        return try await context.runner.run(request, options) { transaction in
            guard let found = try await ExecutionList.find(id, in: request.namespace, on: transaction) else {
                throw Self.notFound(id, in: request.namespace)
            }
            var execution = found.execution
            var change = Change()
            change.schedule = execution.schedule
            if options.isDryRun, execution.state == .claimed { execution.state = .cancelled }
            guard execution.state == .cancelled else { throw Self.refusal(execution, asked) }
            if asked == .cancelled {
                let reference = ScheduleReference.id(execution.schedule)
                if let schedule = try await ScheduleTable.find(reference, in: request.namespace, on: transaction) {
                    change.note("execution_cancelled", of: schedule, options, at: now) {
                        $0.member("execution_id", id.description)
                    }
                }
            }
            let told = execution
            change.reply = { writer in
                writer.name("execution")
                writer.value(told, scheduleName: found.name, namespace: request.namespace.description)
            }
            return change
        }
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
        let who = options.actor ?? request.namespace.description
        let line = (options.reason ?? "asked by \(who)").split(whereSeparator: \.isNewline).joined(separator: " ")
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
            // What was sent may come back, where nobody takes the subject, or end.
            if ContinuousClock.now + pause > deadline { return answer }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(100))
        }
    }

    // MARK: retry

    /// Makes a new execution of one that did not reach its target. The old one stays as it is.
    func retry(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let isForced = body.bool("force") ?? false
        let id = try body.finish(with: body.executionID("id"))
        let now = context.now
        // Chosen before the transaction: run again after a lost COMMIT, it meets its own row.
        let ordinal = Int64.random(in: 1...Int64.max)
        let origin = ChangeOrigin(namespace: request.namespace, options: options, now: now)
        let context = context
        return try await context.runner.run(request, options) { transaction in
            guard let found = try await ExecutionList.find(id, in: request.namespace, on: transaction) else {
                throw Self.notFound(id, in: request.namespace)
            }
            let original = found.execution
            try Self.expectRetriable(original)
            let held = try await context.fireable(
                .id(original.schedule), origin, isForced: isForced, in: transaction)
            let (schedule, compiled) = (held.schedule, held.compiled)
            var timer = held.timer
            let payload = try await ExecutionTable.payload(of: id, on: transaction)
            let fires = CommandedFires(
                schedule: compiled, generation: timer.generation, instance: context.session.instance, now: now,
                origin: .retry)
            var change = Change()
            let opened = fires.open(
                [original.scheduledFor], ordinal: ordinal, trigger: original.trigger, payload: payload, &timer,
                into: &change)
            guard var execution = opened.first else { return change }
            execution.retryOf = id
            change.write(ExecutionTable.setRetry(of: id, in: execution.id))
            change.note("execution_retried", of: schedule, options, at: now) { [execution] writer in
                writer.member("execution_id", execution.id.description)
                writer.member("retry_of", id.description)
            }
            let told = execution
            change.reply = { writer in
                writer.name("execution")
                writer.value(told, scheduleName: compiled.name, namespace: compiled.namespace)
            }
            return change
        }
    }

    private static func expectRetriable(_ execution: Execution) throws(WireError) {
        guard execution.rangeFrom == nil else {
            throw WireError(
                .wrongState,
                "this row stands for \(execution.rangeCount) skipped occurrences: schedule.backfill fires them")
        }
        switch execution.state {
        case .dead, .cancelled, .skipped: return
        case .claimed: throw WireError(.wrongState, "the execution is still open")
        case .delivered:
            throw WireError(.wrongState, "the execution was delivered: schedule.trigger or backfill fires again")
        }
    }
}
