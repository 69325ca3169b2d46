import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
package import SchedulerEngine
import SchedulerStore
package import SchedulerWire

/// What commands need of the service.
package struct CommandContext: Sendable {
    package let session: Session
    package let defaults: DefinitionDefaults
    /// Schedules a namespace may have, where its own row says nothing.
    package let mostSchedules: Int64
    /// The server's `max_payload`, which payload and headers must fit.
    package let mostMessageBytes: Int

    package init(session: Session, defaults: DefinitionDefaults, mostSchedules: Int64, mostMessageBytes: Int) {
        self.session = session
        self.defaults = defaults
        self.mostSchedules = mostSchedules
        self.mostMessageBytes = mostMessageBytes
    }

    var runner: ChangeRunner { ChangeRunner(session: session) }
    var now: Instant { session.clock.now() }
}

/// `schedule.create` and `schedule.update`: what a creator says, checked and stored.
struct ScheduleDefinitions: Sendable {
    let context: CommandContext

    /// A definition that is fit to be stored, and what it means.
    struct Checked: Sendable {
        let definition: ScheduleDefinition
        let source: OccurrenceSource
        /// Where its occurrences go; nil where each fires at its own time.
        let placement: Placement?
        let firstOccurrence: Instant
    }

    func create(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        let now = context.now
        var random = SystemRandomNumberGenerator()
        let id = ScheduleID(.version7(at: now, random: &random))
        let isPaused = body.bool("paused") ?? false
        let missing = try await context.loadCalendars(namedIn: request)
        let checked = try read(
            &body, onto: nil, id: id, namespace: request.namespace, anchor: now, now: now, without: missing)
        var schedule = Schedule(
            id: id, namespace: request.namespace, definition: checked.definition,
            state: isPaused ? .paused : .active, anchor: now, createdAt: now,
            createdBy: options.actor ?? request.namespace.description, updatedAt: now,
            updatedBy: options.actor ?? request.namespace.description)
        if isPaused { schedule.pauseReason = options.reason ?? "created paused" }
        let context = context
        return try await context.runner.run(request, options) { [schedule] transaction in
            // From here on its calendars stay as they are: who changes one finds this schedule among its users.
            try await context.hold(calendarsOf: schedule, in: transaction)
            var timer = Timer(schedule: id, nextFireAt: nil, resumeFrom: checked.firstOccurrence, fireSequence: 1)
            let compiled = context.session.compiler.compile(schedule)
            if !isPaused { timer.stand(at: compiled.planner.position(at: checked.firstOccurrence)) }
            var view = ScheduleView(schedule: schedule, timer: timer)
            view.place(by: compiled, now: now)
            view.nextFires = nextFires(compiled.planner, schedule, now)
            guard
                try await NamespaceTable.take(request.namespace, limit: context.mostSchedules, in: transaction)
            else { throw limitReached(request.namespace) }
            var change = Change()
            change.schedule = id
            change.audit(entry("created", view, before: nil, options, at: now))
            change.tellRemoved(after: now, of: compiled, &timer, at: now)
            change.write(ScheduleTable.insert(schedule))
            change.write(TimerTable.insert(timer, priority: schedule.definition.priority))
            change.hints = isSoon(timer.nextFireAt, now)
            change.reply = { [view] in $0.schedule(view) }
            return change
        }
    }

