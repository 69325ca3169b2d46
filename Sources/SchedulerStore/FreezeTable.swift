package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Freezes, and the epoch that grows with each change of them.
package enum FreezeTable {
    static let columns =
        "id, namespace, target, from_at, until_at, mode, release_per_second, reason, actor, created_at"

    static let currentStatement = Statement(
        "freezes_current",
        """
        SELECT (SELECT epoch FROM scheduler.freeze_epoch), \(columns)
        FROM scheduler.freezes WHERE until_at > $1 ORDER BY from_at, id
        """, types: [.timestamptz], isReadOnly: true)

    /// The freezes that end after `instant`, those to come included.
    package static func current(
        endingAfter instant: Instant, on runner: some StatementRunner
    ) async throws -> [Freeze] {
        try await runner.query(currentStatement, [.instant(instant)]).map { try freeze(of: $0, from: 1) }
    }

    static let holdStatement = Statement("freezes_hold", "SELECT epoch FROM scheduler.freeze_epoch FOR SHARE")

    /// The freezes that hold at an instant; where there are any, none of them changes until the transaction ends. So whom
    /// it puts off because of them is seen by whoever ends them (``RetryTable/release(in:at:)``). Before any timer is
    /// locked: who changes a freeze locks timers after it.
    package static func holding(at now: Instant, in transaction: PostgresTransaction) async throws -> [Freeze] {
        guard try await current(endingAfter: now, on: transaction).contains(where: { $0.holds(at: now) }) else {
            return []
        }
        _ = try await transaction.query(holdStatement, [])
        return try await current(endingAfter: now, on: transaction).filter { $0.holds(at: now) }
    }

    static let findStatement = Statement(
        "freezes_find", "SELECT \(columns) FROM scheduler.freezes WHERE id = $1 FOR UPDATE", types: [.uuid])

    /// Finds one and locks it: no turn is given until the transaction ends.
    package static func find(_ id: FreezeID, in transaction: PostgresTransaction) async throws -> Freeze? {
        try await transaction.query(findStatement, [.uuid(id.uuid)]).first.map { try freeze(of: $0, from: 0) }
    }

    static let putStatement = Statement(
        "freezes_put",
        """
        INSERT INTO scheduler.freezes (\(columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (id) DO UPDATE SET namespace = excluded.namespace, target = excluded.target,
            from_at = excluded.from_at, until_at = excluded.until_at, mode = excluded.mode,
            release_per_second = excluded.release_per_second, reason = excluded.reason, actor = excluded.actor
        """,
        types: [
            .uuid, .text, .text, .timestamptz, .timestamptz, .text, .float8, .text, .text, .timestamptz,
        ])
    static let epochStatement = Statement("freezes_epoch", "UPDATE scheduler.freeze_epoch SET epoch = epoch + 1")

    /// Writes one; every claim that begins after the commit knows it. Followers that a freeze keeps waiting are looked at.
    package static func put(_ freeze: Freeze) -> [Call] {
        [
            putStatement(
                .uuid(freeze.id.uuid), .text(freeze.namespace?.description), .text(freeze.target?.description),
                .instant(freeze.from), .instant(freeze.until), .text(freeze.mode.rawValue),
                .float8(freeze.releasePerSecond), .text(freeze.reason), .text(freeze.actor),
                .instant(freeze.createdAt)),
            epochStatement(), ChainTable.goOn(),
        ]
    }

    static let turnsStatement = Statement(
        "freezes_turns",
        "UPDATE scheduler.freezes SET held = held + $2 WHERE id = $1 RETURNING held - $2, until_at, release_per_second",
        types: [.uuid, .int64])

    /// A run of turns after a freeze.
    package struct Turns: Sendable {
        let first: Int64
        let until: Instant
        let perSecond: Double

        /// When the turn of that number, from 0 on, is due.
        package func at(_ number: Int) -> Instant {
            until.adding(milliseconds: Int64(Double(first + Int64(number)) / perSecond * 1000))
        }
    }

    /// Takes the next `count` turns of a freeze: those who wait are released in this order.
    package static func takeTurns(
        _ count: Int, of id: FreezeID, in transaction: PostgresTransaction
    ) async throws -> Turns? {
        let rows = try await transaction.query(turnsStatement, [.uuid(id.uuid), .int64(Int64(count))])
        return try rows.first.map {
            Turns(first: try $0.int64(0), until: try $0.instant(1), perSecond: try $0.float8(2))
        }
    }

    /// Index `timers_due`. Turns keep their distances, of the rate they were given at ($4); who waits for something within
    /// the freeze is looked at now. More than what the freeze holds may be moved: that is looked at too, and goes back to its
    /// time. Messages that wait have no occurrence that their timer could stand at; who listens is few (index
    /// `schedules_listening`).
    static let advanceStatement = Statement(
        "freezes_advance_release",
        """
        WITH waiting AS (
            SELECT t.schedule_id FROM scheduler.timers t, scheduler.freezes f
            WHERE f.id = $1 AND t.next_fire_at > $3
                AND (t.resume_from IS NOT NULL OR t.schedule_id IN (
                    SELECT id FROM scheduler.schedules
                    WHERE schedule_type IN ('event', 'absence') AND state = 'active' AND schedule_type = 'event'))
                AND t.next_fire_at <= $2 + make_interval(secs => (f.held + 1) / $4)
            ORDER BY t.schedule_id FOR UPDATE OF t)
        UPDATE scheduler.timers t
        SET next_fire_at = CASE WHEN t.next_fire_at < $2 THEN $3 ELSE t.next_fire_at - ($2 - $3) END
        FROM waiting w WHERE t.schedule_id = w.schedule_id
        """, types: [.uuid, .timestamptz, .timestamptz, .float8])
    static let anewStatement = Statement(
        "freezes_turns_anew", "UPDATE scheduler.freezes SET held = 0 WHERE id = $1", types: [.uuid])

    /// Brings what a freeze holds forward, where it becomes another one (``Freeze/release(for:at:)``).
    package static func advanceRelease(_ before: Freeze, for next: Freeze, at now: Instant) -> [Call] {
        guard let release = before.release(for: next, at: now) else { return [] }
        let advance = advanceStatement(
            .uuid(before.id.uuid), .instant(before.until), .instant(release), .float8(before.releasePerSecond))
        return release > now ? [advance] : [advance, anewStatement(.uuid(before.id.uuid))]
    }

    static let claimantsStatement = claimants(
        "freezes_claimants",
        of: "scheduler.executions e", where: "e.id >= \(ClaimTable.openFrom) AND e.state = 'claimed'")
    static let commandedClaimantsStatement = claimants(
        "freezes_claimants_commanded", of: ClaimTable.commandedOpen, where: "true")

    /// What was due before, and has not gone out, would go out at any moment from $4 on. What was asked for by name is not
    /// held (`ClaimedKind`).
    private static func claimants(_ name: String, of executions: String, where isOpen: String) -> Statement {
        Statement(
            name,
            """
            SELECT DISTINCT e.claimed_by, s.namespace, s.target_command
            FROM \(executions) JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE \(isOpen) AND e.claimed_by IS NOT NULL
                AND (e.attempt > 1 OR e.origin IN ('time', 'event', 'after'))
                AND greatest(e.due_at, $4) >= $1 AND greatest(e.due_at, $4) < $2
                AND ($3::text IS NULL OR s.namespace = $3)
            """, types: [.timestamptz, .timestamptz, .text, .timestamptz], isReadOnly: true)
    }

    /// Who has claimed what a freeze holds.
    package static func claimants(
        of freeze: Freeze, at now: Instant, on runner: some StatementRunner
    ) async throws -> Set<InstanceID> {
        var claimants: Set<InstanceID> = []
        for statement in [claimantsStatement, commandedClaimantsStatement] {
            let rows = try await runner.query(
                statement,
                [
                    .instant(freeze.from), .instant(freeze.until), .text(freeze.namespace?.description),
                    .instant(now),
                ])
            for row in rows where freeze.concerns(namespace: try row.text(1), target: try row.text(2)) {
                claimants.insert(try row.instanceID(0))
            }
        }
        return claimants
    }

    static let forgetStatement = Statement(
        "freezes_forget", "DELETE FROM scheduler.freezes WHERE until_at < $1", types: [.timestamptz])

    /// Drops freezes that ended before an instant.
    package static func forget(before instant: Instant, on runner: some StatementRunner) async throws -> Int {
        try await runner.query(forgetStatement, [.instant(instant)]).affected
    }

    static func freeze(of row: PostgresRow, from first: Int) throws(PostgresError) -> Freeze {
        do {
            return Freeze(
                id: FreezeID(try row.uuidValue(first)),
                namespace: try row.textOrNil(first + 1).map { text throws(NameError) in try Namespace(text) },
                target: try row.textOrNil(first + 2).map { text throws(NameError) in try SubjectPattern(text) },
                from: try row.instant(first + 3), until: try row.instant(first + 4), mode: try row.choice(first + 5),
                releasePerSecond: try row.float8(first + 6), reason: try row.textOrNil(first + 7),
                actor: try row.textOrNil(first + 8), createdAt: try row.instant(first + 9))
        } catch let error as PostgresError {
            throw error
        } catch {
            throw PostgresError(.decoding, "a freeze's row cannot be read: \(error)")
        }
    }
}
