import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `admin.freeze.set`, `clear`, `list`: times in which nothing of a namespace, of a target, or of anybody fires.
struct FreezeCommands: Sendable {
    let session: Session

    /// Freezes that may hold or lie ahead at one time: each claim looks at all of them.
    private static let most = 200

    private var runner: ChangeRunner { ChangeRunner(session: session) }

    func set(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let now = session.clock.now()
        let wanted = try body.finish(with: body.freeze(options, now: now))
        let reply = try await runner.run(request, options) { transaction in
            let before = try await FreezeTable.find(wanted.id, in: transaction)
            var freeze = wanted
            if let before { freeze.createdAt = before.createdAt }
            if before == nil {
                let current = try await FreezeTable.current(endingAfter: now, on: transaction)
                guard current.count < Self.most else {
                    throw WireError(.tooManyItems, "there are \(current.count) freezes, the most is \(Self.most)")
                }
            }
            var change = Change()
            change.write(FreezeTable.put(freeze))
            if let before { change.release(before, for: freeze, at: now) }
            let note = Self.entry("freeze_set", freeze, before: before, options, at: now)
            change.write(AuditTable.note(note))
            change.reply = { [freeze] in $0.freeze(freeze, at: now) }
            change.outlook = outlook(note, freeze, before: before, at: now)
            return change
        }
        if !options.isDryRun {
            await FreezeRecall(session: session, freezes: [wanted]).run()
        }
        return reply
    }

    /// Ends one that holds, now; one that has not begun never does. What it held is released at its rate from now on.
    func clear(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let id = try body.finish(with: body.freezeID("id"))
        let now = session.clock.now()
        return try await runner.run(request, options) { transaction in
            guard let before = try await FreezeTable.find(id, in: transaction) else {
                throw WireError(.freezeNotFound, "there is no freeze \(id)")
            }
            var freeze = before
            freeze.until = min(before.until, now)
            freeze.from = min(before.from, freeze.until)
            var change = Change()
            change.reply = { [freeze] in $0.freeze(freeze, at: now) }
            let note = Self.entry("freeze_cleared", freeze, before: before, options, at: now)
            change.outlook = outlook(note, freeze, before: before, at: now)
            guard freeze != before else { return change }
            change.write(FreezeTable.put(freeze))
            change.release(before, for: freeze, at: now)
            change.write(AuditTable.note(note))
            return change
        }
    }

    func list(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        try body.finish()
        let now = session.clock.now()
        let freezes = try await session.pool.withConnection {
            try await FreezeTable.current(endingAfter: now, on: $0)
        }
        return { writer in
            writer.name("freezes")
            writer.array { writer in for freeze in freezes { writer.value(freeze, at: now) } }
        }
    }

    private func outlook(_ note: AuditEntry, _ after: Freeze, before: Freeze?, at now: Instant) -> Outlook {
        Outlook(note) { [session] in
            try await FireOutlook(freeze: after, before: before, in: session, at: now).members()
        }
    }

    private static func entry(
        _ action: String, _ after: Freeze, before: Freeze?, _ options: ChangeOptions, at now: Instant
    ) -> AuditEntry {
        func text(_ freeze: Freeze) -> [UInt8] {
            var writer = JSONWriter(capacity: 512)
            writer.value(freeze, at: now)
            return writer.bytes
        }
        var entry = AuditEntry(
            at: now, namespace: after.namespace?.description ?? "_system", action: action, fence: 0)
        entry.name = after.id.description
        entry.actor = options.actor
        entry.reason = options.reason
        entry.requestID = options.requestID
        entry.before = before.map(text)
        entry.after = text(after)
        return entry
    }
}

extension Change {
    /// Lets go what a freeze holds and the one in its place does not; after the write of that one.
    mutating func release(_ before: Freeze, for next: Freeze, at now: Instant) {
        write(FreezeTable.advanceRelease(before, for: next, at: now))
        write(RetryTable.release(in: before.namespace, at: now))
        hints = true
    }
}

extension BodyReader {
    private static let longestMilliseconds: Int64 = 366 * 86_400_000

    /// The fields of a freeze; nil with the problems reported.
    fileprivate mutating func freeze(_ options: ChangeOptions, now: Instant) -> Freeze? {
        let before = problems.count
        var id: FreezeID?
        if case .value = member("id") { id = freezeID("id") }
        let namespace = freezeNamespace()
        let target = freezeTarget()
        let from = instant("from") ?? now
        let until = instant("until")
        if until == nil, !hasProblem("until") {
            report("until", "is required: when the freeze ends", as: .missingField)
        }
        let mode = choice("mode", of: FreezeMode.self) ?? .defer
        let rate = number("release_per_second", in: 0.01...100_000) ?? Freeze.usualReleasePerSecond
        guard let until, problems.count == before else { return nil }
        guard until > max(from, now) else {
            report("until", "expected an instant after now and after 'from'")
            return nil
        }
        guard until.milliseconds(since: max(from, now)) <= Self.longestMilliseconds else {
            report("until", "expected at most 366 days")
            return nil
        }
        var random = SystemRandomNumberGenerator()
        return Freeze(
            id: id ?? FreezeID(.version7(at: now, random: &random)), namespace: namespace, target: target, from: from,
            until: until, mode: mode, releasePerSecond: rate, reason: options.reason, actor: options.actor,
            createdAt: now)
    }

    fileprivate mutating func freezeID(_ name: String) -> FreezeID? {
        guard case .value(let value) = member(name) else {
            report(name, "is required: a freeze's id", as: .missingField)
            return nil
        }
        guard let text = string(value, name, most: 64) else { return nil }
        let id = FreezeID(text: text)
        if id == nil { report(name, "expected a freeze's id, got '\(text)'") }
        return id
    }

    private mutating func freezeNamespace() -> Namespace? {
        guard let text = string("namespace", most: 256) else { return nil }
        do { return try Namespace(text) } catch {
            report("namespace", "\(error), got '\(text)'")
            return nil
        }
    }

    private mutating func freezeTarget() -> SubjectPattern? {
        guard let text = string("target", most: 255) else { return nil }
        do { return try SubjectPattern(text) } catch {
            report("target", "\(error)")
            return nil
        }
    }
}

extension JSONWriter {
    fileprivate mutating func freeze(_ freeze: Freeze, at now: Instant) {
        name("freeze")
        value(freeze, at: now)
    }

    mutating func value(_ freeze: Freeze, at now: Instant) {
        object { writer in
            writer.member("id", freeze.id.description)
            writer.member("state", freeze.holds(at: now) ? "active" : freeze.from > now ? "planned" : "ended")
            writer.member("namespace", ifPresent: freeze.namespace?.description)
            writer.member("target", ifPresent: freeze.target?.description)
            writer.member("from", freeze.from.rfc3339)
            writer.member("until", freeze.until.rfc3339)
            writer.member("mode", freeze.mode.rawValue)
            writer.member("release_per_second", freeze.releasePerSecond)
            writer.member("reason", ifPresent: freeze.reason)
            writer.member("actor", ifPresent: freeze.actor)
            writer.member("created_at", freeze.createdAt.rfc3339)
        }
    }
}
