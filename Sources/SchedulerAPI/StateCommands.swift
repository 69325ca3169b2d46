import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.pause`, `resume`, `delete`: what stops and starts a schedule.
struct StateCommands: Sendable {
    let context: CommandContext

    private struct Target: Sendable {
        let options: ChangeOptions
        let reference: ScheduleReference
    }

    private func target(_ body: inout BodyReader) throws -> Target {
        let options = ChangeOptions(&body)
        let reference = try body.finish(with: body.reference())
        return Target(options: options, reference: reference)
    }

    /// A schedule that a command takes from one state to another, with its timer; both are locked.
    private struct Held: Sendable {
        var schedule: Schedule
        var timer: Timer
        var change = Change()
        let before: ScheduleView
    }

    /// Takes a schedule in the state `from` through `body`. One that is in the state `to` already is answered as it
    /// stands, and nothing is told; from any other the way is refused, in the words of `rule`.
    private func turn(
        _ request: CommandRequest, _ target: Target, from: ScheduleState, to: ScheduleState, rule: String,
        _ body: @escaping @Sendable (inout Held, PostgresTransaction) async throws -> Void
    ) async throws -> [UInt8] {
        try await context.runner.run(request, target.options) { transaction in
            let (schedule, timer) = try await transaction.held(target.reference, in: request.namespace)
            try schedule.expect(version: target.options.ifVersion)
            let view = ScheduleView(schedule: schedule, timer: timer)
            var held = Held(schedule: schedule, timer: timer, before: view)
            held.change.schedule = schedule.id
            switch schedule.state {
            case to: held.change.reply = { $0.schedule(view) }
            case from: try await body(&held, transaction)
            default: throw WireError(.wrongState, "the schedule is \(schedule.state.rawValue): \(rule)")
            }
            return held.change
        }
    }

    func pause(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let target = try target(&body)
        let now = context.now
        return try await turn(
            request, target, from: .active, to: .paused, rule: "only an active one is paused"
        ) { held, transaction in
            held.schedule.state = .paused
            held.schedule.pauseReason = target.options.reason
            held.schedule.touch(now, target.options, request)
            held.timer.resumeFrom = held.timer.position(offset: held.schedule.spreadOffset)
            held.timer.nextFireAt = nil
            held.timer.fireSequence += 1
            held.timer.version = held.schedule.version
            held.change.recalled = try await RecallTable.mark(held.schedule.id, in: transaction)
            held.change.save(
                held.schedule, held.timer, before: held.before, action: "paused", target.options, at: now)
        }
    }

    func delete(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let target = try target(&body)
        let now = context.now
        let context = context
        return try await context.runner.run(request, target.options) { transaction in
            var (schedule, timer) = try await transaction.held(target.reference, in: request.namespace)
            try schedule.expect(version: target.options.ifVersion)
            let before = ScheduleView(schedule: schedule, timer: timer)
            var change = Change()
            change.schedule = schedule.id
            if schedule.state != .exhausted { change.write(NamespaceTable.giveBack(request.namespace)) }
            try await context.session.compiler.load([schedule], on: transaction)
            change.skipPassed(of: schedule, &timer, as: .deleted, in: context.session, at: now)
            schedule.state = .deleted
            schedule.touch(now, target.options, request)
            timer.nextFireAt = nil
            timer.resumeFrom = nil
            timer.fireSequence += 1
            timer.version = schedule.version
            change.recalled = try await RecallTable.mark(schedule.id, in: transaction)
            change.save(schedule, timer, before: before, action: "deleted", target.options, at: now)
            let id = schedule.id
            change.reply = { writer in
                writer.object("schedule") { writer in
                    writer.member("id", id.description)
                    writer.member("state", ScheduleState.deleted.rawValue)
                }
            }
            return change
        }
    }

    func resume(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let catchUp = body.bool("catch_up") ?? false
        let target = try target(&body)
        let now = context.now
        let context = context
        return try await turn(
            request, target, from: .paused, to: .active, rule: "only a paused one is resumed"
        ) { held, transaction in
            try await context.session.compiler.load([held.schedule], on: transaction)
            // It would be invalid at its next claim, and where its zone is gone nobody could tell what passed.
            if let fault = context.session.compiler.compile(held.schedule).fault { throw WireError(fault) }
            held.schedule.pauseReason = nil
            held.schedule.touch(now, target.options, request)
            held.timer.version = held.schedule.version
            held.change.resume(
                held.schedule, &held.timer, catchUp: catchUp, as: .paused, in: context.session, at: now)
            held.timer.fireSequence += 1
            // What it still had to do was done, or passed, while it was paused.
            let isOpen = try await RecallTable.isOpen(held.schedule.id, in: transaction)
            let isOver = held.timer.nextFireAt == nil && !isOpen
            held.schedule.state = isOver ? .exhausted : .active
            if isOver { held.change.write(NamespaceTable.giveBack(request.namespace)) }
            held.change.save(
                held.schedule, held.timer, before: held.before, action: "resumed", target.options, at: now)
            if isOver {
                let view = ScheduleView(schedule: held.schedule, timer: held.timer)
                held.change.audit(entry("exhausted", view, before: nil, target.options, at: now))
            }
            held.change.hints = isSoon(held.timer.nextFireAt, now)
        }
    }
}

extension Schedule {
    mutating func touch(_ now: Instant, _ options: ChangeOptions, _ request: CommandRequest) {
        version += 1
        updatedAt = now
        updatedBy = options.actor ?? request.namespace.description
    }

    /// The cause of its being invalid is gone.
    mutating func heal() {
        state = .active
        pauseReason = nil
    }
}

extension Change {
    /// Writes a changed schedule with its entry in the audit log, and replies with it.
    mutating func save(
        _ schedule: Schedule, _ timer: Timer, before: ScheduleView, action: String, _ options: ChangeOptions,
        at now: Instant
    ) {
        let view = ScheduleView(schedule: schedule, timer: timer)
        write(ScheduleTable.update(schedule))
        write(TimerTable.update(timer, priority: schedule.definition.priority))
        audit(entry(action, view, before: before, options, at: now))
        reply = { $0.schedule(view) }
    }

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
    mutating func resume(
        _ schedule: Schedule, _ timer: inout Timer, catchUp: Bool, as reason: SkipReason, in session: Session,
        at now: Instant
    ) {
        let compiled = session.compiler.compile(schedule)
        let passed = timer.resumeFrom
        let resumed = compiled.planner.resume(from: passed, now: now, catchUp: catchUp, reason: reason)
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
