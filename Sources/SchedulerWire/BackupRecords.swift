package import JSONText
import Recurrence
package import SchedulerCore

/// What a backup holds: one record a line, each an object with its `kind`.
///
/// A record says everything that is needed to put the thing back as it was. History is not among it: neither executions
/// nor the audit log. A further kind is a case here, a page of `BackupTable`, and a case of what imports.
package enum BackupKind: String, Sendable, CaseIterable {
    // In the order of the file: what others refer to comes first.
    case namespace
    case target
    case calendar
    case freeze
    case schedule
}

/// One record as it was read.
package enum BackupRecord: Sendable {
    /// A namespace that has limits of its own.
    case namespace(Namespace, NamespaceLimits)
    case target(TargetEntry)
    case calendar(CalendarView)
    case freeze(Freeze)
    case schedule(Schedule, Timer)

    package var kind: BackupKind {
        switch self {
        case .namespace: .namespace
        case .target: .target
        case .calendar: .calendar
        case .freeze: .freeze
        case .schedule: .schedule
        }
    }
}

// MARK: - Writing

extension JSONWriter {
    /// One record; the same thing gives the same bytes, without a line break.
    package mutating func value(_ record: BackupRecord) {
        object { writer in
            writer.member("kind", record.kind.rawValue)
            switch record {
            case .namespace(let namespace, let limits):
                writer.member("namespace", namespace.description)
                writer.members(of: limits)
            case .target(let entry): writer.members(of: entry)
            case .calendar(let view): writer.members(of: view)
            case .freeze(let freeze): writer.members(of: freeze)
            case .schedule(let schedule, let timer): writer.members(of: schedule, timer)
            }
        }
    }

    private mutating func members(of limits: NamespaceLimits) {
        member("max_schedules", ifPresent: limits.maxSchedules)
        member("commands_per_second", ifPresent: limits.commandsPerSecond)
        member("command_burst", ifPresent: limits.commandBurst)
        if let interval = limits.minIntervalMilliseconds { member("min_interval_seconds", milliseconds: interval) }
        member("max_payload_bytes", ifPresent: limits.maxPayloadBytes)
        if !limits.concurrency.isEmpty { concurrency(limits.concurrency) }
    }

    private mutating func members(of entry: TargetEntry) {
        member("namespace", entry.namespace?.description ?? "*")
        member("subject", entry.subject.description)
        name("delivery")
        array { writer in for delivery in entry.delivery { writer.value(delivery) } }
        member("max_payload_bytes", ifPresent: entry.maxPayloadBytes)
        member("max_in_flight", ifPresent: entry.maxInFlight)
        // As it was said, which may be over several lines.
        if let schema = entry.payloadSchema { member("payload_schema_text", String(decoding: schema, as: UTF8.self)) }
        member("created_at", entry.createdAt.rfc3339)
        member("created_by", ifPresent: entry.createdBy)
    }

    private mutating func members(of view: CalendarView) {
        member("namespace", view.namespace.description)
        member("name", view.name.description)
        member("version", view.version)
        members(of: view.definition)
        member("created_at", view.createdAt.rfc3339)
        member("created_by", ifPresent: view.createdBy)
        member("updated_at", view.updatedAt.rfc3339)
        member("updated_by", ifPresent: view.updatedBy)
    }

    private mutating func members(of freeze: Freeze) {
        member("id", freeze.id.description)
        member("namespace", ifPresent: freeze.namespace?.description)
        member("target", ifPresent: freeze.target?.description)
        member("from", freeze.from.rfc3339)
        member("until", freeze.until.rfc3339)
        member("mode", freeze.mode.rawValue)
        member("release_per_second", freeze.releasePerSecond)
        member("reason", ifPresent: freeze.reason)
        member("actor", ifPresent: freeze.actor)
        member("created_at", freeze.createdAt.rfc3339)
    }

    private mutating func members(of schedule: Schedule, _ timer: Timer) {
        member("id", schedule.id.description)
        member("namespace", schedule.namespace.description)
        member("name", schedule.definition.name.description)
        member("version", schedule.version)
        member("generation", schedule.generation)
        member("state", schedule.state.rawValue)
        member("pause_reason", ifPresent: schedule.pauseReason)
        member("paused_until", ifPresent: schedule.pausedUntil)
        var definition = schedule.definition
        // A payload is kept byte by byte, and a record is one line.
        let text = definition.payload.contains { $0 == 0x0A || $0 == 0x0D } ? definition.payload : nil
        if text != nil { definition.payload = Array("{}".utf8) }
        self.definition(definition)
        if let text { member("command_payload_text", String(decoding: text, as: UTF8.self)) }
        member("anchor_at", schedule.anchor.rfc3339)
        object("timer") { writer in
            writer.member("next_fire_at", ifPresent: timer.nextFireAt)
            writer.member("resume_from", ifPresent: timer.resumeFrom)
            writer.member("fire_sequence", timer.fireSequence)
            writer.member("run_count", timer.runCount)
        }
        member("created_at", schedule.createdAt.rfc3339)
        member("created_by", ifPresent: schedule.createdBy)
        member("updated_at", schedule.updatedAt.rfc3339)
        member("updated_by", ifPresent: schedule.updatedBy)
    }
}

