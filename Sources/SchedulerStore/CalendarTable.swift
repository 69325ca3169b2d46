import JSONText
package import PostgresClient
import Recurrence
package import SchedulerCore
package import SchedulerWire

/// Business calendars by name.
package enum CalendarTable {
    static let columns =
        "namespace, name, version, definition, created_at, created_by, updated_at, updated_by"

    static let findStatement = Statement(
        "calendars_find", "SELECT \(columns) FROM scheduler.calendars WHERE namespace = $1 AND name = $2",
        types: [.text, .text], isReadOnly: true)
    static let findLockedStatement = Statement(
        "calendars_find_locked", findStatement.sql + " FOR UPDATE", types: [.text, .text])

    /// - Parameter locking: nobody changes it, or begins to use it, until the transaction ends.
    package static func find(
        _ name: CalendarName, in namespace: Namespace, locking: Bool, on runner: some StatementRunner
    ) async throws -> CalendarView? {
        let rows = try await runner.query(
            locking ? findLockedStatement : findStatement,
            [.text(namespace.description), .text(name.description)])
        return try rows.first.map { try calendar(of: $0) }
    }

    /// Shared lock: a deletion waits for who begins to use a calendar, and the other way round.
    static let shareStatement = Statement(
        "calendars_share",
        "SELECT \(columns) FROM scheduler.calendars WHERE namespace = $1 AND name = ANY ($2::text[]) ORDER BY name FOR SHARE",
        types: [.text, .textArray])
    static let fetchStatement = Statement(
        "calendars_fetch",
        "SELECT \(columns) FROM scheduler.calendars WHERE namespace = $1 AND name = ANY ($2::text[])",
        types: [.text, .textArray], isReadOnly: true)

    /// - Parameter sharing: they stay as they are until the transaction ends.
    package static func fetch(
        _ names: Set<CalendarName>, in namespace: Namespace, sharing: Bool, on runner: some StatementRunner
    ) async throws -> [CalendarView] {
        guard !names.isEmpty else { return [] }
        return try await runner.query(
            sharing ? shareStatement : fetchStatement,
            [.text(namespace.description), .texts(names.map(\.description).sorted())]
        ).map { try calendar(of: $0) }
    }

    static let listStatement = Statement(
        "calendars_list",
        "SELECT \(columns) FROM scheduler.calendars WHERE namespace = $1 AND name > $2 ORDER BY name LIMIT $3",
        types: [.text, .text, .int64], isReadOnly: true)

    /// In the order of their names, after one.
    package static func list(
        in namespace: Namespace, after name: String, limit: Int, on runner: some StatementRunner
    ) async throws -> [CalendarView] {
        try await runner.query(
            listStatement, [.text(namespace.description), .text(name), .int64(Int64(limit))]
        ).map { try calendar(of: $0) }
    }

    static let putStatement = Statement(
        "calendars_put",
        """
        INSERT INTO scheduler.calendars (\(columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (namespace, name) DO UPDATE SET version = excluded.version, definition = excluded.definition,
            updated_at = excluded.updated_at, updated_by = excluded.updated_by
        """, types: [.text, .text, .int64, .json, .timestamptz, .text, .timestamptz, .text])

    package static func put(_ view: CalendarView) -> Call {
        var writer = JSONWriter(capacity: 1024)
        writer.object { $0.members(of: view.definition) }
        return putStatement(
            .text(view.namespace.description), .text(view.name.description), .int64(view.version),
            .json(writer.bytes), .instant(view.createdAt), .text(view.createdBy), .instant(view.updatedAt),
            .text(view.updatedBy))
    }

    static let deleteStatement = Statement(
        "calendars_delete", "DELETE FROM scheduler.calendars WHERE namespace = $1 AND name = $2", types: [.text, .text])

    package static func delete(_ name: CalendarName, in namespace: Namespace) -> Call {
        deleteStatement(.text(namespace.description), .text(name.description))
    }

    /// Indexes `schedules_only_on` and `schedules_not_on`; UNION, so that each is used. An exhausted schedule uses
    /// nothing any more.
    static let usersStatement = Statement(
        "calendars_users",
        """
        SELECT id, name FROM (
            SELECT id, name, state FROM scheduler.schedules WHERE namespace = $1 AND only_on = $2
            UNION SELECT id, name, state FROM scheduler.schedules WHERE namespace = $1 AND not_on = $2) u
        WHERE state NOT IN ('deleted', 'exhausted') ORDER BY id LIMIT $3
        """, types: [.text, .text, .int64], isReadOnly: true)

    /// The schedules that use a calendar, in the order of their ids.
    package static func users(
        of name: CalendarName, in namespace: Namespace, limit: Int, on runner: some StatementRunner
    ) async throws -> [(id: ScheduleID, name: String)] {
        try await runner.query(
            usersStatement, [.text(namespace.description), .text(name.description), .int64(Int64(limit))]
        ).map { (try $0.scheduleID(0), try $0.text(1)) }
    }

    static func calendar(of row: PostgresRow) throws(PostgresError) -> CalendarView {
        do {
            var body = BodyReader(try JSONValue.parse(try row.json(3)))
            guard let definition = body.calendar() else {
                throw PostgresError(.decoding, "a calendar's definition cannot be read")
            }
            return CalendarView(
                namespace: try Namespace(try row.text(0)), name: try CalendarName(try row.text(1)),
                definition: definition, version: try row.int64(2), createdAt: try row.instant(4),
                createdBy: try row.textOrNil(5), updatedAt: try row.instant(6), updatedBy: try row.textOrNil(7))
        } catch let error as PostgresError {
            throw error
        } catch {
            throw PostgresError(.decoding, "a calendar's row cannot be read: \(error)")
        }
    }
}
