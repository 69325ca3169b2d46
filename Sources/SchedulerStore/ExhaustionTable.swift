package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Schedules that have fired their last: state, audit and counters, all in the transaction that records the fire.
package enum ExhaustionTable {
    /// Joins `claimed.found` and `living.found`: a lookup for each schedule `s`, of what is claimed and of what is open
    /// beyond that. With EXISTS the planner may read all executions once instead. Index `runs_schedule`.
    private static func openLookup(where isAsked: String = "") -> String {
        """
        LEFT JOIN LATERAL (
            (SELECT 1 AS found FROM scheduler.executions e
             WHERE \(isAsked)e.schedule_id = s.id AND e.id >= \(ClaimTable.openFrom) AND e.state = 'claimed' LIMIT 1)
            UNION ALL (SELECT 1 FROM \(ClaimTable.commandedOpen)
                       WHERE \(isAsked)e.schedule_id = s.id AND \(ClaimTable.isOwn) LIMIT 1)
            LIMIT 1) claimed ON true
        LEFT JOIN LATERAL (
            SELECT 1 AS found FROM scheduler.runs r WHERE r.schedule_id = s.id
            UNION ALL SELECT 1 FROM scheduler.buffered b WHERE b.schedule_id = s.id LIMIT 1) living ON true
        """
    }

    /// Exhausts those of $1 that are active, have no timer to come and no open execution; with `delete_when_exhausted`
    /// they are deleted. One statement, so that the record transaction gains no round trip by it.
    ///
    /// An open execution keeps the schedule active until it ends. What is over follows nobody any more: its links go with
    /// it, after the namespaces' locks, as everybody takes them. Namespaces are locked in the order of their names: two
    /// of these at once, each with schedules of several, would wait for each other otherwise.
    private static func exhaust(_ name: String, where isAsked: String) -> Statement {
        Statement(
            name,
            """
            WITH candidate AS (
                SELECT s.id FROM scheduler.timers t JOIN scheduler.schedules s ON s.id = t.schedule_id
                \(openLookup(where: isAsked))
                WHERE t.schedule_id = ANY ($1::uuid[]) AND t.next_fire_at IS NULL AND s.state = 'active'
                    AND claimed.found IS NULL AND living.found IS NULL),
            ended AS (
                UPDATE scheduler.schedules s
                SET state = CASE WHEN s.delete_when_exhausted THEN 'deleted' ELSE 'exhausted' END, ended_at = $2
                FROM candidate WHERE s.id = candidate.id
                RETURNING s.id, s.namespace, s.name, s.version, s.state, s.after IS NOT NULL AS follows),
            fenced AS (
                UPDATE scheduler.timers t SET fire_seq = t.fire_seq + 1 FROM ended WHERE t.schedule_id = ended.id
                RETURNING t.schedule_id, t.fire_seq, ended.version, ended.namespace, ended.name),
            locked AS (
                SELECT n.namespace, e.number FROM scheduler.namespaces n
                JOIN (SELECT namespace, count(*) AS number FROM ended GROUP BY namespace) e USING (namespace)
                ORDER BY n.namespace FOR UPDATE OF n),
            counted AS (
                UPDATE scheduler.namespaces n SET schedule_count = greatest(0, n.schedule_count - l.number)
                FROM locked l WHERE n.namespace = l.namespace
                RETURNING 1),
            following AS MATERIALIZED (
                SELECT id FROM ended WHERE follows AND (SELECT count(*) FROM counted) >= 0),
            unlinked AS (DELETE FROM scheduler.links l USING following f WHERE l.downstream = f.id),
            unarrived AS (DELETE FROM scheduler.arrivals a USING following f WHERE a.downstream = f.id),
            untold AS (DELETE FROM scheduler.ended_upstreams u USING following f WHERE u.downstream = f.id),
            entry AS (
                INSERT INTO scheduler.audit_log (at, schedule_id, fence, version, namespace, name, action)
                SELECT $2, f.schedule_id, f.fire_seq, f.version, f.namespace, f.name, 'exhausted' FROM fenced f
                RETURNING id, at, schedule_id, fence, version, namespace, name),
            owed AS (INSERT INTO scheduler.outbox (audit_id, at) SELECT id, at FROM entry)
            SELECT id, at, schedule_id, fence, version, namespace, name FROM entry
            """, types: [.uuidArray, .timestamptz])
    }

    /// For the record: a one-shot's only execution has just ended, nobody need look for others.
    static let exhaustStatement = exhaust(
        "schedules_exhaust", where: "s.schedule_type NOT IN ('once', 'immediate') AND ")
    /// For everybody else.
    static let exhaustIdleStatement = exhaust("schedules_exhaust_idle", where: "")

    /// Timers first, then schedules, both in the order of their ids, as commands lock them: no deadlock.
    static let lockStatement = Statement(
        "timers_lock_many",
        "SELECT 1 FROM scheduler.timers WHERE schedule_id = ANY ($1::uuid[]) ORDER BY schedule_id FOR UPDATE",
        types: [.uuidArray])

    /// Locks the timers of schedules that may be exhausted; before anything else of the transaction is written.
    package static func lock(_ ids: [ScheduleID]) -> Call { lockStatement(.ids(ids)) }

    /// For schedules whose last execution this transaction ends.
    /// - Parameter ids: their timers are locked.
    package static func exhaust(_ ids: [ScheduleID], at now: Instant) -> Call {
        exhaustStatement(.ids(ids), .instant(now))
    }

    /// For schedules that may be over; whatever has an open execution is left alone.
    /// - Parameter ids: their timers are locked.
    package static func exhaustIdle(_ ids: [ScheduleID], at now: Instant) -> Call {
        exhaustIdleStatement(.ids(ids), .instant(now))
    }

    /// Active schedules without a time to come, in a page of all schedules by their key: an index on the hot timers for
    /// this would cost every fire, the walk costs a few seconds an hour for a million.
    static let overStatement = Statement(
        "schedules_over",
        """
        WITH page AS MATERIALIZED (
            SELECT s.id, s.state FROM scheduler.schedules s WHERE s.id > $1 ORDER BY s.id LIMIT $2)
        SELECT (SELECT id FROM page ORDER BY id DESC LIMIT 1),
            ARRAY(SELECT p.id FROM page p JOIN scheduler.timers t ON t.schedule_id = p.id
                  WHERE p.state = 'active' AND t.next_fire_at IS NULL ORDER BY p.id)
        """, types: [.uuid, .int64], isReadOnly: true)

    /// Looks through a page of schedules.
    /// - Returns: those that may be over, and where the next page begins; nil after the last.
    package static func over(
        after id: ScheduleID?, limit: Int, on runner: some StatementRunner
    ) async throws -> (ids: [ScheduleID], next: ScheduleID?) {
        let rows = try await runner.query(
            overStatement, [.uuid(id?.uuid ?? UUIDValue(high: 0, low: 0)), .int64(Int64(limit))])
        guard let row = rows.first, !row.isNull(0) else { return ([], nil) }
        let ids = try row.uuidArray(1).map { ScheduleID(UUIDValue(high: $0.high, low: $0.low)) }
        return (ids, try row.scheduleID(0))
    }

    static let amongStatement = Statement(
        "schedules_over_among",
        """
        SELECT s.id, coalesce(claimed.found, living.found) IS NOT NULL
        FROM scheduler.timers t JOIN scheduler.schedules s ON s.id = t.schedule_id
        \(openLookup())
        WHERE t.schedule_id = ANY ($1::uuid[]) AND t.next_fire_at IS NULL AND s.state = 'active'
        """, types: [.uuidArray], isReadOnly: true)

    /// Those of `ids` that have nothing to come: with nothing open either, and with something open still.
    package static func over(
        among ids: [ScheduleID], on runner: some StatementRunner
    ) async throws -> (idle: [ScheduleID], busy: [ScheduleID]) {
        var found: (idle: [ScheduleID], busy: [ScheduleID]) = ([], [])
        for row in try await runner.query(amongStatement, [.ids(ids)]) {
            if try row.bool(1) {
                found.busy.append(try row.scheduleID(0))
            } else {
                found.idle.append(try row.scheduleID(0))
            }
        }
        return found
    }

    /// The entries that an exhausting call wrote, to be told.
    package static func entries(of rows: PostgresRows) throws(PostgresError) -> [(id: Int64, entry: AuditEntry)] {
        var entries: [(Int64, AuditEntry)] = []
        for row in rows {
            var entry = AuditEntry(
                at: try row.instant(1), namespace: try row.text(5), action: "exhausted", fence: try row.int64(3))
            entry.schedule = try row.scheduleID(2)
            entry.version = try row.int64(4)
            entry.name = try row.text(6)
            entries.append((try row.int64(0), entry))
        }
        return entries
    }
}
