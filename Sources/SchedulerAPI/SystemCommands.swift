import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire
import Synchronization

/// What `admin.system.verify` looks at.
enum VerifiedPart: String, CaseIterable {
    /// The audit log's chain of hashes.
    case audit
    /// Whether every occurrence ended in exactly one place.
    case ledger
}

/// `admin.system.verify`, `members`, `drain`: the service itself.
struct SystemCommands: Sendable {
    let engine: Engine

    // MARK: verify

    private static let mostEntries: Int64 = 50_000

    func verify(_ request: CommandRequest) async throws -> ReplyMembers {
        let session = try engine.requireSession()
        var body = BodyReader(request.body)
        if body.choice("check", of: VerifiedPart.self) == .ledger {
            return try await LedgerCommand(session: session).verify(&body)
        }
        var question = AuditVerification.Question()
        question.from = body.integer("from", in: 1...Int64.max)
        question.to = body.integer("to", in: 1...Int64.max)
        question.limit = Int(body.integer("limit", in: 1...Self.mostEntries) ?? 10_000)
        question.known = body.knownLink()
        question.start = body.linkCursor()
        try body.finish()
        let asked = question
        let found = try await session.list { try await AuditVerification.run(asked, on: $0) }
        return { writer in
            writer.object("verified") { $0.audit(found, asked) }
            if found.fault == nil, !found.isComplete { writer.member("next_cursor", found.link.text) }
        }
    }

    // MARK: members

    func members(_ request: CommandRequest) async throws -> ReplyMembers {
        let session = try engine.requireSession()
        var body = BodyReader(request.body)
        try body.finish()
        let rows = try await session.list { try await InstanceTable.members(on: $0) }
        let view = session.membership.view
        return { writer in
            writer.name("members")
            writer.array { writer in
                for row in rows {
                    let holds = view.members.contains(row.id)
                    writer.object { writer in
                        writer.member("instance", row.id.description)
                        writer.member("name", row.name)
                        writer.member("started_at", row.startedAt.rfc3339)
                        writer.member("lease", holds ? "held" : "silent")
                        writer.member(
                            "partitions", holds ? Share.partitions(of: row.id, among: view.members).count : 0)
                        writer.member("answering", row.id == session.instance)
                    }
                }
            }
        }
    }

    // MARK: drain

    func drain(_ request: CommandRequest) async throws -> [UInt8] {
        let session = try engine.requireSession()
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let wanted = body.string("instance", most: 256)
        try body.finish()
        let now = session.clock.now()
        // Empty for a reply that is remembered.
        let chosen = Mutex<InstanceID?>(nil)
        let reply = try await ChangeRunner(session: session).run(request, options) { transaction in
            let members = try await InstanceTable.members(on: transaction)
            let wanted = wanted ?? session.instance.description
            guard let member = members.first(where: { $0.id.description == wanted || $0.name == wanted }) else {
                throw WireError(.instanceNotFound, "no member has the id or name '\(wanted.prefix(256))'")
            }
            var entry = AuditEntry(at: now, namespace: "_system", action: "instance_drained", fence: 0)
            entry.name = member.id.description
            entry.actor = options.actor
            entry.reason = options.reason
            entry.requestID = options.requestID
            var change = Change()
            change.write(AuditTable.note(entry))
            change.reply = { writer in
                writer.object("instance") { writer in
                    writer.member("instance", member.id.description)
                    writer.member("name", member.name)
                    writer.member("state", "draining")
                }
            }
            if !options.isDryRun { chosen.withLock { $0 = member.id } }
            return change
        }
        if options.isDryRun { return reply }
        // A request that comes again may be one whose member did not answer; its name may be another process's by now,
        // its id is nobody else's.
        var member = chosen.withLock { $0 }
        if member == nil { member = try await stillMember(of: reply, session) }
        guard let member else { return reply }
        do { try await ask(member, toLeave: session) } catch { throw Unfinished(cause: error) }
        return reply
    }

