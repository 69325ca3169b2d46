package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Which zone data the timers were computed from, and the timers of zoned schedules.
package enum ZoneDataTable {
    /// The zone data of a machine, as far as they tell one release from another.
    package struct Release: Hashable, Sendable {
        package let fingerprint: UInt64
        /// Such as `2026a`; nil where the data do not tell.
        package let version: String?

        package init(fingerprint: UInt64, version: String?) {
            self.fingerprint = fingerprint
            self.version = version
        }
    }

    static let fetchStatement = Statement(
        "zone_data_fetch", "SELECT fingerprint, version FROM scheduler.zone_data", isReadOnly: true)

    /// The release that was stored last.
    package static func fetch(on runner: some StatementRunner) async throws -> Release? {
        try await runner.query(fetchStatement, []).first.map { row in
            Release(fingerprint: UInt64(bitPattern: try row.int64(0)), version: try row.textOrNil(1))
        }
    }

    static let storeStatement = Statement(
        "zone_data_store",
        """
        INSERT INTO scheduler.zone_data AS z (fingerprint, version, changed_at) VALUES ($1, $2, $3)
        ON CONFLICT (only_row) DO UPDATE
            SET fingerprint = excluded.fingerprint, version = excluded.version, changed_at = excluded.changed_at
            WHERE z.fingerprint <> excluded.fingerprint OR z.version IS DISTINCT FROM excluded.version
        """, types: [.int64, .text, .timestamptz])

    /// - Returns: whether it was another release than the stored one: of several instances that notice the same change,
    ///   one is told so.
    package static func store(_ release: Release, at now: Instant, on runner: some StatementRunner) async throws -> Bool
    {
        let values: [PostgresValue] = [
            .int64(Int64(bitPattern: release.fingerprint)), .text(release.version), .instant(now),
        ]
        return try await runner.query(storeStatement, values).affected == 1
    }
}

// MARK: - Zoned schedules and their timers

extension ZoneDataTable {
    /// One page of all schedules, along the key, with those marked whose timers follow one of the zones.
    static let zonedStatement = Statement(
        "schedules_zoned",
        """
        SELECT id, state = 'active'
            AND (schedule_type IN ('cron', 'rrule') OR coalesce(only_on, not_on) IS NOT NULL OR windows IS NOT NULL)
            AND dst_policy <> 'utc' AND timezone <> 'UTC'
            AND ($2::text[] IS NULL OR timezone = ANY ($2))
        FROM scheduler.schedules WHERE id > $1 ORDER BY id LIMIT $3
        """, types: [.uuid, .textArray, .int64], isReadOnly: true)

    /// One page of schedules that were looked at.
    package struct Page: Sendable {
        /// Those whose timers follow one of the zones.
        package var zoned: [ScheduleID] = []
        /// Where the next page begins; nil where there is none.
        package var next: ScheduleID?
    }

    /// - Parameter zones: nil for all.
    package static func zoned(
        _ zones: Set<String>?, after cursor: ScheduleID?, limit: Int, on runner: some StatementRunner
    ) async throws -> Page {
        let rows = try await runner.query(
            zonedStatement,
            [
                .uuid(cursor?.uuid ?? UUIDValue(high: 0, low: 0)), .optional(zones) { .texts($0.sorted()) },
                .int64(Int64(limit)),
            ])
        var page = Page()
        for row in rows {
            page.next = try row.scheduleID(0)
            if try row.bool(1), let id = page.next { page.zoned.append(id) }
        }
        return page
    }

    /// Locks the timers that nobody else holds, in the order in which everybody locks them.
    static let lockStatement = Statement(
        "timers_lock_free",
        """
        SELECT schedule_id, next_fire_at FROM scheduler.timers WHERE schedule_id = ANY ($1::uuid[])
        ORDER BY schedule_id FOR UPDATE SKIP LOCKED
        """, types: [.uuidArray])

    /// - Returns: the timers that are locked now until the transaction ends; nil for one that waits for nothing.
    package static func lock(
        _ ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> [ScheduleID: Instant?] {
        var timers: [ScheduleID: Instant?] = [:]
        for row in try await transaction.query(lockStatement, [.ids(ids)]) {
            timers[try row.scheduleID(0)] = .some(try row.instantOrNil(1))
        }
        return timers
    }

    static let claimedStatement = Statement(
        "executions_last_claimed",
        """
        SELECT u.id, e.scheduled_for FROM unnest($1::uuid[]) AS u (id)
        CROSS JOIN LATERAL (
            SELECT scheduled_for FROM scheduler.executions
            WHERE schedule_id = u.id AND id >= \(ClaimTable.openFrom) AND state = 'claimed' AND origin = 'time'
            ORDER BY id DESC LIMIT 1) e
        """, types: [.uuidArray], isReadOnly: true)

    /// The nominal instants of the latest occurrences that are claimed and not ended. The caller holds the timers' locks.
    package static func lastClaimed(
        of ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> [ScheduleID: Instant] {
        var claimed: [ScheduleID: Instant] = [:]
        for row in try await transaction.query(claimedStatement, [.ids(ids)]) {
            claimed[try row.scheduleID(0)] = try row.instant(1)
        }
        return claimed
    }

    static let moveStatement = Statement(
        "timers_move",
        """
        UPDATE scheduler.timers t SET next_fire_at = u.next_fire_at
        FROM unnest($1::uuid[], $2::timestamptz[]) AS u (schedule_id, next_fire_at)
        WHERE t.schedule_id = u.schedule_id
        """)

    /// Moves timers. The caller holds their locks.
    package static func move(_ timers: [(id: ScheduleID, nextFireAt: Instant?)]) -> Call {
        moveStatement(.uuids(timers, \.id.uuid), .instants(timers, \.nextFireAt))
    }
}
