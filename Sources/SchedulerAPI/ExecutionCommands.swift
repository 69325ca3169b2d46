import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `execution.retry`; `execution.cancel` stands beside it.
struct ExecutionCommands: Sendable {
    let context: CommandContext

    static func notFound(_ id: ExecutionID, in namespace: Namespace) -> WireError {
        WireError(.executionNotFound, "namespace '\(namespace)' has no execution \(id)")
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
            let overlap = try await context.overlap(of: compiled, isForced: isForced, in: transaction)
            guard try overlap.opensOne() else {
                let waiting = fires.waitAlone(
                    original.scheduledFor, ordinal: ordinal, trigger: original.trigger, payload: payload, retryOf: id,
                    overlap, &timer, in: context.session, into: &change)
                Self.note(waiting.id, retryOf: id, of: schedule, origin, in: &change)
                return change
            }
            let opened = fires.open(
                [original.scheduledFor], ordinal: ordinal, trigger: original.trigger, payload: payload, &timer,
                into: &change)
            guard var execution = opened.first else { return change }
            execution.retryOf = id
            change.write(ExecutionTable.setRetry(of: id, in: execution.id))
            Self.note(execution.id, retryOf: id, of: schedule, origin, in: &change)
            let told = execution
            change.reply = { writer in
                writer.name("execution")
                writer.value(told, scheduleName: compiled.name, namespace: compiled.namespace)
            }
            return change
        }
    }

    private static func note(
        _ id: ExecutionID, retryOf original: ExecutionID, of schedule: Schedule, _ origin: ChangeOrigin,
        in change: inout Change
    ) {
        change.note("execution_retried", of: schedule, origin.options, at: origin.now) { writer in
            writer.member("execution_id", id.description)
            writer.member("retry_of", original.description)
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
        case .claimed, .running, .retryWait: throw WireError(.wrongState, "the execution is still open")
        case .delivered where execution.isTracked: throw WireError(.wrongState, "the execution is still open")
        case .delivered, .succeeded:
            throw WireError(
                .wrongState, "the execution is \(execution.state.rawValue): schedule.trigger or backfill fires again")
        }
    }
}
