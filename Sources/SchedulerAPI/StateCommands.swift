import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// One step that stops, starts or ends a held schedule. - Returns: false where there was nothing to do.
typealias StateStep =
    @Sendable (inout HeldSchedule, ChangeOrigin, PostgresTransaction) async throws -> Bool

/// `schedule.pause`, `resume`, `delete`: what stops and starts a schedule.
struct StateCommands: Sendable {
    let context: CommandContext

    func pause(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let until = body.pauseEnd(after: context.now)
        return try await turn(request, &body, pauseStep(until: until))
    }

    func resume(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let catchUp = body.bool("catch_up") ?? false
        return try await turn(request, &body, resumeStep(catchUp: catchUp))
    }

    func delete(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        return try await turn(request, &body, deleteStep)
    }

    private func turn(
        _ request: CommandRequest, _ body: inout BodyReader, _ step: @escaping StateStep
    ) async throws -> [UInt8] {
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&body), now: context.now)
        let reference = try body.finish(with: body.reference())
        return try await context.runner.run(request, origin.options) { transaction in
            try await change(reference, by: step, origin, in: transaction)
        }
    }

    /// Takes one schedule through a step. Where there is nothing to do, it is answered as it stands, and nothing is
    /// told.
    func change(
        _ reference: ScheduleReference, by step: StateStep, _ origin: ChangeOrigin,
        in transaction: PostgresTransaction
    ) async throws -> Change {
        let (schedule, timer) = try await transaction.held(reference, in: origin.namespace)
        try schedule.expect(version: origin.options.ifVersion)
        var held = HeldSchedule(schedule, timer)
        // A rehearsal compares the fires, and those need the calendars.
        if origin.options.isDryRun { try await context.session.compiler.load([schedule], on: transaction) }
        guard try await step(&held, origin, transaction) else {
            let view = held.before
            held.change.rehearsal = Rehearsal(before: view, after: view)
            held.change.reply = { $0.schedule(view) }
            return held.change
        }
        held.store(at: origin.now)
        guard held.schedule.state == .deleted else { return held.change }
        let id = held.schedule.id
        held.change.reply = { writer in
            writer.object("schedule") { writer in
                writer.member("id", id.description)
                writer.member("state", ScheduleState.deleted.rawValue)
            }
        }
        return held.change
    }

    /// - Parameter until: when it goes on by itself; nil: when somebody resumes it.
    func pauseStep(until: Instant?) -> StateStep {
        let session = context.session
        return { held, origin, transaction in
            switch held.schedule.state {
            case .active:
                held.touch(by: origin)
                try await held.pause(until: until, in: session, by: origin, transaction)
                return true
            case .paused where held.schedule.pausedUntil != until:
                held.touch(by: origin)
                held.schedule.pausedUntil = until
                held.schedule.pauseReason = origin.options.reason ?? held.schedule.pauseReason
                held.timer.fireSequence += 1
                held.tell("paused", by: origin)
                return true
            case .paused: return false
            case .invalid, .exhausted, .deleted:
                throw WireError(
                    .wrongState, "the schedule is \(held.schedule.state.rawValue): only an active one is paused")
            }
        }
    }

    func resumeStep(catchUp: Bool) -> StateStep {
        let session = context.session
        return { held, origin, transaction in
            switch held.schedule.state {
            case .active: return false
            case .paused:
                held.touch(by: origin)
                try await held.resume(
                    catchUp: catchUp, asOf: origin.now, in: session, by: origin, transaction)
                return true
            case .invalid, .exhausted, .deleted:
                throw WireError(
                    .wrongState, "the schedule is \(held.schedule.state.rawValue): only a paused one is resumed")
            }
        }
    }

    var deleteStep: StateStep {
        let session = context.session
        return { held, origin, transaction in
            held.touch(by: origin)
            try await held.delete(in: session, by: origin, transaction)
            return true
        }
    }
}

extension BodyReader {
    /// `until`: when a pause ends by itself; later than now.
    mutating func pauseEnd(after now: Instant) -> Instant? {
        guard let until = instant("until") else { return nil }
        if until <= now { report("until", "expected an instant after now, which is \(now.rfc3339)") }
        return until
    }
}

extension Schedule {
    /// The cause of its being invalid is gone.
    mutating func heal() {
        state = .active
        pauseReason = nil
    }
}

extension Change {
    /// Tells what an edit of the timing, or a deletion, takes away unclaimed: it was due before now. Comes before the
    /// timer and its generation change.
    mutating func skipPassed(
        of schedule: Schedule, _ timer: inout Timer, as reason: SkipReason, in session: Session, at now: Instant
    ) {
        let compiled = session.compiler.compile(schedule)
        let offset = compiled.planner.offset
        guard let first = timer.position(offset: offset) else { return }
        let reason: SkipReason =
            switch schedule.state {
            case .paused: .paused
            case .invalid: .targetRevoked
            case .active, .exhausted, .deleted: reason
            }
        // Without its zone the schedule's further occurrences cannot be told; the first one is known.
        let run =
            compiled.faults.contains { $0.kind == .timing }
            ? first.adding(milliseconds: offset) <= now ? SkipRun(single: first, reason: reason) : nil
            : compiled.planner.passed(from: first, now: now, reason: reason)
        if let run { skip(run, of: compiled, &timer, by: session.instance, at: now) }
    }

    /// Lets a timer that stood still go on, and tells what passed meanwhile.
    /// - Parameter end: through when it stood still; what has passed since then is late, and not skipped.
    mutating func resume(
        _ schedule: Schedule, _ timer: inout Timer, catchUp: Bool, as reason: SkipReason, in session: Session,
        asOf end: Instant, at now: Instant
    ) {
        let compiled = session.compiler.compile(schedule)
        let passed = timer.resumeFrom
        let resumed = compiled.planner.resume(from: passed, now: end, catchUp: catchUp, reason: reason)
        if let run = resumed.skipped { skip(run, of: compiled, &timer, by: session.instance, at: now) }
        timer.stand(at: resumed.position)
        tellRemoved(after: passed, of: compiled, &timer, at: now)
    }

    /// Tells which local times jumps of the clocks leave out between an instant and where the timer stands.
    mutating func tellRemoved(
        after start: Instant?, of schedule: CompiledSchedule, _ timer: inout Timer, at now: Instant
    ) {
        for entry in AuditEntry.removals(after: start, of: schedule, &timer, at: now) { audit(entry) }
    }

    /// Writes a run of skipped occurrences, with a journal row that owes their events.
    mutating func skip(
        _ run: SkipRun, of schedule: CompiledSchedule, _ timer: inout Timer, by instance: InstanceID, at now: Instant
    ) {
        let executions = run.executions(
            of: schedule.id, offset: schedule.planner.offset, trigger: schedule.planner.trigger,
            version: schedule.version, timer: &timer, now: now)
        skip(executions, of: schedule, by: instance, at: now)
    }

    /// Writes skipped executions of one schedule, with a journal row that owes their events.
    mutating func skip(
        _ executions: [Execution], of schedule: CompiledSchedule, by instance: InstanceID, at now: Instant
    ) {
        var random = SystemRandomNumberGenerator()
        let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
        write(ExecutionTable.skip(executions, at: now))
        write(ClaimTable.insert(claim, by: instance, at: now, executions: executions.map(\.id)))
        let open = OpenClaim(claim, executions: executions.count)
        skipped += executions.map {
            .execution(
                ExecutionEvent(
                    $0, scheduleName: schedule.name, namespace: schedule.namespace,
                    payloadSHA256: schedule.payloadSHA256, finishedAt: now),
                open)
        }
    }
}