// MARK: - Reading

extension BodyReader {
    /// How many records one request brings at most.
    private static let mostRecords = 1000

    /// A list of records, required; nil with the problems reported.
    package mutating func backupRecords(_ name: String) -> [BackupRecord]? {
        guard let value = value(name), value.kind == .array else {
            report(name, "is required: a list of records", as: .missingField)
            return nil
        }
        guard value.count <= Self.mostRecords else {
            report(name, "expected at most \(Self.mostRecords), got \(value.count)", as: .tooManyItems)
            return nil
        }
        let before = problems.count
        var records: [BackupRecord] = []
        for (index, element) in value.elements.enumerated() {
            var reader = BodyReader(element, at: path("\(name)/\(index)"))
            if let record = BackupRecord.read(&reader) { records.append(record) }
            absorb(&reader)
        }
        return problems.count == before ? records : nil
    }
}

extension BackupRecord {
    /// What only grows must have room to grow: no step of the service may overflow for a number that a file brought.
    private static let mostCounted: Int64 = 1 << 53

    /// Nil with the problems reported.
    fileprivate static func read(_ body: inout BodyReader) -> BackupRecord? {
        switch body.required("kind", { $0.choice($1, of: BackupKind.self) }) {
        case .namespace:
            let (namespace, limits) = (body.namespace(), limits(&body))
            return namespace.map { .namespace($0, limits) }
        case .target: return target(&body)
        case .calendar: return calendar(&body)
        case .freeze: return freeze(&body)
        case .schedule: return schedule(&body)
        case nil: return nil
        }
    }

    private static func limits(_ body: inout BodyReader) -> NamespaceLimits {
        var limits = NamespaceLimits()
        limits.maxSchedules = body.integer("max_schedules", in: 0...Int64.max)
        limits.commandsPerSecond = body.number("commands_per_second", in: 0.01...1_000_000)
        limits.commandBurst = body.integer("command_burst", in: 1...1_000_000)
        limits.minIntervalMilliseconds = body.milliseconds("min_interval_seconds", seconds: 0.1...31_622_400)
        limits.maxPayloadBytes = body.integer("max_payload_bytes", in: 1...Int64(Int32.max))
        for (key, places) in body.concurrency() ?? [:] { limits.concurrency[key] = places }
        return limits
    }

    private static func target(_ body: inout BodyReader) -> BackupRecord? {
        let namespace: Namespace?? = body.required("namespace") { body, field in
            body.string(field, most: 256).flatMap { text -> Namespace?? in
                text == "*" ? .some(nil) : (try? Namespace(text)).map { .some($0) }
            }
        }
        let subject = body.required("subject") { body, field in
            body.string(field, most: 255).flatMap { try? SubjectPattern($0) }
        }
        let delivery = body.required("delivery") { body, field in
            body.value(field).map { value in value.elements.compactMap(\.string) }
        }
        let most = body.integer("max_payload_bytes", in: 1...Int64(Int32.max))
        let mostInFlight = body.integer("max_in_flight", in: ConcurrencyLimits.range)
        let schema = jsonText("payload_schema_text", &body)
        let (created, createdBy) = (body.required("created_at") { $0.instant($1) }, body.string("created_by"))
        guard let namespace, let subject, let delivery, let created else { return nil }
        return .target(
            TargetEntry(
                namespace: namespace, subject: subject, delivery: delivery, maxPayloadBytes: most.map { Int($0) },
                payloadSchema: schema, maxInFlight: mostInFlight.map { Int($0) }, createdAt: created,
                createdBy: createdBy))
    }

    private static func calendar(_ body: inout BodyReader) -> BackupRecord? {
        let namespace = body.namespace()
        let name = body.required("name") { body, field in
            body.string(field, most: 128).flatMap { try? CalendarName($0) }
        }
        let (definition, version) = (body.calendar(), body.required("version") { $0.integer($1, in: 1...mostCounted) })
        let (created, updated) = (
            body.required("created_at") { $0.instant($1) }, body.required("updated_at") { $0.instant($1) }
        )
        let (createdBy, updatedBy) = (body.string("created_by"), body.string("updated_by"))
        guard let namespace, let name, let definition, let version, let created, let updated else { return nil }
        return .calendar(
            CalendarView(
                namespace: namespace, name: name, definition: definition, version: version, createdAt: created,
                createdBy: createdBy, updatedAt: updated, updatedBy: updatedBy))
    }

