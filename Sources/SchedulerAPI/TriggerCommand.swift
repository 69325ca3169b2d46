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

    func trigger(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        let payload = body.value("payload").map { Array($0.bytes) }
        let isForced = body.bool("force") ?? false
        let reference = try body.finish(with: body.reference())
        let now = context.now
        // Chosen before the transaction: run again after a lost COMMIT, it meets its own row.
        let ordinal = Int64.random(in: 1...Int64.max)
        let context = context
        return try await context.runner.run(request, options) { transaction in
            var (schedule, timer) = try await transaction.held(reference, in: request.namespace)
            try schedule.expect(version: options.ifVersion)
            guard schedule.state != .invalid else {
                throw WireError(.wrongState, "the schedule is invalid: \(schedule.pauseReason ?? "see its events")")
            }
            try await context.session.compiler.load([schedule], on: transaction)
            let compiled = context.session.compiler.compile(schedule)
            // The same gate as before a fire of its own time.
            if let fault = compiled.fault { throw WireError(fault) }
            if !isForced { try await expectNoFreeze(compiled, now: now, in: transaction) }
            if let payload { try check(payload, of: schedule) }
            timer.fireSequence += 1
            let occurrence = Occurrence(
                schedule: schedule.id, generation: timer.generation, origin: .manual, scheduledFor: now,
                ordinal: ordinal)
            let opening = ExecutionTable.Opening(
                id: occurrence.executionID, occurrence: occurrence, dueAt: now, fence: timer.fireSequence,
                version: schedule.version, missedCount: 0, trigger: .manual)
            var random = SystemRandomNumberGenerator()
            let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
            let instance = context.session.instance
            var change = Change()
            change.schedule = schedule.id
            change.write(TimerTable.advanceFence(timer))
            change.write(ExecutionTable.open([opening], by: instance, at: now))
            if let payload { change.write(ExecutionTable.setPayload(payload, of: opening.id)) }
            change.write(ClaimTable.insert(claim, by: instance, at: now, executions: [opening.id]))
            change.fires = [
                Fire(
                    id: opening.id, schedule: compiled, claim: OpenClaim(claim, executions: 1), scheduledFor: now,
                    dueAt: now, fence: opening.fence, generation: timer.generation, ordinal: ordinal,
                    origin: .manual, trigger: .manual, payload: payload)
            ]
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

    /// A freeze is there so that nothing fires; who must fire all the same says so.
    private func expectNoFreeze(
        _ schedule: CompiledSchedule, now: Instant, in transaction: PostgresTransaction
    ) async throws {
        guard let freeze = try await FreezeBoard.holding(schedule, at: now, on: transaction) else { return }
        let reason = freeze.reason.map { " (\($0))" } ?? ""
        throw WireError(
            .frozen,
            "freeze \(freeze.id)\(reason) holds until \(freeze.until.rfc3339); \"force\": true fires all the same")
    }

    /// A trigger's own payload is bound as the definition's is.
    private func check(_ payload: [UInt8], of schedule: Schedule) throws(WireError) {
        let definition = schedule.definition
        do {
            try context.session.compiler.targetRules.check(
                definition.target, delivery: definition.delivery, payloadBytes: payload.count,
                for: schedule.namespace)
        } catch {
            throw WireError(.payloadTooLarge, error.description)
        }
        let headers = definition.headers.reduce(1024) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
        guard payload.count + headers <= context.mostMessageBytes else {
            throw WireError(
                .payloadTooLarge,
                "payload and headers take \(payload.count + headers) bytes, the server's max_payload is "
                    + "\(context.mostMessageBytes)")
        }
    }
}
