import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// Who changes something, and when.
struct ChangeOrigin: Sendable {
    let namespace: Namespace
    let options: ChangeOptions
    let now: Instant

    var actor: String { options.actor ?? namespace.description }
}

/// A schedule that a command changes, with its timer; both are locked until the transaction ends. Steps change it one
/// after another, each tells its event, and ``store(_:at:)`` writes the outcome.
struct HeldSchedule: Sendable {
    var schedule: Schedule
    var timer: Timer
    var change = Change()
    /// As it was before the command.
    let before: ScheduleView
    /// As the latest event told it.
    private var told: ScheduleView

    init(_ schedule: Schedule, _ timer: Timer, before: ScheduleView) {
        self.schedule = schedule
        self.timer = timer
        self.before = before
        told = before
        change.schedule = schedule.id
    }

    init(_ schedule: Schedule, _ timer: Timer) {
        self.init(schedule, timer, before: ScheduleView(schedule: schedule, timer: timer))
    }

    /// A new version, whatever the number of steps that make it.
    mutating func touch(by origin: ChangeOrigin) {
        schedule.version += 1
        schedule.updatedAt = origin.now
        schedule.updatedBy = origin.actor
        timer.version = schedule.version
    }

    /// Tells one step: an entry of the audit, and the event that comes of it.
    mutating func tell(_ action: String, _ view: ScheduleView, by origin: ChangeOrigin) {
        change.audit(entry(action, view, before: told, origin.options, at: origin.now))
        told = view
    }

    mutating func tell(_ action: String, by origin: ChangeOrigin) {
        tell(action, ScheduleView(schedule: schedule, timer: timer), by: origin)
    }

    /// Writes the outcome, and replies with it.
    mutating func store(_ view: ScheduleView, at now: Instant) {
        change.write(ScheduleTable.update(schedule))
        change.write(TimerTable.update(timer, priority: schedule.definition.priority))
        // What was noted of its failures is of before.
        if before.schedule.definition.pauseAfterFailures != nil { change.write(FailureTable.settle(schedule.id)) }
        // Retries wait for a schedule that stands still, and end with one that is gone.
        if schedule.state == .deleted {
            change.write(RetryTable.hasten(schedule.id, at: now))
        } else if schedule.state == .active, before.schedule.state != .active {
            change.write(RetryTable.release(schedule.id, at: now))
        }
        change.rehearsal = Rehearsal(before: before, after: view)
        change.hints = isSoon(timer.nextFireAt, now)
        change.listens = schedule.definition.timing.isListening
        change.reply = { $0.schedule(view) }
    }

    mutating func store(at now: Instant) {
        store(ScheduleView(schedule: schedule, timer: timer), at: now)
    }
}

// MARK: - Pause, resume

extension HeldSchedule {
    /// Stops an active schedule where it stands, and takes back what is claimed.
    mutating func pause(
        until: Instant?, in session: Session, by origin: ChangeOrigin, _ transaction: PostgresTransaction
    ) async throws {
        try await endWaiting(.paused, in: session, at: origin.now, transaction)
        schedule.state = .paused
        schedule.pauseReason = origin.options.reason
        schedule.pausedUntil = until
        timer.resumeFrom = timer.position(offset: schedule.spreadOffset)
        timer.nextFireAt = nil
        timer.fireSequence += 1
        change.recalled = try await RecallTable.mark(schedule.id, in: transaction)
        tell("paused", by: origin)
    }

    /// Lets a paused schedule go on. What passed through `end` is skipped, unless `catchUp` leaves it to the misfire
    /// policy.
    /// - Parameter end: when the pause was over; not later than now.
    mutating func resume(
        catchUp: Bool, asOf end: Instant, in session: Session, by origin: ChangeOrigin,
        _ transaction: PostgresTransaction
    ) async throws {
        try await session.compiler.targets.catchUp(on: transaction)
        try await session.compiler.load([schedule], on: transaction)
        // It would be invalid at its next claim, and where its zone is gone nobody could tell what passed.
        if let fault = session.compiler.compile(schedule).fault { throw WireError(fault) }
        schedule.pauseReason = nil
        schedule.pausedUntil = nil
        change.resume(schedule, &timer, catchUp: catchUp, as: .paused, in: session, asOf: end, at: origin.now)
        // What came into its stream meanwhile.
        if schedule.definition.timing.type == .event, !catchUp {
            change.write(EventTable.passOver(before: end, of: timer))
        }
        timer.fireSequence += 1
        // What it still had to do was done, or passed, while it was paused.
        let isOpen = try await RecallTable.isOpen(schedule.id, in: transaction)
        let isOver = timer.nextFireAt == nil && !isOpen
        schedule.state = isOver ? .exhausted : .active
        tell("resumed", by: origin)
        guard isOver else { return }
        change.write(NamespaceTable.giveBack(schedule.namespace))
        if schedule.definition.after != nil { change.write(LinkTable.remove(of: schedule.id)) }
        change.audit(
            entry(
                "exhausted", ScheduleView(schedule: schedule, timer: timer), before: nil, origin.options,
                at: origin.now))
    }

    /// Pauses it, or lets it go on, as `paused` of a definition says: what it is already, and what is neither active nor
    /// paused, stays.
    mutating func turn(
        paused: Bool?, in session: Session, by origin: ChangeOrigin, _ transaction: PostgresTransaction
    ) async throws {
        if paused == true, schedule.state == .active {
            try await pause(until: nil, in: session, by: origin, transaction)
        } else if paused == false, schedule.state == .paused {
            try await resume(catchUp: false, asOf: origin.now, in: session, by: origin, transaction)
        }
    }

    /// Ends the schedule, and takes back what is claimed.
    mutating func delete(in session: Session, by origin: ChangeOrigin, _ transaction: PostgresTransaction) async throws
    {
        if schedule.state != .exhausted { change.write(NamespaceTable.giveBack(schedule.namespace)) }
        try await session.compiler.load([schedule], on: transaction)
        change.skipPassed(of: before.schedule, &timer, as: .deleted, in: session, at: origin.now)
        try await endWaiting(.deleted, in: session, at: origin.now, transaction)
        schedule.state = .deleted
        timer.nextFireAt = nil
        timer.resumeFrom = nil
        timer.fireSequence += 1
        if schedule.definition.after != nil { change.write(LinkTable.remove(of: schedule.id)) }
        change.recalled = try await RecallTable.mark(schedule.id, in: transaction)
        tell("deleted", by: origin)
    }
}
