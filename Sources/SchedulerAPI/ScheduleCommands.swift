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
    /// Who is asked whether anybody takes what is fired; nil where nobody is.
    package let life: TargetLife?
    /// The submitted command that is carried out; nil for a request.
    var submission: Submission?

    package init(
        session: Session, defaults: DefinitionDefaults, mostSchedules: Int64, mostMessageBytes: Int,
        life: TargetLife? = nil
    ) {
        self.life = life
        self.session = session
        self.defaults = defaults
        self.mostSchedules = mostSchedules
        self.mostMessageBytes = mostMessageBytes
    }

    var runner: ChangeRunner { ChangeRunner(session: session, submission: submission) }
    var now: Instant { session.clock.now() }
}

/// `schedule.create`, `update` and `put`: what a creator says, checked and stored.
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
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&body), now: context.now)
        // What is not there yet has no version.
        body.refuseVersion(origin.options)
        let isPaused = body.bool("paused") ?? false
        let missing = try await context.loadCalendars(namedIn: request)
        let draft = try await context.withNewestRules(&body) { body in
            try self.draft(&body, isPaused: isPaused, by: origin, without: missing)
        }
        let warnings = await context.warnings(of: draft.schedule.definition)
        return try await context.runner.run(request, origin.options) { transaction in
            var change = try await create(draft, by: origin, in: transaction).change
            change.warnings = warnings
            return change
        }
    }

    func update(_ request: CommandRequest) async throws -> [UInt8] {
        var parsed = BodyReader(request.body)
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&parsed), now: context.now)
        let isPaused = parsed.bool("paused")
        let hasID = parsed.value("id") != nil
        guard let reference = parsed.reference() else {
            var reader = DefinitionReader(parsed, defaults: context.defaults, zones: context.session.compiler.zones)
            var body = reader.readUnplaced(idName: try ScheduleName("unknown"))
            return try body.finish(with: nil)
        }
        let body = parsed
        let now = origin.now
        let life = await context.life(ofTargetIn: request)
        return try await context.runner.run(request, origin.options) { transaction in
            try await context.session.compiler.targets.catchUp(on: transaction)
            // Before the timer, in the order in which a change of a calendar locks.
            let missing = try await context.loadCalendars(namedIn: request, sharing: true, on: transaction)
            let (schedule, timer) = try await transaction.held(reference, in: request.namespace)
            try await context.session.compiler.load([schedule], on: transaction)
            try schedule.expect(version: origin.options.ifVersion)
            var before = ScheduleView(schedule: schedule, timer: timer)
            before.place(by: context.session.compiler.compile(schedule), now: now)
            var body = body
            // A request that names the schedule by its name says nothing about another name.
            if !hasID { _ = body.member("name") }
            let checked = try read(
                &body, onto: schedule.definition, insteadOf: schedule.definition, id: schedule.id,
                namespace: request.namespace, anchor: schedule.anchor, now: now, without: missing)
            // What corrects the cause of its being invalid may lie elsewhere; the edit heals it at once.
            let isForced = schedule.state == .invalid
            var revision = try await revise(
                HeldSchedule(schedule, timer, before: before), to: checked.definition, paused: isPaused,
                isForced: isForced, by: origin, in: transaction)
            revision.change.reply = { [view = revision.view, isChanged = revision.isChanged] writer in
                writer.schedule(view)
                writer.member("changed", isChanged)
            }
            revision.change.warnings = life?.warnings(of: checked.definition) ?? []
            return revision.change
        }
    }
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