    /// The member that a remembered reply names; nil where it is gone.
    private func stillMember(of reply: [UInt8], _ session: Session) async throws -> InstanceID? {
        let id = try? JSONValue.parse(reply)["instance"]?["instance"]?.string
        let members = try await session.pool.withConnection { try await InstanceTable.members(on: $0) }
        return members.first { $0.id.description == id }?.id
    }

    private func ask(_ member: InstanceID, toLeave session: Session) async throws {
        if member == session.instance { return engine.drain() }
        guard await session.requestDrain(of: member, within: .seconds(2)) else {
            throw WireError(
                .timedOut,
                "instance \(member) did not answer: ask again, or look at admin.system.members whether it is gone")
        }
    }
}

extension AuditLink {
    /// `<place>.<hash>`: what a cursor of a verification is.
    var text: String { "\(sequence).\(Digest.hexadecimal(hash))" }

    init?(text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let sequence = Int64(parts[0]), sequence >= 0,
            let hash = Digest.bytes(hexadecimal: parts[1]), hash.count == 32
        else { return nil }
        self.init(sequence: sequence, hash: hash)
    }
}

extension BodyReader {
    fileprivate mutating func linkCursor() -> AuditLink? {
        guard let text = string("cursor", most: 128) else { return nil }
        let link = AuditLink(text: text)
        if link == nil { report("cursor", "is none that a verification returned", as: .badCursor) }
        return link
    }

    /// `known_sequence` and `known_hash`: a head that was kept outside.
    fileprivate mutating func knownLink() -> AuditLink? {
        let sequence = integer("known_sequence", in: 0...Int64.max)
        let text = string("known_hash", most: 128)
        guard sequence != nil || text != nil else { return nil }
        guard let sequence, let text else {
            let missing = sequence == nil ? "known_sequence" : "known_hash"
            if !hasProblem(missing) {
                report(missing, "is required beside the other: both name a head", as: .missingField)
            }
            return nil
        }
        guard let hash = Digest.bytes(hexadecimal: text), hash.count == 32 else {
            report("known_hash", "expected 64 hexadecimal digits")
            return nil
        }
        return AuditLink(sequence: sequence, hash: hash)
    }
}

extension JSONWriter {
    fileprivate mutating func audit(_ found: AuditVerification, _ asked: AuditVerification.Question) {
        object("audit") { writer in
            writer.member("ok", found.fault == nil)
            writer.member("complete", found.isComplete)
            writer.member("checked", found.checked)
            writer.member("through", found.link.sequence)
            writer.member("late", found.late)
            writer.member("unsealed", found.unsealed)
            writer.link("head", found.ends.head)
            writer.link("anchor", found.ends.anchor)
            if asked.known != nil, asked.start == nil {
                writer.member("known", found.isKnown.map { $0 ? "found" : "another" } ?? "not_kept")
            }
            guard let fault = found.fault else { return }
            writer.object("broken") { writer in
                writer.member("sequence", fault.sequence)
                writer.member("id", ifPresent: fault.entry.flatMap { Int64($0) })
                writer.member("problem", fault.problem.rawValue)
                writer.member("description", fault.sentence)
            }
        }
    }

    mutating func link(_ name: StaticString, _ link: AuditLink) {
        object(name) { writer in
            writer.member("sequence", link.sequence)
            writer.member("hash", Digest.hexadecimal(link.hash))
        }
    }
}

extension AuditChainCheck.Break {
    fileprivate var sentence: String {
        switch problem {
        case .missing: "no entry has place \(sequence): it was deleted, or its place was changed"
        case .altered: "the entry at place \(sequence) is not what was sealed: it, or its hash, was changed"
        case .outside: "an entry has place \(sequence), where the chain has none: it was put there by hand"
        case .truncated:
            "the chain ends before place \(sequence): its last entries were deleted, or its head was changed"
        case .unknown: "place \(sequence) has another hash than the one that was kept: the chain was written anew"
        }
    }
}
