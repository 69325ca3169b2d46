package import PostgresClient
package import Recurrence
package import SchedulerCore

/// What a narrower allow-list concerns: schedules that may have lost their target, and what is claimed of them.
package enum RevocationTable {
    static let listStatement = Statement(
        "revocations_list", "SELECT id, at, namespace, subject FROM scheduler.revocations ORDER BY id",
        isReadOnly: true)

    package struct Revocation: Hashable, Sendable {
        package let id: Int64
        package let at: Instant
        /// Nil where the row names nobody.
        package let scope: TargetScope?
    }

    package static func list(on runner: some StatementRunner) async throws -> [Revocation] {
        try await runner.query(listStatement, []).map {
            Revocation(
                id: try $0.int64(0), at: try $0.instant(1),
                scope: TargetTable.scope(try $0.text(2), try $0.text(3)))
        }
    }

    static let forgetStatement = Statement(
        "revocations_forget", "DELETE FROM scheduler.revocations WHERE at < $1", types: [.timestamptz])

    package static func forget(before instant: Instant, on runner: some StatementRunner) async throws {
        _ = try await runner.query(forgetStatement, [.instant(instant)])
    }

    /// Index `schedules_target`, in its order: the stretch of subjects that begin as the pattern does.
    static let pageStatement = Statement(
        "schedules_of_target",
        """
        SELECT id, namespace, target_command FROM scheduler.schedules
        WHERE state = 'active' AND target_command COLLATE "C" >= $1 AND target_command COLLATE "C" <= $2
            AND (target_command COLLATE "C", id) > ($3, $4)
        ORDER BY target_command COLLATE "C", id LIMIT $5
        """, types: [.text, .text, .text, .uuid, .int64], isReadOnly: true)

    /// Where a page ended.
    package struct Cursor: Hashable, Sendable {
        fileprivate let target: String
        fileprivate let id: ScheduleID
    }

    /// A page of the active schedules whose targets a scope has.
    /// - Returns: the schedules, and where the next page begins; nil after the last.
    package static func page(
        of scope: TargetScope, after cursor: Cursor?, limit: Int, on runner: some StatementRunner
    ) async throws -> (schedules: [ScheduleID], next: Cursor?) {
        let (lower, upper) = bounds(scope)
        let rows = try await runner.query(
            pageStatement,
            [
                .text(lower), .text(upper), .text(cursor?.target ?? ""),
                .uuid(cursor?.id.uuid ?? UUIDValue(high: 0, low: 0)), .int64(Int64(limit)),
            ])
        var schedules: [ScheduleID] = []
        var last: Cursor?
        for row in rows {
            let (id, target) = (try row.scheduleID(0), try row.text(2))
            if scope.concerns(namespace: try row.text(1), target: target) { schedules.append(id) }
            last = Cursor(target: target, id: id)
        }
        return (schedules, rows.count == limit ? last : nil)
    }

    /// Targets are printable ASCII: none sorts behind a DEL.
    private static func bounds(_ scope: TargetScope) -> (String, String) {
        let prefix = scope.subject.literalPrefix
        return (prefix, scope.subject.isLiteral ? prefix : prefix + "\u{7F}")
    }

    static let lockStatement = Statement(
        "timers_lock_free_whole",
        """
        SELECT schedule_id, next_fire_at, resume_from, fire_seq, run_count, version, generation
        FROM scheduler.timers WHERE schedule_id = ANY ($1::uuid[]) ORDER BY schedule_id FOR UPDATE SKIP LOCKED
        """, types: [.uuidArray])

    /// Locks the timers that nobody else holds, in the order in which everybody locks them.
    package static func lockFree(
        _ ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> [ScheduleID: Timer] {
        var timers: [ScheduleID: Timer] = [:]
        for row in try await transaction.query(lockStatement, [.ids(ids)]) {
            if let timer = try TimerTable.timer(of: row) { timers[timer.schedule] = timer }
        }
        return timers
    }

    static let claimedStatement = Statement(
        "executions_of_target",
        """
        SELECT e.id, e.schedule_id, e.claimed_by, \(canEnd), s.namespace, s.target_command
        FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
        WHERE e.id >= \(ClaimTable.openFrom) AND e.state = 'claimed' AND e.claimed_by IS NOT NULL
            AND \(isOfTarget)
        ORDER BY NOT \(canEnd), e.id LIMIT $4
        """, types: [.text, .text, .text, .int64], isReadOnly: true)
    static let commandedStatement = Statement(
        "executions_of_target_commanded",
        """
        SELECT e.id, e.schedule_id, e.claimed_by, \(canEnd), s.namespace, s.target_command
        FROM \(ClaimTable.commandedOpen) JOIN scheduler.schedules s ON s.id = e.schedule_id
        WHERE e.claimed_by IS NOT NULL AND \(isOfTarget)
        ORDER BY NOT \(canEnd), e.id LIMIT $4
        """, types: [.text, .text, .text, .int64], isReadOnly: true)
    private static let canEnd = "(e.origin <> 'manual' OR e.attempt > 1)"
    private static let isOfTarget = """
        ($1::text IS NULL OR s.namespace = $1)
            AND s.target_command COLLATE "C" >= $2 AND s.target_command COLLATE "C" <= $3
        """

    /// An execution that is claimed, and not yet recorded.
    package struct Claimed: Hashable, Sendable {
        package let id: ExecutionID
        package let schedule: ScheduleID
        package let claimant: InstanceID
        /// Its claimant gives it back, or ends it; what somebody triggered goes out.
        package let canEnd: Bool
    }

    /// What is claimed of the targets that a scope has.
    package static func claimed(
        of scope: TargetScope, limit: Int, on runner: some StatementRunner
    ) async throws -> [Claimed] {
        let (lower, upper) = bounds(scope)
        var claimed: Set<Claimed> = []
        for statement in [claimedStatement, commandedStatement] {
            let rows = try await runner.query(
                statement, [.text(scope.namespace?.description), .text(lower), .text(upper), .int64(Int64(limit))])
            for row in rows where scope.concerns(namespace: try row.text(4), target: try row.text(5)) {
                claimed.insert(
                    Claimed(
                        id: try row.executionID(0), schedule: try row.scheduleID(1), claimant: try row.instanceID(2),
                        canEnd: try row.bool(3)))
            }
        }
        return claimed.sorted { $0.id < $1.id }
    }
}