    private static func freeze(_ body: inout BodyReader) -> BackupRecord? {
        let id = body.required("id") { body, field in body.string(field, most: 64).flatMap { FreezeID(text: $0) } }
        let namespace = body.string("namespace", most: 256).map { try? Namespace($0) }
        let target = body.string("target", most: 255).map { try? SubjectPattern($0) }
        if case .some(nil) = namespace { body.report("namespace", "expected a namespace") }
        if case .some(nil) = target { body.report("target", "expected a subject") }
        let (from, until) = (body.required("from") { $0.instant($1) }, body.required("until") { $0.instant($1) })
        let mode = body.required("mode") { $0.choice($1, of: FreezeMode.self) }
        let rate = body.required("release_per_second") { $0.number($1, in: 0.01...100_000) }
        let (reason, actor) = (body.string("reason"), body.string("actor"))
        let created = body.required("created_at") { $0.instant($1) }
        guard let id, let from, let until, let mode, let rate, let created else { return nil }
        return .freeze(
            Freeze(
                id: id, namespace: namespace ?? nil, target: target ?? nil, from: from, until: until, mode: mode,
                releasePerSecond: rate, reason: reason, actor: actor, createdAt: created))
    }

    private static func schedule(_ body: inout BodyReader) -> BackupRecord? {
        let id = body.required("id") { body, field in body.string(field, most: 64).flatMap { ScheduleID(text: $0) } }
        let namespace = body.namespace()
        let version = body.required("version") { $0.integer($1, in: 1...mostCounted) }
        let generation = body.required("generation") { $0.integer($1, in: 1...(1 << 30)) }
        let state = body.required("state") { $0.choice($1, of: ScheduleState.self) }
        if state == .deleted { body.report("state", "expected a schedule that is not deleted") }
        let (reason, pausedUntil) = (body.string("pause_reason", most: 4096), body.instant("paused_until"))
        let anchor = body.required("anchor_at") { $0.instant($1) }
        let (created, updated) = (
            body.required("created_at") { $0.instant($1) }, body.required("updated_at") { $0.instant($1) }
        )
        let (createdBy, updatedBy) = (body.string("created_by"), body.string("updated_by"))
        let payload = jsonText("command_payload_text", &body)
        let timerFields = timer(&body)
        guard let definition = definition(&body, payload), let id, let namespace, let version, let generation,
            let state,
            let anchor, let created, let updated, var timer = timerFields.map({ $0(id) })
        else { return nil }
        timer.version = version
        timer.generation = Int32(generation)
        let schedule = Schedule(
            id: id, namespace: namespace, definition: definition, version: version, generation: Int32(generation),
            state: state, pauseReason: reason, pausedUntil: pausedUntil, anchor: anchor, createdAt: created,
            createdBy: createdBy,
            updatedAt: updated, updatedBy: updatedBy)
        return .schedule(schedule, timer)
    }

    private static func definition(_ body: inout BodyReader, _ payload: [UInt8]?) -> ScheduleDefinition? {
        guard let unnamed = try? ScheduleName("unnamed") else { return nil }
        var defaults = DefinitionDefaults()
        // What was accepted once is put back, whatever the ceiling is now.
        defaults.mostInFlight = .max
        var reader = DefinitionReader(body, defaults: defaults, zones: { _ in .utc })
        let read = reader.read(onto: nil, idName: unnamed)
        body = read.body
        guard var definition = read.definition else { return nil }
        if let payload { definition.payload = payload }
        return definition
    }

    /// A JSON value as a text, byte by byte.
    private static func jsonText(_ name: String, _ body: inout BodyReader) -> [UInt8]? {
        guard let text = body.string(name, most: .max) else { return nil }
        let bytes = Array(text.utf8)
        guard (try? JSONValue.parse(bytes)) != nil else {
            body.report(name, "expected the text of a JSON value")
            return nil
        }
        return bytes
    }

    private static func timer(_ body: inout BodyReader) -> ((ScheduleID) -> Timer)? {
        guard let value = body.required("timer", { $0.value($1) }) else { return nil }
        var fields = BodyReader(value, at: body.path("timer"))
        let (next, resume) = (fields.instant("next_fire_at"), fields.instant("resume_from"))
        let sequence = fields.required("fire_sequence") { $0.integer($1, in: 0...BackupRecord.mostCounted) }
        let count = fields.required("run_count") { $0.integer($1, in: 0...BackupRecord.mostCounted) }
        body.absorb(&fields)
        guard let sequence, let count else { return nil }
        return { id in
            Timer(
                schedule: id, nextFireAt: next, resumeFrom: resume, fireSequence: sequence, runCount: count)
        }
    }
}

extension BodyReader {
    /// A member that must be there; nil with the problem reported.
    fileprivate mutating func required<Value>(
        _ name: String, _ read: (inout BodyReader, String) -> Value?
    ) -> Value? {
        let before = problems.count
        if let value = read(&self, name) { return value }
        if problems.count == before { report(name, "is required in a record", as: .missingField) }
        return nil
    }

    fileprivate mutating func namespace() -> Namespace? {
        required("namespace") { body, field in
            body.string(field, most: 256).flatMap { try? Namespace($0) }
        }
    }
}
