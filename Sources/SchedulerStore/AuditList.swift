import PostgresClient
package import Recurrence
package import SchedulerCore

/// Looking at the audit log of a namespace, or of all, the latest first.
///
/// A page looks at a bounded stretch of the log: it may come back short, with the place where the next one goes on.
package enum AuditList {
    package struct Filter: Hashable, Sendable {
        package var schedule: ScheduleID?
        package var action: String?
        package var actor: String?
        package var requestID: String?
        /// Both inclusive.
        package var from: Instant?
        package var to: Instant?
        /// Only entries before this one.
        package var before: Place?
        /// 1 to 1000.
        package var limit = 100

        package init() {}
    }

    /// Where an entry stands in the order of lists.
    package struct Place: Hashable, Sendable {
        /// Microseconds since 1970.
        package let at: Int64
        package let id: Int64

        package init(at: Int64, id: Int64) {
            self.at = at
            self.id = id
        }
    }

    package struct Entry: Sendable {
        package let id: Int64
        package let place: Place
        package let entry: AuditEntry
        /// Its place in the chain and its hash; nil until it is sealed.
        package let link: AuditLink?
    }

    package struct Page: Sendable {
        package let entries: [Entry]
        /// Where the next page goes on; nil where there is nothing more.
        package let next: Place?
    }

    /// How many entries one page looks at.
    package static let stretch = 10_000

    private static func floorStatement(_ name: String, _ column: String, _ type: PostgresType) -> Statement {
        Statement(
            "audit_floor_\(name)",
            """
            SELECT (extract(epoch FROM at) * 1000000)::bigint, id FROM scheduler.audit_log
            WHERE \(column) = $1 AND (at, id) < ($2, $3)
            ORDER BY at DESC, id DESC OFFSET $4 LIMIT 1
            """, types: [type, .timestamptz, .int64, .int64], isReadOnly: true)
    }

    /// The stretch comes first, in the order of its index, and is filtered then: filters that the planner cannot weigh
    /// beforehand would tempt it to read and sort all that the key has.
    private static func pageStatement(_ name: String, _ column: String, _ type: PostgresType) -> Statement {
        Statement(
            "audit_page_\(name)",
            """
            SELECT id, (extract(epoch FROM at) * 1000000)::bigint, schedule_id, fence, version, namespace, name, action,
                actor, reason, request_id, before, after, sealed_seq, hash
            FROM (SELECT * FROM scheduler.audit_log WHERE \(column) = $1 AND (at, id) < ($2, $3)
                  ORDER BY at DESC, id DESC LIMIT \(stretch)) a
            WHERE (at, id) >= ($4, $5) AND ($6::text IS NULL OR namespace = $6)
                AND ($7::text IS NULL OR action = $7) AND ($8::text IS NULL OR actor = $8)
                AND ($9::text IS NULL OR request_id = $9)
            ORDER BY at DESC, id DESC LIMIT $10
            """,
            types: [type, .timestamptz, .int64, .timestamptz, .int64, .text, .text, .text, .text, .int64],
            isReadOnly: true)
    }

    /// Indexes `audit_log_namespace` and `audit_log_schedule`, backwards.
    static let namespaceFloor = floorStatement("namespace", "namespace", .text)
    static let scheduleFloor = floorStatement("schedule", "schedule_id", .uuid)
    static let ofNamespace = pageStatement("namespace", "namespace", .text)
    static let ofSchedule = pageStatement("schedule", "schedule_id", .uuid)

    /// How far the order of ids may be from that of times: a transaction's length, and the instances' clocks apart.
    private static let disorder: Int64 = 3_600_000_000

    static let allFloor = Statement(
        "audit_floor_all",
        """
        SELECT (extract(epoch FROM at) * 1000000)::bigint, id FROM scheduler.audit_log
        WHERE id < $1 ORDER BY id DESC OFFSET $2 LIMIT 1
        """, types: [.int64, .int64], isReadOnly: true)

    static let ofAll = Statement(
        "audit_page_all",
        """
        SELECT id, (extract(epoch FROM at) * 1000000)::bigint, schedule_id, fence, version, namespace, name, action,
            actor, reason, request_id, before, after, sealed_seq, hash
        FROM (SELECT * FROM scheduler.audit_log WHERE id < $1 ORDER BY id DESC LIMIT \(stretch)) a
        WHERE at BETWEEN $2 AND $3 AND ($4::text IS NULL OR action = $4) AND ($5::text IS NULL OR actor = $5)
            AND ($6::text IS NULL OR request_id = $6)
        ORDER BY id DESC LIMIT $7
        """, types: [.int64, .timestamptz, .timestamptz, .text, .text, .text, .int64], isReadOnly: true)

    /// A page of everybody's entries, in the order of their ids, which the primary key has: times alone have no index.
    private static func pageOfAll(_ filter: Filter, on runner: some StatementRunner) async throws -> Page {
        let before = PostgresValue.int64(filter.before?.id ?? .max)
        let (first, last) = bounds(of: filter)
        let floor = try await runner.query(allFloor, [before, .int64(Int64(stretch) - 1)]).first.map {
            Place(at: try $0.int64(0), id: try $0.int64(1))
        }
        let entries = try await runner.query(
            ofAll,
            [
                before, .timestamptz(first), .timestamptz(last), .text(filter.action), .text(filter.actor),
                .text(filter.requestID), .int64(Int64(filter.limit)),
            ]
        ).map { try entry(of: $0) }
        if entries.count == filter.limit { return Page(entries: entries, next: entries.last?.place) }
        return Page(entries: entries, next: floor.flatMap { $0.at < first - disorder ? nil : $0 })
    }

    /// The first and the last time asked for, in microseconds.
    private static func bounds(of filter: Filter) -> (first: Int64, last: Int64) {
        ((filter.from ?? .earliest).milliseconds * 1000, (filter.to ?? .latest).milliseconds * 1000 + 999)
    }

    /// - Parameter namespace: nil for all.
    package static func page(
        _ filter: Filter, in namespace: Namespace?, on runner: some StatementRunner
    ) async throws -> Page {
        let isOfSchedule = filter.schedule != nil
        let key: PostgresValue
        if let schedule = filter.schedule {
            key = .id(schedule)
        } else if let namespace {
            key = .text(namespace.description)
        } else {
            return try await pageOfAll(filter, on: runner)
        }
        let (first, last) = bounds(of: filter)
        var upper = Place(at: last, id: .max)
        if let before = filter.before, (before.at, before.id) < (upper.at, upper.id) { upper = before }
        let lowest = Place(at: first, id: .min)
        let bounds: [PostgresValue] = [key, .timestamptz(upper.at), .int64(upper.id)]
        let found = try await runner.query(
            isOfSchedule ? scheduleFloor : namespaceFloor, bounds + [.int64(Int64(stretch) - 1)]
        ).first.map { Place(at: try $0.int64(0), id: try $0.int64(1)) }
        // What lies before the first time asked for is nobody's business.
        let floor = found.flatMap { ($0.at, $0.id) > (lowest.at, lowest.id) ? $0 : nil }
        let lower = floor ?? lowest
        let entries = try await runner.query(
            isOfSchedule ? ofSchedule : ofNamespace,
            bounds + [
                .timestamptz(lower.at), .int64(lower.id), .text(namespace?.description), .text(filter.action),
                .text(filter.actor), .text(filter.requestID), .int64(Int64(filter.limit)),
            ]
        ).map { try entry(of: $0) }
        return Page(entries: entries, next: entries.count == filter.limit ? entries.last?.place : floor)
    }

    /// Entries that are read at once.
    private static let portion = 25

    /// The same, read a few entries at a time: the page ends where what they keep of what was and what is has so many
    /// bytes.
    package static func page(
        _ filter: Filter, in namespace: Namespace?, bytes most: Int, on runner: some StatementRunner
    ) async throws -> Page {
        var part = filter
        var entries: [Entry] = []
        var bytes = 0
        while true {
            part.limit = min(portion, filter.limit - entries.count)
            let page = try await page(part, in: namespace, on: runner)
            entries += page.entries
            bytes += page.entries.reduce(0) { $0 + ($1.entry.before?.count ?? 0) + ($1.entry.after?.count ?? 0) }
            // A short one has looked at a whole stretch.
            guard page.entries.count == part.limit, entries.count < filter.limit, bytes < most, let next = page.next
            else { return Page(entries: entries, next: page.next) }
            part.before = next
        }
    }

    private static func entry(of row: PostgresRow) throws(PostgresError) -> Entry {
        let (id, microseconds) = (try row.int64(0), try row.int64(1))
        var entry = AuditEntry(
            at: Instant(milliseconds: microseconds / 1000), namespace: try row.text(5), action: try row.text(7),
            fence: try row.int64(3))
        if !row.isNull(2) { entry.schedule = try row.scheduleID(2) }
        entry.version = try row.int64OrNil(4)
        entry.name = try row.textOrNil(6)
        entry.actor = try row.textOrNil(8)
        entry.reason = try row.textOrNil(9)
        entry.requestID = try row.textOrNil(10)
        entry.before = try row.jsonOrNil(11)
        entry.after = try row.jsonOrNil(12)
        var link: AuditLink?
        if let sequence = try row.int64OrNil(13), let hash = try row.bytesOrNil(14) {
            link = AuditLink(sequence: sequence, hash: hash)
        }
        return Entry(id: id, place: Place(at: microseconds, id: id), entry: entry, link: link)
    }
}
