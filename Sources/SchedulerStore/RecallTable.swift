package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Recall: a command takes back what is claimed and not yet handed to NATS (engine.md, *The idea*).
///
/// The command's transaction marks the rows and changes the timer; the claimant, once asked, deletes the rows that it
/// had not sent. Both lock the timer first, then rows: one order, no deadlock.
package enum RecallTable {
    /// A claimed execution that was marked.
    package struct Marked: Hashable, Sendable {
        package let id: ExecutionID
        package let schedule: ScheduleID
        package let claimant: InstanceID
        package let dueAt: Instant
    }

    static let markStatement = Statement(
        "executions_mark_recalled",
        """
        UPDATE scheduler.executions SET recalled = true
        WHERE schedule_id = ANY ($1::uuid[]) AND id >= \(ClaimTable.openFrom) AND state = 'claimed'
        RETURNING id, claimed_by, due_at, schedule_id
        """, types: [.uuidArray])

    static let markCommandedStatement = Statement(
        "executions_mark_recalled_commanded",
        """
        UPDATE scheduler.executions SET recalled = true
        WHERE id = ANY (ARRAY(SELECT e.id FROM \(ClaimTable.commandedOpen) WHERE e.schedule_id = ANY ($1::uuid[])))
            AND state = 'claimed'
        RETURNING id, claimed_by, due_at, schedule_id
        """, types: [.uuidArray])

    /// Marks what is claimed of a schedule. The caller holds the timer's lock, so nothing is being claimed meanwhile.
    package static func mark(
        _ schedule: ScheduleID, in transaction: PostgresTransaction
    ) async throws -> [Marked] {
        try await mark([schedule], in: transaction)
    }

    /// The same of many schedules.
    package static func mark(
        _ schedules: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> [Marked] {
        var marked: Set<Marked> = []
        for statement in [markStatement, markCommandedStatement] {
            for row in try await transaction.query(statement, [.ids(schedules)]) {
                marked.insert(
                    Marked(
                        id: try row.executionID(0), schedule: try row.scheduleID(3), claimant: try row.instanceID(1),
                        dueAt: try row.instant(2)))
            }
        }
        return Array(marked)
    }

    static let giveBackStatement = Statement(
        "executions_give_back",
        """
        DELETE FROM scheduler.executions
        WHERE id = ANY ($1::uuid[]) AND state = 'claimed' AND claimed_by = $2
        RETURNING id, payload
        """, types: [.uuidArray, .uuid])

    /// Deletes rows of what was never claimed.
    /// - Returns: those that were there, each with what it would have sent in place of its schedule's payload.
    package static func giveBack(
        _ ids: some Collection<ExecutionID>, of instance: InstanceID, in transaction: PostgresTransaction
    ) async throws -> [ExecutionID: [UInt8]?] {
        var given: [ExecutionID: [UInt8]?] = [:]
        for row in try await transaction.query(giveBackStatement, [.ids(ids), .id(instance)]) {
            given.updateValue(try row.jsonOrNil(1), forKey: try row.executionID(0))
        }
        return given
    }

    static let refreshStatement = Statement(
        "executions_refresh",
        """
        UPDATE scheduler.executions SET recalled = false, schedule_version = $3
        WHERE id = ANY ($1::uuid[]) AND state = 'claimed' AND claimed_by = $2
        RETURNING id
        """, types: [.uuidArray, .uuid, .int64])

    /// Keeps what was taken back under a schedule's new version: its time did not change, so neither timer nor counter
    /// moves. - Returns: what this instance still holds.
    package static func refresh(
        _ ids: some Collection<ExecutionID>, of instance: InstanceID, version: Int64,
        in transaction: PostgresTransaction
    ) async throws -> Set<ExecutionID> {
        var kept: Set<ExecutionID> = []
        for row in try await transaction.query(refreshStatement, [.ids(ids), .id(instance), .int64(version)]) {
            kept.insert(try row.executionID(0))
        }
        return kept
    }

    static let openStatement = Statement(
        "executions_still_open",
        "SELECT id FROM scheduler.executions WHERE id = ANY ($1::uuid[]) AND state = 'claimed' AND recalled",
        types: [.uuidArray], isReadOnly: true)

    /// Those of `ids` that are still claimed as they were when they were marked.
    package static func stillOpen(
        _ ids: [ExecutionID], on runner: some StatementRunner
    ) async throws -> [ExecutionID] {
        var open: [ExecutionID] = []
        for row in try await runner.query(openStatement, [.ids(ids)]) { open.append(try row.executionID(0)) }
        return open
    }

    static let isOpenStatement = Statement(
        "executions_is_open",
        """
        SELECT EXISTS (SELECT 1 FROM scheduler.executions
                       WHERE schedule_id = $1 AND id >= \(ClaimTable.openFrom) AND state = 'claimed')
            OR EXISTS (SELECT 1 FROM \(ClaimTable.commandedOpen)
                       WHERE e.schedule_id = $1 AND \(ClaimTable.isOwn))
            OR EXISTS (SELECT 1 FROM scheduler.runs WHERE schedule_id = $1)
        """, types: [.uuid], isReadOnly: true)

    /// Whether anything of a schedule is open: claimed, with its worker, or waiting for a retry. What commands opened for
    /// past times counts for nothing that it still has to do.
    package static func isOpen(
        _ schedule: ScheduleID, in transaction: PostgresTransaction
    ) async throws -> Bool {
        return try await transaction.query(isOpenStatement, [.id(schedule)]).first?.bool(0) ?? false
    }
}
