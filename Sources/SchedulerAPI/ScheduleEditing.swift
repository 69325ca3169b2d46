import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// What an edit of a stored schedule came to.
struct Revision: Sendable {
    var change: Change
    /// As replies show it.
    let view: ScheduleView
    let isChanged: Bool
}

/// What gives a stored schedule another definition; `update` and `put` share it.
extension ScheduleDefinitions {
    /// Gives a held schedule another definition and another state, and tells it. Where it says and is that already, it
    /// stays as it is: no version, no event, no entry.
    /// - Parameters:
    ///   - paused: nil leaves the state as it is.
    ///   - isForced: edits it although the definition says the same.
    func revise(
        _ schedule: HeldSchedule, to definition: ScheduleDefinition, paused: Bool?, isForced: Bool = false,
        by origin: ChangeOrigin, in transaction: PostgresTransaction
    ) async throws -> Revision {
        var held = schedule
        let old = held.before.schedule
        let isEdited = isForced || !definition.says(sameAs: old.definition)
        let isTurned = paused == true ? old.state == .active : paused == false && old.state == .paused
        guard isEdited || isTurned else {
            let view = view(of: held, at: origin.now)
            held.change.rehearsal = Rehearsal(before: held.before, after: view)
            return Revision(change: held.change, view: view, isChanged: false)
        }
        held.touch(by: origin)
        if isEdited { try await edit(&held, to: definition, by: origin, in: transaction) }
        try await held.turn(paused: paused, in: context.session, by: origin, transaction)
        let view = view(of: held, at: origin.now)
        held.store(view, at: origin.now)
        return Revision(change: held.change, view: view, isChanged: true)
    }

    /// Gives a held schedule another definition, and tells it. Its version was grown, its calendars are loaded.
    func edit(
        _ held: inout HeldSchedule, to definition: ScheduleDefinition, by origin: ChangeOrigin,
        in transaction: PostgresTransaction
    ) async throws {
        let old = held.before.schedule
        held.schedule.definition = definition
        if definition.name != old.definition.name { try await expectUnfollowed(old, in: transaction) }
        if definition.after != old.definition.after || definition.name != old.definition.name {
            try await expectFollowable(held.schedule, in: transaction)
            // One that is over follows nobody, and has given its name free.
            if old.state != .exhausted { held.change.follow(held.schedule, insteadOf: old.definition) }
        }
        // Another target may be one that no freeze holds.
        if definition.after != nil { held.change.write(ChainTable.goOn(held.schedule.id)) }
        try await move(&held, from: old, origin.now, in: transaction)
        held.timer.fireSequence += 1
        held.change.recalled = try await RecallTable.mark(held.schedule.id, in: transaction)
        if definition.concurrencyKey != old.definition.concurrencyKey || definition.target != old.definition.target
            || definition.isShadow != old.definition.isShadow
        {
            let limits = context.session.compiler.compile(held.schedule).limits
            held.change.write(ConcurrencyTable.rename(limits.names, of: held.schedule.id))
            held.change.frees = true
        }
        let isBusy = try await BufferTable.isBusy(held.schedule.id, in: transaction)
        let isOver = !isBusy && held.endIfOver()
        let view = view(of: held, at: origin.now)
        held.tell("updated", view, by: origin)
        if held.schedule.generation != old.generation {
            let compiled = context.session.compiler.compile(held.schedule)
            held.change.tellRemoved(after: origin.now, of: compiled, &held.timer, at: origin.now)
        }
        guard isOver else { return }
        held.change.audit(entry("exhausted", view, before: nil, origin.options, at: origin.now))
    }

    /// As replies to `update` and `put` show it: with its next fires.
    func view(of held: HeldSchedule, at now: Instant) -> ScheduleView {
        let compiled = context.session.compiler.compile(held.schedule)
        var view = ScheduleView(
            schedule: held.schedule, timer: held.timer,
            nextFires: nextFires(compiled.planner, held.schedule, now, runCount: held.timer.runCount))
        view.place(by: compiled, now: now)
        return view
    }

    /// Lets the timer follow an edit: another timing begins anew, any other edit leaves it alone. Either corrects an
    /// invalid schedule: what was read for the edit is valid, all of it.
    private func move(
        _ held: inout HeldSchedule, from old: Schedule, _ now: Instant, in transaction: PostgresTransaction
    ) async throws {
        let isRetimed = held.schedule.definition.isRetimed(from: old.definition)
        if isRetimed {
            held.change.skipPassed(of: old, &held.timer, as: .superseded, in: context.session, at: now)
            try await held.endWaiting(.superseded, isOwn: true, in: context.session, at: now, transaction)
        }
        if held.schedule.state == .invalid {
            held.schedule.heal()
            if !isRetimed {
                held.change.resume(
                    held.schedule, &held.timer, catchUp: false, as: .targetRevoked, in: context.session, asOf: now,
                    at: now)
            }
        }
        guard isRetimed else { return }
        if held.schedule.state == .exhausted { try await revive(&held, in: transaction) }
        retime(&held.schedule, &held.timer, now: now)
    }

    /// An exhausted schedule that gets another timing lives again, and counts against the limit again.
    private func revive(_ held: inout HeldSchedule, in transaction: PostgresTransaction) async throws {
        let namespace = held.schedule.namespace
        guard try await NamespaceTable.take(namespace, limit: context.mostSchedules, in: transaction)
        else { throw limitReached(namespace) }
        held.schedule.state = .active
        held.timer.runCount = 0
        held.change.followAgain(held.schedule)
    }

    /// An edit of the timing begins a new generation that is anchored at now and never fires backwards.
    private func retime(_ schedule: inout Schedule, _ timer: inout Timer, now: Instant) {
        schedule.generation += 1
        schedule.anchor = now
        timer.generation = schedule.generation
        let timing = schedule.definition.timing
        let planner = context.session.compiler.compile(schedule).planner
        // The limit may have been lowered to what was fired already.
        let isSpent = timing.runLimit.map { timer.runCount >= $0 } ?? false
        let first =
            isSpent ? nil : timing.firstOccurrence(of: planner.source, placement: planner.placement, now: now)
        guard schedule.state == .active else {
            timer.nextFireAt = nil
            timer.resumeFrom = first
            return
        }
        timer.stand(at: planner.position(at: first))
    }
}

extension HeldSchedule {
    /// Ends a schedule that an edit has left with nothing to come. While something of it is recalled it is open yet, and
    /// asked again once that has ended.
    fileprivate mutating func endIfOver() -> Bool {
        guard schedule.state == .active, timer.nextFireAt == nil else { return false }
        change.mayBeOver = !change.recalled.isEmpty
        if change.mayBeOver { return false }
        schedule.state = schedule.definition.deleteWhenExhausted ? .deleted : .exhausted
        change.write(NamespaceTable.giveBack(schedule.namespace))
        if schedule.definition.after != nil { change.write(LinkTable.remove(of: schedule.id)) }
        return true
    }
}
