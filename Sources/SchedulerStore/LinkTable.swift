package import PostgresClient
package import SchedulerCore

/// Who follows whom (`after`): one row for each schedule that one follows.
package enum LinkTable {
    static let lockStatement = Statement(
        "links_lock", "SELECT pg_advisory_xact_lock(hashtextextended('scheduler.links/' || $1, 0))", types: [.text])

    /// Lets nobody else change a namespace's links until the transaction ends: two changes that are fit each for itself
    /// could make a cycle together. Taken after the schedule's own locks.
    package static func lock(_ namespace: Namespace, in transaction: PostgresTransaction) async throws {
        _ = try await transaction.query(lockStatement, [.text(namespace.description)])
    }

    static let removeStatement = Statement(
        "links_remove", "DELETE FROM scheduler.links WHERE downstream = $1", types: [.uuid])
    static let forgetArrivalsStatement = Statement(
        "arrivals_forget", "DELETE FROM scheduler.arrivals WHERE downstream = $1", types: [.uuid])

    static let forgetTurnsStatement = Statement(
        "links_forget_turns", "DELETE FROM scheduler.ended_upstreams WHERE downstream = $1", types: [.uuid])

    /// Ends what a schedule follows, and forgets what has arrived for it, and what is on its way.
    package static func remove(of schedule: ScheduleID) -> [Call] {
        [
            removeStatement(.id(schedule)), forgetArrivalsStatement(.id(schedule)),
            forgetTurnsStatement(.id(schedule)),
        ]
    }

    static let insertStatement = Statement(
        "links_insert",
        """
        INSERT INTO scheduler.links (downstream, upstream, position, namespace, upstream_name, condition)
        SELECT $1, s.id, u.position::smallint, $2, u.name, u.condition
        FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS u (name, condition, position)
        LEFT JOIN scheduler.schedules s
            ON s.namespace = $2 AND s.name = u.name AND s.state NOT IN ('exhausted', 'deleted')
        """, types: [.uuid, .text, .textArray, .textArray])

    /// Makes a schedule follow those that its rule names.
    package static func insert(_ rule: FollowRule, of schedule: ScheduleID, in namespace: Namespace) -> Call {
        insertStatement(
            .id(schedule), .text(namespace.description), .texts(rule.links, \.schedule.description),
            .texts(rule.links, \.condition.rawValue))
    }

    static let adoptStatement = Statement(
        "links_adopt", "UPDATE scheduler.links SET upstream = $1 WHERE namespace = $2 AND upstream_name = $3",
        types: [.uuid, .text, .text])

    /// Who followed a schedule of this name follows the one that has it from now on.
    package static func adopt(_ schedule: ScheduleID, called name: ScheduleName, in namespace: Namespace) -> Call {
        adoptStatement(.id(schedule), .text(namespace.description), .text(name.description))
    }

    static let followersStatement = Statement(
        "links_followers",
        """
        SELECT s.name FROM scheduler.links l JOIN scheduler.schedules s ON s.id = l.downstream
        WHERE l.namespace = $1 AND l.upstream_name = $2 AND s.state NOT IN ('exhausted', 'deleted')
        ORDER BY s.name LIMIT 10
        """, types: [.text, .text], isReadOnly: true)

    /// Up to ten schedules that follow one of this name.
    package static func followers(
        of name: ScheduleName, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> [String] {
        try await runner.query(followersStatement, [.text(namespace.description), .text(name.description)])
            .map { try $0.text(0) }
    }

    static let returningStatement = Statement(
        "links_returning",
        """
        WITH RECURSIVE up (name) AS (
            SELECT unnest($2::text[])
            UNION
            SELECT l.upstream_name FROM up
            JOIN scheduler.schedules s
                ON s.namespace = $1 AND s.name = up.name AND s.state NOT IN ('exhausted', 'deleted')
            JOIN scheduler.links l ON l.downstream = s.id)
        SELECT u.position, u.name = $3 OR EXISTS (SELECT FROM up WHERE up.name = $3),
            EXISTS (SELECT FROM scheduler.schedules s
                WHERE s.namespace = $1 AND s.name = u.name AND s.state NOT IN ('exhausted', 'deleted'))
        FROM unnest($2::text[]) WITH ORDINALITY AS u (name, position)
        """, types: [.text, .textArray, .text], isReadOnly: true)

    /// What following these names would come to.
    package struct Outlook: Sendable {
        /// Names that no schedule has, by their places in the list.
        package var missing: [Int] = []
        /// Who follows them comes back to itself.
        package var isCycle = false
    }

    /// Looks along the links from `names`. The caller holds ``lock(_:in:)``.
    /// - Parameter own: the name of the schedule that is to follow them.
    package static func outlook(
        _ names: [ScheduleName], of own: ScheduleName, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> Outlook {
        var outlook = Outlook()
        let rows = try await runner.query(
            returningStatement,
            [.text(namespace.description), PostgresValue.texts(names.map(\.description)), .text(own.description)])
        for row in rows {
            if try row.bool(1) { outlook.isCycle = true }
            if try !row.bool(2) { outlook.missing.append(Int(try row.int64(0)) - 1) }
        }
        return outlook
    }
}
