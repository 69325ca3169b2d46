import JSONText
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `audit.list` and `admin.audit.list`: who changed what, when and why.
struct AuditCommands: Sendable {
    let session: Session
    /// The server's `max_payload`.
    let mostMessageBytes: Int

    /// A reply must fit a message: the page ends where its entries reach this, whatever `limit` says.
    private static let mostBytes = 512 << 10
    /// So many bytes of what was and what is are read for the fields that differ.
    private static let mostCompared = 8 << 20

    /// Of the requester's namespace.
    func list(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        return try await list(&body, in: request.namespace)
    }

    /// Of one namespace, which may be the service's own, or of all.
    func listAll(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let namespace = body.auditedNamespace()
        if namespace == nil, body.value("schedule_name") != nil, !body.hasProblem("namespace") {
            body.report("namespace", "is required beside schedule_name: whose schedule", as: .missingField)
        }
        return try await list(&body, in: namespace)
    }

    private func list(_ body: inout BodyReader, in namespace: Namespace?) async throws -> ReplyMembers {
        let reference = body.scheduleFilter()
        let isFull = body.bool("full") ?? false
        let wanted = body.auditFilter()
        try body.finish()
        let mostBytes = min(Self.mostBytes, mostMessageBytes / 2)
        let page = try await session.list { connection in
            var filter = wanted
            if case .id(let id) = reference {
                // A deleted schedule's entries are found by its id.
                filter.schedule = id
            } else if let reference, let namespace {
                let found = try await ScheduleTable.find(reference, in: namespace, on: connection)
                guard let found else { throw notFound(reference, in: namespace) }
                filter.schedule = found.id
            }
            return try await AuditList.page(
                filter, in: namespace, bytes: isFull ? mostBytes : Self.mostCompared, on: connection)
        }
        return { writer in
            var next = page.next
            writer.name("entries")
            writer.array { writer in
                var last: AuditList.Entry?
                for entry in page.entries {
                    if let last, writer.withBytes({ $0.count }) > mostBytes {
                        next = last.place
                        break
                    }
                    writer.value(entry, isFull: isFull)
                    last = entry
                }
            }
            writer.member(
                "next_cursor",
                ifPresent: next.map {
                    UUIDValue(high: UInt64(bitPattern: $0.at), low: UInt64(bitPattern: $0.id)).text
                })
        }
    }
}

extension CommandContext {
    var audit: AuditCommands { AuditCommands(session: session, mostMessageBytes: mostMessageBytes) }
}

extension JSONWriter {
    fileprivate mutating func value(_ listed: AuditList.Entry, isFull: Bool) {
        let entry = listed.entry
        object { writer in
            writer.member("id", listed.id)
            writer.member("at", entry.at.rfc3339)
            writer.member("namespace", entry.namespace)
            writer.member("action", entry.action)
            writer.member("schedule_id", ifPresent: entry.schedule?.description)
            writer.member("name", ifPresent: entry.name)
            writer.member("version", ifPresent: entry.version)
            writer.member("actor", ifPresent: entry.actor)
            writer.member("reason", ifPresent: entry.reason)
            writer.member("request_id", ifPresent: entry.requestID)
            if let link = listed.link {
                writer.member("sequence", link.sequence)
                writer.member("hash", Digest.hexadecimal(link.hash))
            }
            if isFull {
                if let before = entry.before { writer.member("before", raw: before) }
                if let after = entry.after { writer.member("after", raw: after) }
            } else if let after = entry.after, entry.before == nil, entry.fence == 0,
                entry.action != AuditEntry.scheduleRestored
            {
                // What was asked for is no change of a schedule: its few words are all there is.
                writer.member("after", raw: after)
            } else {
                writer.changes(AuditChanges.between(entry.before, entry.after), longest: AuditChanges.longest)
            }
        }
    }
}

extension BodyReader {
    fileprivate mutating func auditFilter() -> AuditList.Filter {
        var filter = AuditList.Filter()
        filter.action = string("action", most: 64)
        filter.actor = string("actor", most: 256)
        filter.requestID = string("request_id", most: 128)
        filter.from = instant("from")
        filter.to = instant("to")
        filter.limit = limit()
        // The order of a list is (time, id): its cursor is two numbers in the form of a UUID.
        filter.before = cursor().map {
            AuditList.Place(at: Int64(bitPattern: $0.high), id: Int64(bitPattern: $0.low))
        }
        return filter
    }

    /// `namespace`: a creator's, or `_system`; nil for all, or with the problem reported.
    fileprivate mutating func auditedNamespace() -> Namespace? {
        guard let text = string("namespace", most: 256) else { return nil }
        if text == Namespace.administration.description { return .administration }
        do { return try Namespace(text) } catch {
            report("namespace", "\(error), or '\(Namespace.administration)'; got '\(text)'")
            return nil
        }
    }
}
