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
        timer.fireSequence += 1
        let occurrence = Occurrence(
            schedule: schedule.id, generation: timer.generation, origin: .manual, scheduledFor: now,
            ordinal: trigger.ordinal)
        let opening = ExecutionTable.Opening(
            id: occurrence.executionID, occurrence: occurrence, dueAt: now, fence: timer.fireSequence,
            version: schedule.version, missedCount: 0, trigger: .manual)
        var random = SystemRandomNumberGenerator()
        let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
        let fire = Fire(
            id: opening.id, schedule: compiled, claim: OpenClaim(claim, executions: 1), scheduledFor: now, dueAt: now,
            fence: opening.fence, generation: timer.generation, ordinal: trigger.ordinal, origin: .manual,
            trigger: .manual, payload: trigger.payload)
        try check(fire, isOwn: trigger.payload != nil, of: schedule)
        let instance = context.session.instance
        var change = Change()
        change.schedule = schedule.id
        change.write(TimerTable.advanceFence(timer))
        change.write(ExecutionTable.open([opening], by: instance, at: now))
        if let payload = trigger.payload { change.write(ExecutionTable.setPayload(payload, of: opening.id)) }
        change.note("triggered", of: schedule, origin.options, at: now) {
            $0.member("execution_id", opening.id.description)
        }
        change.write(ClaimTable.insert(claim, by: instance, at: now, executions: [opening.id]))
        change.fires = [fire]
        let execution = Execution(
            id: opening.id, schedule: schedule.id, scheduledFor: now, dueAt: now, state: .claimed,
            origin: .manual, trigger: .manual, generation: timer.generation, scheduleVersion: schedule.version,
            attempt: 1, fence: opening.fence, claimedAt: now)
        change.reply = { writer in
            writer.name("execution")
            writer.value(execution, scheduleName: compiled.name, namespace: compiled.namespace)
        }
        return change
    }
}
