import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// What a changing command decided inside its transaction: the writes that end it, and what follows once they are
/// durable.
struct Change: Sendable {
    private(set) var calls: [Call] = []
    private(set) var audits: [(call: Int, entry: AuditEntry)] = []
    /// Writes that say themselves what they owe, each by the place of its first call.
    private var owing: [(first: Int, writes: Writes)] = []
    var reply: ReplyMembers = { _ in }
    /// What is claimed and was asked back.
    var recalled: [RecallTable.Marked] = []
    /// What besides is done once the change is durable, before the reply. - Returns: what is in flight all the same.
    var settle: (@Sendable () async -> [ExecutionID])?
    var schedule: ScheduleID?
    /// The schedule has nothing to come; it is exhausted as soon as nothing of it is open any more.
    var mayBeOver = false
    /// Something may be due soon: all instances should look.
    var hints = false
    /// Something waits for a place, or a place is free.
    var frees = false
    /// A schedule that listens was made or changed: instances should look.
    var listens = false
    /// Executions that this command opened on this instance, to be fired once it is committed.
    var fires: [Fire] = []
    /// Events that are owed besides those of the audit.
    var skipped: [EventTeller.Owed] = []
    /// What a trigger asked for, whether it is open or waits.
    var triggered: (name: String, execution: ExecutionID)?
    /// Workers that are asked to stop once it is durable.
    var stops: [LifeWriter.WorkerToStop] = []
    /// What a dry run tells besides the reply.
    var rehearsal: Rehearsal?
    /// The same of a change that is no single schedule's.
    var outlook: Outlook?
    /// What the requester should know besides.
    var warnings: [Warning] = []

    /// The reply's members, the warnings included.
    var members: ReplyMembers {
        guard !warnings.isEmpty else { return reply }
        return { [reply, warnings] writer in
            reply(&writer)
            writer.warnings(warnings)
        }
    }

    mutating func write(_ call: Call) { calls.append(call) }
    mutating func write(_ calls: [Call]) { self.calls += calls }

    mutating func write(_ writes: Writes) {
        owing.append((calls.count, writes))
        calls += writes.calls
    }

    /// What ``write(_:)-(Writes)`` owes.
    /// - Parameter rows: of the calls, in their order.
    func owed(_ rows: some RandomAccessCollection<PostgresRows>) throws -> [EventTeller.Owed] {
        try owing.flatMap { try $1.owed(Array(rows.dropFirst($0).prefix($1.calls.count))) }
    }

    mutating func audit(_ entry: AuditEntry) {
        audits.append((calls.count, entry))
        calls.append(AuditTable.insert(entry))
    }
}

/// A change is durable, and what the command does besides failed. That is no refusal: the reply that is remembered would
/// hide it.
struct Unfinished: Error {
    let cause: any Error
}

/// Runs changing commands: once for each `request_id`, in one transaction, with the events, hints and recalls that
/// follow from it.
struct ChangeRunner: Sendable {
    let session: Session
    /// The submitted command that is carried out; nil for a request.
    var submission: Submission?

    /// What a dry run throws to roll its transaction back.
    private struct DryRun: Error {
        let change: Change
    }

    /// A remembered reply, thrown to roll a twin's transaction back.
    private struct Remembered: Error {
        let reply: [UInt8]
    }

    /// What became of a change.
    enum Applied: Sendable {
        /// It is committed, and what follows is under way; what it recalled may be in flight yet.
        case done(Change)
        /// It was done before, under the same `request_id`.
        case remembered([UInt8])
        /// Nothing was changed.
        case rehearsed(ReplyMembers)
    }

    /// - Parameters:
    ///   - again: of a change that always ends with a look at what is in flight. Where a remembered reply says nothing of
    ///     that, it was given before the look was over, or its process died: it is looked again.
    ///   - body: decides; its transaction is run again where it certainly did not take place (a serialisation failure, a
    ///     lost session), so it changes nothing but through it.
    /// - Returns: the whole reply.
    func run(
        _ request: CommandRequest, _ options: ChangeOptions, again: (@Sendable () async -> [ExecutionID])? = nil,
        _ body: @escaping @Sendable (PostgresTransaction) async throws -> Change
    ) async throws -> [UInt8] {
        let envelope = Envelope(noun: request.noun, verb: request.verb)
        let change: Change
        switch try await apply(request, options, hash: Self.hash(of: request), body) {
        case .remembered(let reply):
            guard let again, let unsettled = try? JSONValue.parse(reply), unsettled["in_flight"] == nil else {
                return reply
            }
            let inFlight = await again()
            return await remember(
                Self.reply(envelope, { $0.members(of: unsettled, but: "type") }, inFlight: inFlight), request, options)
        case .rehearsed(let members): return Self.reply(envelope, members, inFlight: nil)
        case .done(let done): change = done
        }
        guard !change.recalled.isEmpty || change.settle != nil else {
            return Self.reply(envelope, change.members, inFlight: nil)
        }
        guard let submission else { return await settle(change, request, options) }
        // Nobody reads this reply: those behind it in the stream do not wait for what is in flight.
        submission.followUps.add { _ = await settle(change, request, options) }
        return Self.reply(envelope, change.members, inFlight: change.recalled.map(\.id))
    }

