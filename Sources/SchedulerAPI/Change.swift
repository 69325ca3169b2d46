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
    var reply: ReplyMembers = { _ in }
    /// What is claimed and was asked back.
    var recalled: [RecallTable.Marked] = []
    var schedule: ScheduleID?
    /// The schedule has nothing to come; it is exhausted as soon as nothing of it is open any more.
    var mayBeOver = false
    /// Something may be due soon: all instances should look.
    var hints = false
    /// Executions that this command opened on this instance, to be fired once it is committed.
    var fires: [Fire] = []
    var skipped: [EventTeller.Owed] = []

    mutating func write(_ call: Call) { calls.append(call) }
    mutating func write(_ calls: [Call]) { self.calls += calls }

    mutating func audit(_ entry: AuditEntry) {
        audits.append((calls.count, entry))
        calls.append(AuditTable.insert(entry))
    }
}

/// Runs changing commands: once for each `request_id`, in one transaction, with the events, hints and recalls that
/// follow from it.
struct ChangeRunner: Sendable {
    let session: Session

    /// What a dry run throws to roll its transaction back.
    private struct DryRun: Error {
        let reply: ReplyMembers
    }

    /// A remembered reply, thrown to roll a twin's transaction back.
    private struct Remembered: Error {
        let reply: [UInt8]
    }

    /// - Parameter body: decides; its transaction is run again where it certainly did not take place (a serialisation
    ///   failure, a lost session), so it changes nothing but through it.
    /// - Returns: the whole reply.
    func run(
        _ request: CommandRequest, _ options: ChangeOptions,
        _ body: @escaping @Sendable (PostgresTransaction) async throws -> Change
    ) async throws -> [UInt8] {
        let envelope = Envelope(noun: request.noun, verb: request.verb)
        let hash = Digest.sha256(Array("\(request.noun).\(request.verb)\n".utf8) + request.bytes)
        do {
            let (change, ids) = try await commit(request, options, hash: hash, envelope, body)
            follow(change, ids)
            guard !change.recalled.isEmpty else { return Self.reply(envelope, change.reply, inFlight: nil) }
            let inFlight = await RecallWait(session: session).wait(for: change.recalled)
            // Whatever is open still is asked after.
            if change.mayBeOver, let id = change.schedule { try? await session.exhaustIdle([id]) }
            let reply = Self.reply(envelope, change.reply, inFlight: inFlight)
            if let requestID = options.requestID {
                _ = try? await session.pool.withConnection {
                    try await $0.pipeline([RequestTable.amend(requestID, in: request.namespace, reply: reply)])
                }
            }
            return reply
        } catch let dryRun as DryRun {
            return Self.reply(envelope, dryRun.reply, inFlight: nil)
        } catch let remembered as Remembered {
            return remembered.reply
        } catch let error as PostgresError where error.constraint == RequestTable.keyConstraint {
            // A twin was quicker: its reply is ours.
            return try await rememberedReply(request, options, hash: hash)
        }
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
            }
        }
    }

    private func commitOnce(
        _ request: CommandRequest, _ options: ChangeOptions, hash: [UInt8], _ envelope: Envelope,
        on connection: PostgresConnection, _ body: @escaping @Sendable (PostgresTransaction) async throws -> Change
    ) async throws -> (Change, [Int64]) {
        let (change, rows) = try await SettledTransaction.run(on: connection) { transaction in
            if let requestID = options.requestID {
                let found = try await RequestTable.find(requestID, in: request.namespace, on: transaction)
                if let found { throw try Self.outcome(of: found, hash: hash, requestID) }
            }
            let change = try await body(transaction)
            if options.isDryRun { throw DryRun(reply: change.reply) }
            var calls = [InstanceTable.hold(session.instance)] + change.calls
            if let requestID = options.requestID {
                let reply = Self.reply(
                    envelope, change.reply, inFlight: change.recalled.isEmpty ? nil : change.recalled.map(\.id))
                calls.append(
                    RequestTable.insert(
                        requestID, in: request.namespace, bodyHash: hash, reply: reply, at: session.clock.now()))
            }
            return (change, calls)
        }
        // Committed, and its rows lost on the way: the outbox's sweep tells its events.
        guard let rows else { return (change, []) }
        return (change, try change.audits.compactMap { try AuditTable.insertedID(rows[$0.call + 1]) })
    }

    private static func outcome(
        of found: RequestTable.Remembered, hash: [UInt8], _ requestID: String
    ) throws -> any Error {
        guard found.bodyHash == hash else {
            return WireError(.requestIDReused, "request_id '\(requestID)' was used with another body within 24 h")
        }
        return Remembered(reply: found.reply)
    }

    private func rememberedReply(
        _ request: CommandRequest, _ options: ChangeOptions, hash: [UInt8]
    ) async throws -> [UInt8] {
        guard let requestID = options.requestID else { throw WireError(.internalError, "no request_id to look for") }
        let found = try await session.pool.withConnection {
            try await RequestTable.find(requestID, in: request.namespace, on: $0)
        }
        guard let found else { throw WireError(.requestInProgress, "request_id '\(requestID)' is being worked on") }
        let outcome = try Self.outcome(of: found, hash: hash, requestID)
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
        if change.hints { session.hint() }
    }

    private static func reply(_ envelope: Envelope, _ members: ReplyMembers, inFlight: [ExecutionID]?) -> [UInt8] {
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
