package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Schedules that cannot fire: a revoked target, a payload that is no longer allowed, a zone that is gone, a row that
/// cannot be read.
///
/// What passes while one is invalid is not written down until it heals, is changed or is deleted: its timer keeps the
/// first occurrence that is not accounted for, and from there all is told at once as `skipped/target_revoked`, with one
/// range row where there are many.
package enum InvalidTable {
    static let invalidateStatement = Statement(
        "schedules_invalidate",
        """
        UPDATE scheduler.schedules SET state = 'invalid', pause_reason = $2, updated_at = $3
        WHERE id = $1 AND state = 'active'
        """, types: [.uuid, .text, .timestamptz])
    static let parkStatement = Statement(
        "timers_park",
        "UPDATE scheduler.timers SET next_fire_at = NULL, resume_from = $2, fire_seq = $3 WHERE schedule_id = $1",
        types: [.uuid, .timestamptz, .int64])

    /// Parks a timer that the caller holds locked, and marks its schedule; ``entry(_:names:fault:at:)`` tells of it.
    package static func invalidate(_ timer: Timer, fault: String, at now: Instant) -> [Call] {
        [
            invalidateStatement(.id(timer.schedule), .text(fault), .instant(now)),
            parkStatement(.id(timer.schedule), .instant(timer.resumeFrom), .int64(timer.fireSequence)),
        ]
    }

    package static func entry(
        _ timer: Timer, names: (namespace: String, name: String), fault: String, at now: Instant
    ) -> AuditEntry {
        var entry = AuditEntry(at: now, namespace: names.namespace, action: "invalidated", fence: timer.fireSequence)
        entry.schedule = timer.schedule
        entry.name = names.name
        entry.version = timer.version
        entry.reason = fault
        return entry
    }

    /// By the index `schedules_invalid`, which holds nothing but these: where there are none, the look costs nothing.
    package static let listStatement = Statement(
        "schedules_list_invalid",
        """
        SELECT \(ScheduleTable.columnList) FROM scheduler.schedules s
        WHERE s.state = 'invalid' AND s.id > $1 ORDER BY s.id LIMIT $2
        """, types: [.uuid, .int64], isReadOnly: true)

    /// A page of the invalid schedules, in the order of their ids. Those whose rows still cannot be read are left out.
    /// - Returns: the page, and where the next one begins; nil after the last.
    package static func list(
        after id: ScheduleID?, limit: Int, on runner: some StatementRunner
    ) async throws -> (schedules: [Schedule], next: ScheduleID?) {
        let rows = try await runner.query(
            listStatement, [.uuid(id?.uuid ?? UUIDValue(high: 0, low: 0)), .int64(Int64(limit))])
        let next = rows.count == limit ? try rows.last?.scheduleID(0) : nil
        return (try ScheduleTable.Fetched(rows).schedules, next)
    }

    static let healStatement = Statement(
        "schedules_heal",
        """
        UPDATE scheduler.schedules SET state = 'active', pause_reason = NULL, updated_at = $2
        WHERE id = $1 AND state = 'invalid'
        """, types: [.uuid, .timestamptz])

    /// Makes an invalid schedule active again; ``entry(healing:_:at:)`` tells of it. The caller holds timer and schedule
    /// locked.
    package static func heal(_ schedule: Schedule, _ timer: Timer, at now: Instant) -> [Call] {
        [
            healStatement(.id(schedule.id), .instant(now)),
            TimerTable.update(timer, priority: schedule.definition.priority),
        ]
    }

    /// The event is `updated`: of those that there are, the one that says that the schedule is another now.
    package static func entry(healing schedule: Schedule, _ timer: Timer, at now: Instant) -> AuditEntry {
        var entry = AuditEntry(
            at: now, namespace: schedule.namespace.description, action: "updated", fence: timer.fireSequence)
        entry.schedule = schedule.id
        entry.name = schedule.definition.name.description
        entry.version = schedule.version
        entry.reason = "valid again; it was invalid: \(schedule.pauseReason ?? "nobody said why")"
        return entry
    }
}
