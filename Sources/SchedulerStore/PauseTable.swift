import PostgresClient
package import Recurrence
package import SchedulerCore

/// Pauses that end by themselves.
package enum PauseTable {
    /// A pause whose end has come.
    package struct Ended: Sendable {
        package let schedule: ScheduleID
        package let namespace: Namespace
        package let until: Instant
    }

    /// Index `schedules_paused_until`, which holds nothing but these: where none has ended, the look costs nothing.
    static let endedStatement = Statement(
        "pauses_ended",
        """
        SELECT id, namespace, paused_until FROM scheduler.schedules
        WHERE state = 'paused' AND paused_until <= $1 AND (paused_until, id) > ($2, $3)
        ORDER BY paused_until, id LIMIT $4
        """, types: [.timestamptz, .timestamptz, .uuid, .int64], isReadOnly: true)

    /// A page of the pauses that ended by `now`, the earliest first, from behind the last of the page before.
    package static func ended(
        by now: Instant, after last: Ended?, limit: Int = 100, on runner: some StatementRunner
    ) async throws -> [Ended] {
        let start = last?.until ?? ScheduleKey.times.lowerBound
        let id = last?.schedule.uuid ?? UUIDValue(high: 0, low: 0)
        var ended: [Ended] = []
        for row in try await runner.query(
            endedStatement, [.instant(now), .instant(start), .uuid(id), .int64(Int64(limit))])
        {
            // One whose namespace cannot be read belongs to nobody who could have paused it.
            guard let namespace = try? Namespace(try row.text(1)) else { continue }
            ended.append(Ended(schedule: try row.scheduleID(0), namespace: namespace, until: try row.instant(2)))
        }
        return ended
    }
}
