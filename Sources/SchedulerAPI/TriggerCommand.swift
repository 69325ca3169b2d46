import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.trigger`: fires now, outside of the schedule's own time; on paused and exhausted schedules too.
struct TriggerCommand: Sendable {
    let context: CommandContext

    /// Which schedule is fired, and with what.
    struct Trigger: Sendable {
        let reference: ScheduleReference
        /// In place of the definition's.
        let payload: [UInt8]?
        /// Though a freeze holds.
        let isForced: Bool
        /// Chosen before the transaction: run again after a lost COMMIT, it meets its own row.
        let ordinal = Int64.random(in: 1...Int64.max)
    }

    func trigger(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&body), now: context.now)
        let payload = body.value("payload").map { Array($0.bytes) }
        let isForced = body.bool("force") ?? false
        let reference = try body.finish(with: body.reference())
        let trigger = Trigger(reference: reference, payload: payload, isForced: isForced)
        return try await context.runner.run(request, origin.options) { transaction in
            try await fire(trigger, origin, in: transaction)
        }
    }

    /// Opens an execution that is fired once the transaction is committed.
    func fire(_ trigger: Trigger, _ origin: ChangeOrigin, in transaction: PostgresTransaction) async throws -> Change {
        let now = origin.now
        let held = try await context.fireable(trigger.reference, origin, isForced: trigger.isForced, in: transaction)
        let (schedule, compiled) = (held.schedule, held.compiled)
        var timer = held.timer
        let fires = CommandedFires(
            schedule: compiled, generation: timer.generation, instance: context.session.instance, now: now,
            origin: .manual)
        var change = Change()
        let overlap = try await context.overlap(of: compiled, isForced: trigger.isForced, in: transaction)
        guard try overlap.opensOne() else {
            try checkWaiting(trigger, fires, timer, of: schedule)
            let waiting = fires.waitAlone(
                now, ordinal: trigger.ordinal, trigger: .manual, payload: trigger.payload, overlap, &timer,
                in: context.session, into: &change)
            change.note("triggered", of: schedule, origin.options, at: now) {
                $0.member("execution_id", waiting.id.description)
            }
            return change
        }
        let executions = fires.open(
            [now], ordinal: trigger.ordinal, trigger: .manual, payload: trigger.payload, &timer, into: &change)
        for fire in change.fires { try check(fire, isOwn: trigger.payload != nil, of: schedule) }
        guard let execution = executions.first else { return change }
        change.note("triggered", of: schedule, origin.options, at: now) {
            $0.member("execution_id", execution.id.description)
        }
        change.triggered = (compiled.name, execution.id)
        change.reply = { writer in
            writer.name("execution")
            writer.value(execution, scheduleName: compiled.name, namespace: compiled.namespace)
        }
        return change
    }

    /// What it would send is checked now: whoever asks learns it, not whoever looks later.
    private func checkWaiting(
        _ trigger: Trigger, _ fires: CommandedFires, _ timer: Timer, of schedule: Schedule
    ) throws {
        var (probe, timer) = (Change(), timer)
        _ = fires.open(
            [fires.now], ordinal: trigger.ordinal, trigger: .manual, payload: trigger.payload, &timer, into: &probe)
        for fire in probe.fires { try check(fire, isOwn: trigger.payload != nil, of: schedule) }
    }
}
