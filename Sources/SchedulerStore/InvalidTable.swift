package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Schedules that cannot fire any more: a revoked target, a zone that is gone.
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

    /// Parks a schedule whose timer the caller holds locked, and owes the event.
    package static func invalidate(
        _ timer: Timer, namespace: String, name: String, fault: String, at now: Instant
    ) -> [Call] {
        var entry = AuditEntry(at: now, namespace: namespace, action: "invalidated", fence: timer.fireSequence)
        entry.schedule = timer.schedule
        entry.name = name
        entry.version = timer.version
        entry.reason = fault
        return [
            invalidateStatement(.id(timer.schedule), .text(fault), .instant(now)),
            parkStatement(.id(timer.schedule), .instant(timer.resumeFrom), .int64(timer.fireSequence)),
            AuditTable.insert(entry),
        ]
    }
}
