import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `admin.data.export` and `admin.data.import`: the whole store as records, a page at a time, for backup and restore.
struct DataCommands: Sendable {
    let session: Session
    /// The server's `max_payload`: a page fits in it.
    let mostMessageBytes: Int

    static let format = 1
    /// What a reply needs besides its records.
    private static let frame = 8192
    /// What is left out is named, each by less than this.
    private static let omissionBytes = 1024
    /// Records that are read at once: a page may be full with one of them.
    private static let portion = 50

    /// Where an export goes on: a kind, and the key of its last record.
    fileprivate struct Cursor {
        var kind: BackupKind
        var key: [String]?

        var text: String { "\(kind.rawValue):" + (key ?? []).joined(separator: "/") }

        init(_ kind: BackupKind) { self.kind = kind }

        init?(_ text: String) {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let kind = BackupKind(rawValue: String(parts[0])) else { return nil }
            self.init(kind)
            guard !parts[1].isEmpty else { return }
            let isPair = kind == .calendar || kind == .target
            // A target's subject may have a slash.
            let key = parts[1].split(separator: "/", maxSplits: isPair ? 1 : 0, omittingEmptySubsequences: false)
                .map(String.init)
            let isUUID = kind == .freeze || kind == .schedule
            guard key.count == (isPair ? 2 : 1), !isUUID || UUIDValue(text: key[0]) != nil
            else {
                return nil
            }
            self.key = key
        }

        var next: Cursor? {
            let kinds = BackupKind.allCases
            guard let index = kinds.firstIndex(of: kind), index + 1 < kinds.count else { return nil }
            return Cursor(kinds[index + 1])
        }
    }

    /// What is in no page: it would not fit in a message, or its row cannot be read.
    fileprivate struct Omission {
        let kind: BackupKind
        let key: String
        let name: String?
        let reason: String
    }

    fileprivate struct Page {
        var records: [[UInt8]] = []
        var omitted: [Omission] = []
        var bytes = 0
        var next: Cursor?
        var counts: [(kind: BackupKind, count: Int64)]?
    }

    func export(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let limit = body.integer("limit", in: 1...1000).map(Int.init) ?? 500
        let namespace = body.exportedNamespace()
        var start = Cursor(.namespace)
        let cursor = body.string("cursor", most: 512)
        if let cursor {
            if let place = Cursor(cursor) {
                start = place
            } else {
                body.report("cursor", "expected the next_cursor of a page", as: .badCursor)
            }
        }
        try body.finish()
        let now = session.clock.now()
        // A count may take longer than a list may; an export goes without.
        let counts =
            cursor == nil
            ? try? await session.lists.withConnection { try await BackupTable.counts(in: namespace, on: $0) } : nil
        let page = try await session.lists.withConnection { [start] connection in
            var page = Page()
            page.counts = counts
            try await fill(&page, from: start, in: namespace, limit: limit, on: connection)
            return page
        }
        return { Self.write(page, at: now, into: &$0) }
    }

    private func fill(
        _ page: inout Page, from start: Cursor, in namespace: Namespace?, limit: Int, on connection: PostgresConnection
    ) async throws {
        let room = mostMessageBytes - Self.frame
        var place = start
        while true {
            let wanted = min(limit - page.records.count, Self.portion)
            let found = try await BackupTable.page(
                of: place.kind, after: place.key, in: namespace, limit: wanted, on: connection)
            for (key, record) in found.records {
                var writer = JSONWriter(capacity: 2048)
                writer.value(record)
                let bytes = writer.bytes
                if bytes.count > room {
                    page.omit(
                        record, key, "takes \(bytes.count) bytes, more than the server's max_payload lets through")
                } else if page.bytes + bytes.count + 1 > room {
                    page.omit(found.unreadable, before: place.key)
                    page.next = place
                    return
                } else {
                    page.bytes += bytes.count + 1
                    page.records.append(bytes)
                }
                place.key = key
            }
            page.omit(found.unreadable)
            place.key = found.last ?? place.key
            if found.count < wanted {
                guard let next = place.next else { return }
                place = next
            }
            if page.records.count + page.omitted.count >= limit || page.omitted.count * Self.omissionBytes > room / 4 {
                page.next = place
                return
            }
        }
    }

    private static func write(_ page: Page, at now: Instant, into writer: inout JSONWriter) {
        writer.object("export") { writer in
            writer.member("format", format)
            writer.member("exported_at", now.rfc3339)
            guard let counts = page.counts else { return }
            writer.object("counts") { writer in
                for (kind, count) in counts {
                    writer.name(dynamic: kind.rawValue)
                    writer.value(count)
                }
            }
        }
        writer.name("records")
        writer.array { writer in for record in page.records { writer.raw(record) } }
        writer.name("omitted")
        writer.array { writer in
            for omission in page.omitted {
                writer.object { writer in
                    writer.member("kind", omission.kind.rawValue)
                    writer.member("key", omission.key)
                    writer.member("name", ifPresent: omission.name)
                    writer.member("reason", omission.reason)
                }
            }
        }
        writer.member("next_cursor", ifPresent: page.next?.text)
    }
}

extension DataCommands.Page {
    fileprivate mutating func omit(_ record: BackupRecord, _ key: [String], _ reason: String) {
        var name: String?
        if case .schedule(let schedule, _) = record { name = "\(schedule.namespace)/\(schedule.definition.name)" }
        omitted.append(
            DataCommands.Omission(kind: record.kind, key: key.joined(separator: "/"), name: name, reason: reason))
    }

    /// - Parameter key: only those that come no later are of this page.
    fileprivate mutating func omit(_ rows: [ScheduleTable.Unreadable], before key: [String]? = nil) {
        for row in rows where key.map({ row.id.description <= $0[0] }) ?? true {
            omitted.append(
                DataCommands.Omission(
                    kind: .schedule, key: row.id.description, name: row.names.map { "\($0.namespace)/\($0.name)" },
                    reason: String(row.fault.prefix(256))))
        }
    }
}

extension BodyReader {
    fileprivate mutating func exportedNamespace() -> Namespace? {
        guard let text = string("namespace", most: 256) else { return nil }
        do { return try Namespace(text) } catch {
            report("namespace", "\(error), got '\(text)'")
            return nil
        }
    }
}