    func update(_ request: CommandRequest) async throws -> [UInt8] {
        var parsed = BodyReader(request.body)
        let options = ChangeOptions(&parsed)
        let hasID = parsed.value("id") != nil
        guard let reference = parsed.reference() else {
            var reader = DefinitionReader(parsed, defaults: context.defaults, zones: context.session.compiler.zones)
            var body = reader.readUnplaced(idName: try ScheduleName("unknown"))
            return try body.finish(with: nil)
        }
        let body = parsed
        let now = context.now
        let context = context
        return try await context.runner.run(request, options) { transaction in
            // Before the timer, in the order in which a change of a calendar locks.
            let missing = try await context.loadCalendars(namedIn: request, sharing: true, on: transaction)
            var (schedule, timer) = try await transaction.held(reference, in: request.namespace)
            try await context.session.compiler.load([schedule], on: transaction)
            try schedule.expect(version: options.ifVersion)
            var before = ScheduleView(schedule: schedule, timer: timer)
            before.place(by: context.session.compiler.compile(schedule), now: now)
            var body = body
            // A request that names the schedule by its name says nothing about another name.
            if !hasID { _ = body.member("name") }
            let checked = try read(
                &body, onto: schedule.definition, id: schedule.id, namespace: request.namespace,
                anchor: schedule.anchor, now: now, without: missing)
            let old = schedule
            schedule.definition = checked.definition
            schedule.version += 1
            schedule.updatedAt = now
            schedule.updatedBy = options.actor ?? request.namespace.description
            var change = Change()
            change.schedule = schedule.id
            try await move(&schedule, &timer, from: old, &change, now, in: transaction)
            timer.version = schedule.version
            timer.fireSequence += 1
            change.recalled = try await RecallTable.mark(schedule.id, in: transaction)
            let isOver = change.endIfOver(&schedule, timer)
            let compiled = context.session.compiler.compile(schedule)
            var view = ScheduleView(
                schedule: schedule, timer: timer,
                nextFires: nextFires(compiled.planner, schedule, now, runCount: timer.runCount))
            view.place(by: compiled, now: now)
            change.audit(entry("updated", view, before: before, options, at: now))
            if schedule.generation != old.generation {
                change.tellRemoved(after: now, of: compiled, &timer, at: now)
            }
            change.write(ScheduleTable.update(schedule))
            change.write(TimerTable.update(timer, priority: schedule.definition.priority))
            if isOver { change.audit(entry("exhausted", view, before: nil, options, at: now)) }
            change.hints = isSoon(timer.nextFireAt, now)
            change.reply = { [view] in $0.schedule(view) }
            return change
        }
    }

    /// Lets the timer follow an edit: another timing begins anew, any other edit leaves it alone. Either corrects an
    /// invalid schedule: what was read for the edit is valid, all of it.
    private func move(
        _ schedule: inout Schedule, _ timer: inout Timer, from old: Schedule, _ change: inout Change, _ now: Instant,
        in transaction: PostgresTransaction
    ) async throws {
        let isRetimed = schedule.definition.isRetimed(from: old.definition)
        if isRetimed { change.skipPassed(of: old, &timer, as: .superseded, in: context.session, at: now) }
        if schedule.state == .invalid {
            schedule.heal()
            if !isRetimed {
                change.resume(schedule, &timer, catchUp: false, as: .targetRevoked, in: context.session, at: now)
            }
        }
        guard isRetimed else { return }
        if schedule.state == .exhausted { try await revive(&schedule, &timer, in: transaction) }
        retime(&schedule, &timer, now: now)
    }

