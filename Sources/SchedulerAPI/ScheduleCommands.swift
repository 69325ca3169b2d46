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
        let firstOccurrence: Instant
    }

    func create(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        let now = context.now
        var random = SystemRandomNumberGenerator()
        let id = ScheduleID(.version7(at: now, random: &random))
        let isPaused = body.bool("paused") ?? false
        let checked = try read(&body, onto: nil, id: id, namespace: request.namespace, anchor: now, now: now)
        var schedule = Schedule(
            id: id, namespace: request.namespace, definition: checked.definition,
            state: isPaused ? .paused : .active, anchor: now, createdAt: now,
            createdBy: options.actor ?? request.namespace.description, updatedAt: now,
            updatedBy: options.actor ?? request.namespace.description)
        if isPaused { schedule.pauseReason = options.reason ?? "created paused" }
        let due = checked.firstOccurrence.adding(milliseconds: schedule.spreadOffset)
        let timer = Timer(
            schedule: id, nextFireAt: isPaused ? nil : due, resumeFrom: isPaused ? checked.firstOccurrence : nil,
            fireSequence: 1)
        let view = ScheduleView(schedule: schedule, timer: timer, nextFires: nextFires(checked.source, schedule, now))
        let context = context
        return try await context.runner.run(request, options) { [schedule] transaction in
            guard
                try await NamespaceTable.take(request.namespace, limit: context.mostSchedules, in: transaction)
            else { throw limitReached(request.namespace) }
            var change = Change()
            change.schedule = id
            change.write(ScheduleTable.insert(schedule))
            change.write(TimerTable.insert(timer, priority: schedule.definition.priority))
            change.audit(entry("created", view, before: nil, options, at: now))
            change.hints = isSoon(timer.nextFireAt, now)
            change.reply = { $0.schedule(view) }
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
            var (schedule, timer) = try await transaction.held(reference, in: request.namespace)
            try schedule.expect(version: options.ifVersion)
            let before = ScheduleView(schedule: schedule, timer: timer)
            var body = body
            // A request that names the schedule by its name says nothing about another name.
            if !hasID { _ = body.member("name") }
            let checked = try read(
                &body, onto: schedule.definition, id: schedule.id, namespace: request.namespace,
                anchor: schedule.anchor, now: now)
            let old = schedule
            schedule.definition = checked.definition
            schedule.version += 1
            schedule.updatedAt = now
            schedule.updatedBy = options.actor ?? request.namespace.description
            var change = Change()
            change.schedule = schedule.id
            if old.definition.timing != checked.definition.timing || schedule.spreadOffset != old.spreadOffset {
                try change.skipPassed(of: old, &timer, as: .superseded, in: context.session, at: now)
                if schedule.state == .exhausted { try await revive(&schedule, &timer, in: transaction) }
                retime(&schedule, &timer, now: now)
            }
            timer.version = schedule.version
            timer.fireSequence += 1
            change.recalled = try await RecallTable.mark(schedule.id, in: transaction)
            let view = ScheduleView(
                schedule: schedule, timer: timer,
                nextFires: nextFires(checked.source, schedule, now, runCount: timer.runCount))
            change.write(ScheduleTable.update(schedule))
            change.write(TimerTable.update(timer, priority: schedule.definition.priority))
            change.audit(entry("updated", view, before: before, options, at: now))
            change.hints = isSoon(timer.nextFireAt, now)
            change.reply = { $0.schedule(view) }
            return change
        }
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
        guard let source = try? timing.source(anchor: now, zones: context.session.compiler.zones) else { return }
        let first = timing.firstOccurrence(of: source, now: now)
        let isActive = schedule.state == .active
        timer.nextFireAt = isActive ? first?.adding(milliseconds: schedule.spreadOffset) : nil
        timer.resumeFrom = isActive ? nil : first
    }

    /// Reads and checks a definition; throws every problem at once.
    func read(
        _ body: inout BodyReader, onto current: ScheduleDefinition?, id: ScheduleID, namespace: Namespace,
        anchor: Instant, now: Instant
    ) throws -> Checked {
        var reader = DefinitionReader(body, defaults: context.defaults, zones: context.session.compiler.zones)
        let read = reader.read(onto: current, idName: try ScheduleName(id.description))
        body = read.body
        checkTarget(read, for: namespace, &body)
        var meaning: (source: OccurrenceSource, first: Instant)?
        if let timing = read.timing {
            let isRetimed = current?.timing != timing
            meaning = self.meaning(
                of: timing, grace: read.graceMilliseconds, anchor: isRetimed ? now : anchor, isRetimed: isRetimed, now,
                &body)
        }
        try body.finish()
        guard let definition = read.definition, let meaning else {
            throw WireError(.internalError, "a definition without a problem could not be read")
        }
        return Checked(definition: definition, source: meaning.source, firstOccurrence: meaning.first)
    }

    private func meaning(
        of timing: Timing, grace: Int64, anchor: Instant, isRetimed: Bool, _ now: Instant, _ body: inout BodyReader
    ) -> (source: OccurrenceSource, first: Instant)? {
        guard let source = source(of: timing, anchor: anchor, &body) else { return nil }
        if isRetimed, timing.type == .once, let runAt = timing.runAt {
            checkOnce(runAt, grace: grace, now, &body)
        }
        if timing.spreadMilliseconds > 0, let period = source.recurrence.shortestPeriodMilliseconds,
            timing.spreadMilliseconds > period
        {
            body.report("spread_seconds", "expected at most the shortest period, \(Double(period) / 1000) s")
        }
        guard let first = timing.firstOccurrence(of: source, now: now) else {
            guard isRetimed else { return (source, anchor) }
            body.report(timing.mainField, "has no occurrence after now within its bounds", as: .neverFires)
            return nil
        }
        return (source, first)
    }

    private func source(of timing: Timing, anchor: Instant, _ body: inout BodyReader) -> OccurrenceSource? {
        do { return try timing.source(anchor: anchor, zones: context.session.compiler.zones) } catch {
            guard error.field == "timezone" else {
                body.report(error.field, error.description, as: .invalidTiming)
                return nil
            }
            if !body.hasProblem("timezone") { body.report("timezone", error.description, as: .unknownTimezone) }
        }
        // The expression may be wrong besides; no zone is needed to see that.
        do { _ = try timing.source(anchor: anchor, zones: { _ in .utc }) } catch {
            body.report(error.field, error.description, as: .invalidTiming)
        }
        return nil
    }

    private func checkOnce(_ runAt: Instant, grace: Int64, _ now: Instant, _ body: inout BodyReader) {
        let most = context.defaults.mostLookaheadDays * 86_400_000
        if runAt.milliseconds(since: now) > most {
            body.report("run_at", "expected at most \(context.defaults.mostLookaheadDays) days ahead")
        }
        if now.milliseconds(since: runAt) > grace {
            body.report("run_at", "lies in the past by more than misfire_grace_seconds: it would never fire")
        }
    }

    private func checkTarget(_ read: DefinitionReader.Reading, for namespace: Namespace, _ body: inout BodyReader) {
        let bytes = read.payload.count
        if let target = read.target {
            do {
                try context.session.compiler.targetRules.check(
                    target, delivery: read.delivery, payloadBytes: bytes, for: namespace)
            } catch {
                let isTooLarge = error.code == .payloadTooLarge
                body.report(
                    isTooLarge ? "command_payload" : "target_command", error.description, as: ErrorCode(error.code))
            }
        }
        let headers = read.headers.reduce(1024) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
        if bytes + headers > context.mostMessageBytes {
            let most = context.mostMessageBytes
            body.report(
                "command_payload",
                "payload and headers take \(bytes + headers) bytes, the server's max_payload is \(most)",
                as: .payloadTooLarge)
        }
    }
}

