import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// A schedule that is to be: read and checked, neither counted nor stored.
struct ScheduleDraft: Sendable {
    let schedule: Schedule
    /// Where its timer begins.
    let firstOccurrence: Instant
}

/// What makes schedules; `create`, `put`, `validate` and `bulk_create` share it.
extension ScheduleDefinitions {
    /// Reads a new schedule; throws every problem of the body at once.
    /// - Parameter missing: calendars that the request names and the namespace does not have; the others are loaded.
    func draft(
        _ body: inout BodyReader, isPaused: Bool, by origin: ChangeOrigin, without missing: Set<CalendarName>
    ) throws -> ScheduleDraft {
        let now = origin.now
        var random = SystemRandomNumberGenerator()
        let id = ScheduleID(.version7(at: now, random: &random))
        let checked = try read(
            &body, onto: nil, id: id, namespace: origin.namespace, anchor: now, now: now, without: missing)
        var schedule = Schedule(
            id: id, namespace: origin.namespace, definition: checked.definition,
            state: isPaused ? .paused : .active, anchor: now, createdAt: now, createdBy: origin.actor, updatedAt: now,
            updatedBy: origin.actor)
        if isPaused { schedule.pauseReason = origin.options.reason ?? "created paused" }
        return ScheduleDraft(schedule: schedule, firstOccurrence: checked.firstOccurrence)
    }

    /// As it will stand, with its next fires. Its calendars are loaded.
    func view(of draft: ScheduleDraft, at now: Instant) -> ScheduleView {
        let compiled = context.session.compiler.compile(draft.schedule)
        return view(of: draft, compiled, at: now)
    }

    private func view(of draft: ScheduleDraft, _ compiled: CompiledSchedule, at now: Instant) -> ScheduleView {
        let schedule = draft.schedule
        var timer = Timer(
            schedule: schedule.id, nextFireAt: nil, resumeFrom: draft.firstOccurrence, fireSequence: 1)
        if schedule.state == .active { timer.stand(at: compiled.planner.position(at: draft.firstOccurrence)) }
        var view = ScheduleView(schedule: schedule, timer: timer)
        view.place(by: compiled, now: now)
        view.nextFires = nextFires(compiled.planner, schedule, now)
        return view
    }

    /// Writes a new schedule and tells it. It is counted against the limit, and its calendars stay as they are.
    /// - Returns: the schedule as replies show it.
    func add(_ draft: ScheduleDraft, to change: inout Change, by origin: ChangeOrigin) -> ScheduleView {
        let compiled = context.session.compiler.compile(draft.schedule)
        let view = view(of: draft, compiled, at: origin.now)
        var timer = view.timer
        change.audit(entry("created", view, before: nil, origin.options, at: origin.now))
        change.tellRemoved(after: origin.now, of: compiled, &timer, at: origin.now)
        change.write(ScheduleTable.insert(draft.schedule))
        change.write(TimerTable.insert(timer, priority: draft.schedule.definition.priority))
        change.follow(draft.schedule, insteadOf: nil)
        change.hints = change.hints || isSoon(timer.nextFireAt, origin.now)
        change.listens = change.listens || draft.schedule.definition.timing.isListening
        return view
    }

    /// Counts, writes and tells one new schedule, and replies with it.
    func create(
        _ draft: ScheduleDraft, by origin: ChangeOrigin, in transaction: PostgresTransaction
    ) async throws -> (change: Change, view: ScheduleView) {
        // From here on its calendars stay as they are: who changes one finds this schedule among its users.
        try await context.hold(calendarsOf: draft.schedule, in: transaction)
        try await context.session.compiler.targets.catchUp(on: transaction)
        // Its target was revoked since it was read.
        if let fault = context.session.compiler.compile(draft.schedule).publishingFault { throw WireError(fault) }
        guard try await NamespaceTable.take(origin.namespace, limit: context.mostSchedules, in: transaction)
        else { throw limitReached(origin.namespace) }
        try await expectFollowable(draft.schedule, in: transaction)
        var change = Change()
        change.schedule = draft.schedule.id
        let view = add(draft, to: &change, by: origin)
        change.rehearsal = Rehearsal(before: nil, after: view)
        change.reply = { $0.schedule(view) }
        return (change, view)
    }
}