    /// The same without the wait for what is recalled.
    /// - Parameter hash: of the request (``hash(of:)``).
    func apply(
        _ request: CommandRequest, _ options: ChangeOptions, hash: [UInt8],
        _ body: @escaping @Sendable (PostgresTransaction) async throws -> Change
    ) async throws -> Applied {
        let envelope = Envelope(noun: request.noun, verb: request.verb)
        do {
            let (change, ids) = try await commit(request, options, hash: hash, envelope, body)
            submission?.noteApplied()
            follow(change, ids)
            return .done(change)
        } catch let dryRun as DryRun {
            return .rehearsed(try await rehearsed(dryRun.change))
        } catch let remembered as Remembered {
            return .remembered(remembered.reply)
        } catch let error as PostgresError where error.code == .uniqueViolation && options.key != nil {
            // A twin was quicker, be it with its reply or with the schedule's name: its reply is ours.
            if let reply = try await rememberedReply(request, options, hash: hash) { return .remembered(reply) }
            guard error.constraint == RequestTable.keyConstraint else { throw error }
            throw WireError(.requestInProgress, "request_id '\(options.requestID ?? "")' is being worked on")
        }
    }

    /// What tells two bodies under one `request_id` apart.
    static func hash(of request: CommandRequest) -> [UInt8] {
        Digest.sha256(Array("\(request.noun).\(request.verb)\n".utf8) + request.bytes)
    }

    /// What is done after the commit and before the reply: what was recalled is given back or recorded.
    /// - Returns: the reply that names what is in flight still, remembered as such.
    private func settle(_ change: Change, _ request: CommandRequest, _ options: ChangeOptions) async -> [UInt8] {
        var inFlight = await change.settle?() ?? []
        if !change.recalled.isEmpty { inFlight += await RecallWait(session: session).wait(for: change.recalled) }
        // Whatever is open still is asked after.
        if change.mayBeOver, let id = change.schedule { try? await session.exhaustIdle([id]) }
        let envelope = Envelope(noun: request.noun, verb: request.verb)
        return await remember(Self.reply(envelope, change.members, inFlight: inFlight), request, options)
    }

    /// Puts the final reply in the place of the one that was remembered with the change. - Returns: the reply.
    private func remember(_ reply: [UInt8], _ request: CommandRequest, _ options: ChangeOptions) async -> [UInt8] {
        if let key = options.key {
            _ = try? await session.pool.withConnection {
                try await $0.pipeline([RequestTable.amend(key, in: request.namespace, reply: reply)])
            }
        }
        return reply
    }

    private func commit(
        _ request: CommandRequest, _ options: ChangeOptions, hash: [UInt8], _ envelope: Envelope,
        _ body: @escaping @Sendable (PostgresTransaction) async throws -> Change
    ) async throws -> (Change, [Int64]) {
        let policy = RetryPolicy(attempts: 4)
        var attempt = 1
        while true {
            do {
                return try await session.pool.withConnection {
                    try await commitOnce(request, options, hash: hash, envelope, on: $0, body)
                }
            } catch let error as PostgresError where error.code != .commitUnknown {
                guard let wait = policy.wait(after: attempt, error, jitter: Double.random(in: 0..<1)) else {
                    throw error
                }
                try await Task.sleep(for: wait)
                attempt += 1
            } catch {
                // Of what it may have opened nobody would know.
                session.endIfUnsettled(error)
                throw error
            }
        }
    }

    private func commitOnce(
        _ request: CommandRequest, _ options: ChangeOptions, hash: [UInt8], _ envelope: Envelope,
        on connection: PostgresConnection, _ body: @escaping @Sendable (PostgresTransaction) async throws -> Change
    ) async throws -> (Change, [Int64]) {
        var (change, rows) = try await SettledTransaction.run(on: connection) { transaction in
            if let key = options.key {
                let found = try await RequestTable.find(key, in: request.namespace, on: transaction)
                if let found { throw try Self.outcome(of: found, hash: hash, options.requestID) }
            }
            var change = try await body(transaction)
            if options.isDryRun { throw DryRun(change: change) }
            submission?.accept(&change, options, at: session.clock.now())
            var calls = [InstanceTable.hold(session.instance)] + change.calls
            if let key = options.key {
                let reply = Self.reply(
                    envelope, change.members, inFlight: change.recalled.isEmpty ? nil : change.recalled.map(\.id))
                calls.append(
                    RequestTable.insert(
                        key, in: request.namespace, bodyHash: hash, reply: reply, at: session.clock.now()))
            }
            if let advance = submission?.advance { calls.append(advance) }
            return (change, calls)
        }
        // Committed, and its rows lost on the way: the outbox's sweep tells its events.
        guard let rows else { return (change, []) }
        change.skipped += try change.owed(rows.dropFirst())
        return (change, try change.audits.compactMap { try AuditTable.insertedID(rows[$0.call + 1]) })
    }