extension ErrorCode {
    fileprivate init(_ code: TargetRules.Refusal.Code) {
        switch code {
        case .reserved: self = .targetReserved
        case .notAllowed: self = .targetNotAllowed
        case .delivery: self = .deliveryNotAllowed
        case .payloadTooLarge: self = .payloadTooLarge
        }
    }
}

/// The next fires that replies show: what is still to come, within `max_runs`.
func nextFires(
    _ source: OccurrenceSource, _ schedule: Schedule, _ now: Instant, runCount: Int64 = 0, count: Int = 5
) -> [Instant] {
    let timing = schedule.definition.timing
    let left = max(0, (timing.runLimit ?? Int64.max) - runCount)
    let most = min(count, Int(clamping: left))
    var fires: [Instant] = []
    var cursor: Instant? = timing.firstOccurrence(of: source, now: now)
    while let next = cursor, fires.count < most {
        fires.append(next)
        cursor = source.next(after: next)
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

extension Timing {
    /// The field that a fault of the timing as a whole is reported at.
    fileprivate var mainField: String {
        switch type {
        case .cron: "cron_expression"
        case .interval: "interval_seconds"
        case .once: "run_at"
        case .immediate: "schedule_type"
        case .rrule: "rrule"
        }
    }
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
            if let id = ScheduleID(text: text) { return ScheduleReference(id: id) }
            report("id", "expected a schedule's id, got '\(text)'")
        } else if case .value(let value) = name {
            guard let text = string(value, "name", most: 4096) else { return nil }
            do { return ScheduleReference(name: try ScheduleName(text)) } catch {
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
        let found = try await ScheduleTable.find(reference, in: namespace, locking: false, on: self)
        guard let found, let timer = try await TimerTable.lock(found.id, in: self),
            let schedule = try await ScheduleTable.find(
                ScheduleReference(id: found.id), in: namespace, locking: true, on: self)
        else { throw notFound(reference, in: namespace) }
        return (schedule, timer)
    }
}

func notFound(_ reference: ScheduleReference, in namespace: Namespace) -> WireError {
    let called = reference.id.map { "id \($0)" } ?? "name '\(reference.name?.description ?? "")'"
    return WireError(.scheduleNotFound, "namespace '\(namespace)' has no schedule with \(called)")
}
