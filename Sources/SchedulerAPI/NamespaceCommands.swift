import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `admin.namespace.limits` and `list`: what each namespace may do, and how much of it it does.
struct NamespaceCommands: Sendable {
    let session: Session
    /// Schedules a namespace may have, where its own row says nothing.
    let mostSchedules: Int64

    private var runner: ChangeRunner { ChangeRunner(session: session) }

    /// A merge patch: what is absent stays, null brings the default back. Where nothing is named it only shows.
    func limits(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let namespace = body.limitedNamespace()
        let patch = LimitsPatch(&body)
        let wanted = try body.finish(with: namespace)
        let now = session.clock.now()
        let most = mostSchedules
        let reply = try await runner.run(request, options) { transaction in
            let before = try await LimitTable.find(wanted, in: transaction) ?? LimitTable.View(namespace: wanted)
            var after = before
            patch.apply(to: &after.limits)
            guard after.limits.commandBurst == nil || after.limits.commandsPerSecond != nil else {
                let message = "needs commands_per_second beside it"
                throw WireError(
                    .conflictingFields, "/command_burst: \(message)",
                    details: [WireError.Detail(.root.appending("command_burst"), message)])
            }
            guard after.limits.concurrency.count <= ConcurrencyLimits.mostKeys else {
                throw WireError(.tooManyItems, "a namespace may name \(ConcurrencyLimits.mostKeys) concurrency keys")
            }
            let use = try await ConcurrencyTable.use(
                of: wanted.description, limit: ConcurrencyUse.most, on: transaction)
            var change = Change()
            change.reply = { [after] writer in
                writer.name("namespace")
                writer.value(after, mostSchedules: most)
                writer.concurrencyUse(ConcurrencyUse.lines(use, of: after.limits))
            }
            let note = entry(after, before: before, options, at: now)
            change.outlook = Outlook(after == before ? nil : note) { [session, after] in
                try await LimitOutlook(after, mostSchedules: most, in: session).members
            }
            guard after != before else { return change }
            try await ConcurrencyTable.lock(before.limits.changedKeys(to: after.limits, of: wanted), in: transaction)
            change.write(LimitTable.put(after.limits, of: wanted))
            change.frees = patch.mayFree
            change.write(AuditTable.note(note))
            return change
        }
        session.hintRules()
        return reply
    }

    func list(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let limit = body.limit()
        let cursor = body.string("cursor", most: 64)
        if let cursor, (try? Namespace(cursor)) == nil {
            body.report("cursor", "is none that a list returned", as: .badCursor)
        }
        try body.finish()
        let page = try await session.pool.withConnection {
            try await LimitTable.list(after: cursor ?? "", limit: limit, on: $0)
        }
        let most = mostSchedules
        return { writer in
            writer.name("namespaces")
            writer.array { writer in for view in page.views { writer.value(view, mostSchedules: most) } }
            writer.member("next_cursor", ifPresent: page.next)
        }
    }

    private func entry(
        _ after: LimitTable.View, before: LimitTable.View, _ options: ChangeOptions, at now: Instant
    ) -> AuditEntry {
        func text(_ view: LimitTable.View) -> [UInt8] {
            var writer = JSONWriter(capacity: 256)
            writer.value(view, mostSchedules: mostSchedules)
            return writer.bytes
        }
        var entry = AuditEntry(at: now, namespace: after.namespace.description, action: "namespace_limits", fence: 0)
        entry.actor = options.actor
        entry.reason = options.reason
        entry.requestID = options.requestID
        entry.before = text(before)
        entry.after = text(after)
        return entry
    }
}

/// What a body says about limits: absent leaves, nil inside brings the default back.
private struct LimitsPatch: Sendable {
    let maxSchedules: Int64??
    let commandsPerSecond: Double??
    let commandBurst: Int64??
    let minIntervalMilliseconds: Int64??
    let maxPayloadBytes: Int64??
    /// Nil inside takes all of them away; a key without places goes back to the usual ones.
    let concurrency: [String: Int?]??

    init(_ body: inout BodyReader) {
        maxSchedules = body.patch("max_schedules") { $0.integer($1, in: 0...1_000_000_000) }
        commandsPerSecond = body.patch("commands_per_second") { $0.number($1, in: 0.01...1_000_000) }
        commandBurst = body.patch("command_burst") { $0.integer($1, in: 1...1_000_000) }
        minIntervalMilliseconds = body.patch("min_interval_seconds") {
            $0.milliseconds($1, seconds: 0.1...31_622_400)
        }
        maxPayloadBytes = body.patch("max_payload_bytes") { $0.integer($1, in: 1...Int64(Int32.max)) }
        concurrency = body.patch("concurrency") { body, _ in body.concurrency() }
    }

    /// Whether one that waits may have a place from now on.
    var mayFree: Bool { concurrency != nil }

    func apply(to limits: inout NamespaceLimits) {
        if let maxSchedules { limits.maxSchedules = maxSchedules }
        if let commandsPerSecond { limits.commandsPerSecond = commandsPerSecond }
        if let commandBurst { limits.commandBurst = commandBurst }
        if let minIntervalMilliseconds { limits.minIntervalMilliseconds = minIntervalMilliseconds }
        if let maxPayloadBytes { limits.maxPayloadBytes = maxPayloadBytes }
        switch concurrency {
        case .none: break
        case .some(.none): limits.concurrency = [:]
        case .some(.some(let keys)): for (key, places) in keys { limits.concurrency[key] = places }
        }
    }
}

extension BodyReader {
    fileprivate mutating func patch<Value>(
        _ name: String, _ read: (inout BodyReader, String) -> Value?
    ) -> Value?? {
        switch member(name) {
        case .absent: nil
        case .null: .some(nil)
        // A value that cannot be read is a problem, which ends the command.
        case .value: .some(read(&self, name))
        }
    }

    fileprivate mutating func limitedNamespace() -> Namespace? {
        guard case .value(let value) = member("namespace") else {
            report("namespace", "is required: whose limits", as: .missingField)
            return nil
        }
        guard let text = string(value, "namespace", most: 256) else { return nil }
        do { return try Namespace(text) } catch {
            report("namespace", "\(error), got '\(text)'")
            return nil
        }
    }
}

extension JSONWriter {
    /// All limits, null where there is none; `max_schedules` is what holds.
    fileprivate mutating func value(_ view: LimitTable.View, mostSchedules: Int64) {
        let limits = view.limits
        object { writer in
            writer.member("namespace", view.namespace.description)
            writer.member("schedules", view.schedules)
            writer.member("max_schedules", limits.maxSchedules ?? mostSchedules)
            if let rate = limits.commandsPerSecond {
                writer.member("commands_per_second", rate)
            } else {
                writer.nullMember("commands_per_second")
            }
            writer.numberOrNull("command_burst", limits.commandBurst)
            if let interval = limits.minIntervalMilliseconds {
                writer.member("min_interval_seconds", Double(interval) / 1000)
            } else {
                writer.nullMember("min_interval_seconds")
            }
            writer.numberOrNull("max_payload_bytes", limits.maxPayloadBytes)
            writer.concurrency(limits.concurrency)
        }
    }

    private mutating func numberOrNull(_ name: StaticString, _ number: Int64?) {
        if let number { member(name, number) } else { nullMember(name) }
    }
}