    /// What a dry run replies: what the change would, what it would set, and what follows from it. The transaction is
    /// rolled back by then: no lock is held while fires are compared.
    private func rehearsed(_ change: Change) async throws -> ReplyMembers {
        let changes = change.rehearsal?.changes
        let fires = change.rehearsal?.fires(by: session.compiler, at: session.clock.now())
        let outlook = try await change.outlook?.members()
        return { writer in
            change.members(&writer)
            writer.member("dry_run", true)
            if let changes { writer.changes(changes) }
            if let fires { writer.fires(fires) }
            outlook?(&writer)
        }
    }

    private static func outcome(
        of found: RequestTable.Remembered, hash: [UInt8], _ requestID: String?
    ) throws -> any Error {
        guard found.bodyHash == hash else {
            let requestID = requestID ?? ""
            return WireError(.requestIDReused, "request_id '\(requestID)' was used with another body within 24 h")
        }
        return Remembered(reply: found.reply)
    }

    /// What was replied when this request came first; nil where it did not. Whoever repeats a request gets that reply even
    /// where the command would be refused by now: its name is taken, by itself; its time has passed; its target was revoked.
    func remembered(_ request: CommandRequest) async throws -> [UInt8]? {
        guard let requestID = request.body?["request_id"]?.string, (1...128).contains(requestID.count),
            !requestID.utf8.contains(0)
        else { return nil }
        // Where nobody can say, the refusal stands.
        let found = try? await session.pool.withConnection {
            try await RequestTable.find(requestID, in: request.namespace, on: $0)
        }
        guard let found else { return nil }
        let outcome = try Self.outcome(of: found, hash: Self.hash(of: request), requestID)
        return (outcome as? Remembered)?.reply
    }

    /// The reply that was given to the same request; nil where there was none.
    func rememberedReply(
        _ request: CommandRequest, _ options: ChangeOptions, hash: [UInt8]
    ) async throws -> [UInt8]? {
        guard let key = options.key else { return nil }
        let found = try await session.pool.withConnection {
            try await RequestTable.find(key, in: request.namespace, on: $0)
        }
        guard let found else { return nil }
        let outcome = try Self.outcome(of: found, hash: hash, options.requestID)
        guard let remembered = outcome as? Remembered else { throw outcome }
        return remembered.reply
    }

    /// What follows from a committed change: events, fires and hints.
    private func follow(_ change: Change, _ auditIDs: [Int64]) {
        let told = zip(auditIDs, change.audits).map { id, audit in
            EventTeller.Owed.change(ScheduleChange(audit.entry, auditID: id))
        }
        session.teller.owe(told + change.skipped)
        session.publisher.admit(change.fires)
        if let triggered = change.triggered { session.noteAsked(for: triggered.execution) }
        session.ask(change.stops)
        if change.hints { session.hint() }
        if change.frees { session.placesChanged.signal() }
        if change.listens { session.hintListening() }
    }

    static func reply(_ envelope: Envelope, _ members: ReplyMembers, inFlight: [ExecutionID]?) -> [UInt8] {
        var writer = JSONWriter(capacity: 2048)
        envelope.success(into: &writer) { writer in
            members(&writer)
            guard let inFlight else { return }
            writer.name("in_flight")
            writer.array { writer in
                for id in inFlight { writer.value(id.description) }
            }
        }
        return writer.bytes
    }
}

extension JSONWriter {
    /// The members of an object as they are, without one.
    fileprivate mutating func members(of object: JSONValue, but left: String) {
        for member in object.members where member.name != left {
            name(dynamic: member.name)
            value(member.value)
        }
    }
}

/// Waits until what a command took back is given back or recorded (engine.md: 2 s at most).
struct RecallWait: Sendable {
    let session: Session
    private static let limit = Duration.seconds(2)

    /// - Returns: what is still in flight: it may fire yet, and the reply names it.
    func wait(for marked: [RecallTable.Marked]) async -> [ExecutionID] {
        let deadline = ContinuousClock.now + Self.limit
        let known = Dictionary(marked.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var open = marked.map(\.id)
        var pause = Duration.milliseconds(2)
        while true {
            // Asked again each time: a claim that was committed a moment ago may not have reached its claimant's memory
            // when it was asked first.
            let bySchedule = Dictionary(grouping: open.compactMap { known[$0] }, by: \.schedule)
            for (schedule, marked) in bySchedule {
                await session.recall(schedule, from: Set(marked.map(\.claimant)), within: .milliseconds(1500))
                if ContinuousClock.now > deadline { break }
            }
            let asked = open
            if let still = try? await session.pool.withConnection({ try await RecallTable.stillOpen(asked, on: $0) }) {
                open = still
            }
            if open.isEmpty || ContinuousClock.now + pause > deadline { return open }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(100))
        }
    }
}