    /// An exhausted schedule that gets another timing lives again, and counts against the limit again.
    private func revive(
        _ schedule: inout Schedule, _ timer: inout Timer, in transaction: PostgresTransaction
    ) async throws {
        guard try await NamespaceTable.take(schedule.namespace, limit: context.mostSchedules, in: transaction)
        else { throw limitReached(schedule.namespace) }
        schedule.state = .active
        timer.runCount = 0
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

extension Change {
    /// Ends a schedule that an edit has left with nothing to come. While something of it is recalled it is open yet, and
    /// asked again once that has ended.
    fileprivate mutating func endIfOver(_ schedule: inout Schedule, _ timer: Timer) -> Bool {
        guard schedule.state == .active, timer.nextFireAt == nil else { return false }
        mayBeOver = !recalled.isEmpty
        if mayBeOver { return false }
        schedule.state = schedule.definition.deleteWhenExhausted ? .deleted : .exhausted
        write(NamespaceTable.giveBack(schedule.namespace))
        return true
    }
}

/// The next fires that replies show: what is still to come, within `max_runs`.
func nextFires(
    _ planner: ClaimPlanner, _ schedule: Schedule, _ now: Instant, runCount: Int64 = 0, count: Int = 5
) -> [Instant] {
    let (source, placement) = (planner.source, planner.placement)
    let timing = schedule.definition.timing
    let left = max(0, (timing.runLimit ?? Int64.max) - runCount)
    let most = min(count, Int(clamping: left))
    var fires: [Instant] = []
    var cursor: Instant? = timing.firstOccurrence(of: source, placement: placement, now: now)
    while let next = cursor, fires.count < most {
        guard let placement else {
            fires.append(next)
            cursor = source.next(after: next)
            continue
        }
        guard let firing = placement.firstFiring(from: next) else { break }
        fires.append(firing)
        cursor = source.next(after: firing)
    }
    return fires
}

/// Whether a timer falls due before the next ticks would look for it.
func isSoon(_ due: Instant?, _ now: Instant) -> Bool {
    due.map { $0.milliseconds(since: now) <= Lookahead.shortest + 200 } ?? false
}

func limitReached(_ namespace: Namespace) -> WireError {
    WireError(.scheduleLimit, "namespace '\(namespace)' has as many schedules as it may have")
}

/// An entry of the audit log for a change of a schedule.
func entry(
    _ action: String, _ after: ScheduleView, before: ScheduleView?, _ options: ChangeOptions, at now: Instant
) -> AuditEntry {
    let schedule = after.schedule
    var entry = AuditEntry(
        at: now, namespace: schedule.namespace.description, action: action, fence: after.timer.fireSequence)
    entry.schedule = schedule.id
    entry.name = schedule.definition.name.description
    entry.version = schedule.version
    entry.actor = options.actor ?? schedule.namespace.description
    entry.reason = options.reason
    entry.requestID = options.requestID
    entry.before = before.map(text)
    entry.after = text(after)
    return entry
}

private func text(_ view: ScheduleView) -> [UInt8] {
    var writer = JSONWriter(capacity: 1024)
    writer.value(view)
    return writer.bytes
}

extension JSONWriter {
    mutating func schedule(_ view: ScheduleView) {
        name("schedule")
        value(view)
    }
}

extension Schedule {
    func expect(version: Int64?) throws(WireError) {
        guard let version, version != self.version else { return }
        throw WireError(.versionMismatch, "expected version \(version), the schedule is at \(self.version)")
    }
}

extension BodyReader {
    /// `id` or `name`: which schedule is meant. Nil where neither can be read, with the problem reported.
    mutating func reference() -> ScheduleReference? {
        let (id, name) = (member("id"), member("name"))
        if case .value(let value) = id {
            guard let text = string(value, "id", most: 64) else { return nil }
            if let id = ScheduleID(text: text) { return .id(id) }
            report("id", "expected a schedule's id, got '\(text)'")
        } else if case .value(let value) = name {
            guard let text = string(value, "name", most: 4096) else { return nil }
            do { return .name(try ScheduleName(text)) } catch {
                report("name", "\(error), got '\(text.prefix(160))'")
            }
        } else {
            report("id", "expected 'id' or 'name': which schedule is meant", as: .missingField)
        }
        return nil
    }

    /// Ends the reading: throws all problems at once. - Parameter value: what was read; its absence is a problem.
    mutating func finish<Value>(with value: Value?) throws(WireError) -> Value {
        try finish()
        guard let value else { throw WireError(.internalError, "a body without a problem could not be read") }
        return value
    }
}

extension PostgresTransaction {
    /// A schedule and its timer, both locked, the timer first: the one order in which everybody locks them.
    func held(_ reference: ScheduleReference, in namespace: Namespace) async throws -> (Schedule, Timer) {
        let found = try await ScheduleTable.find(reference, in: namespace, on: self)
        guard let found, let timer = try await TimerTable.lock(found.id, in: self),
            let schedule = try await ScheduleTable.lock(found.id, in: namespace, in: self)
        else { throw notFound(reference, in: namespace) }
        return (schedule, timer)
    }
}

func notFound(_ reference: ScheduleReference, in namespace: Namespace) -> WireError {
    let called =
        switch reference {
        case .id(let id): "id \(id)"
        case .name(let name): "name '\(name)'"
        }
    return WireError(.scheduleNotFound, "namespace '\(namespace)' has no schedule with \(called)")
}
