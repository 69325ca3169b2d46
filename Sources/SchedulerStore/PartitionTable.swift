package import PostgresClient
package import Recurrence
import SchedulerCore

/// The executions' partitions: one a day (UTC), made ahead, dropped when their day is past the retention.
package enum PartitionTable {
    /// How many days ahead partitions are kept.
    package static let daysAhead = 7
    /// Below this many days the instance is not ready.
    package static let leastDaysAhead = 2
    package static let day: Int64 = 86_400_000

    static let ensureStatement = Statement(
        "partitions_ensure", "SELECT scheduler.ensure_executions_partition($1)", types: [.timestamptz])

    /// Makes the partitions from yesterday to ``daysAhead`` days ahead that are missing; each in a transaction of its
    /// own. - Returns: how many were made.
    package static func ensure(now: Instant, on runner: some StatementRunner) async throws -> Int {
        var made = 0
        let today = dayStart(of: now)
        for offset in -1...daysAhead {
            let start = today.adding(milliseconds: Int64(offset) * day)
            if try await runner.query(ensureStatement, [.instant(start)]).first?.bool(0) == true { made += 1 }
        }
        return made
    }

    static let listStatement = Statement(
        "partitions_list",
        """
        SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'scheduler.executions'::regclass AND c.relname ~ '^executions_[0-9]{8}$'
        ORDER BY 1
        """, isReadOnly: true)

    /// The days that have partitions, as `YYYYMMDD`, in order.
    package static func days(on runner: some StatementRunner) async throws -> [String] {
        try await runner.query(listStatement, []).map { String(try $0.text(0).dropFirst("executions_".count)) }
    }

    /// How many days after today have a partition, without a gap.
    package static func daysReady(now: Instant, on runner: some StatementRunner) async throws -> Int {
        let days = Set(try await days(on: runner))
        let today = dayStart(of: now)
        var ready = 0
        while days.contains(name(of: today.adding(milliseconds: Int64(ready + 1) * day))) { ready += 1 }
        return days.contains(name(of: today)) ? ready : 0
    }

    static let openBeforeStatement = Statement(
        "partitions_open_before",
        "SELECT EXISTS (SELECT 1 FROM scheduler.executions WHERE id >= $1 AND id < $2 AND state = 'claimed')",
        types: [.uuid, .uuid], isReadOnly: true)

    /// Drops the partitions of days before `instant` that hold no open execution, oldest first, and clears the default
    /// partition of as old rows. A drop locks the parent for a moment; it waits a second at most for its turn.
    /// - Returns: the days dropped.
    package static func drop(before instant: Instant, on connection: PostgresConnection) async throws -> [String] {
        var dropped: [String] = []
        for day in try await days(on: connection) where day < name(of: instant) {
            guard let start = dayStart(named: day) else { continue }
            let bounds = [start, start.adding(milliseconds: Self.day)].map { PostgresValue.uuid(.lowest(at: $0)) }
            if try await connection.query(openBeforeStatement, bounds).first?.bool(0) == true { continue }
            // The name is ours: eight digits, checked above.
            try await connection.execute(
                script: """
                    SET lock_timeout = '1s';
                    DROP TABLE scheduler.executions_\(day);
                    RESET lock_timeout
                    """)
            dropped.append(day)
        }
        _ = try await connection.query(clearDefaultStatement, [.uuid(.lowest(at: instant))])
        return dropped
    }

    static let clearDefaultStatement = Statement(
        "partitions_clear_default",
        "DELETE FROM scheduler.executions_default WHERE id < $1 AND state <> 'claimed'", types: [.uuid])

    static let forgetSchedulesStatement = Statement(
        "schedules_forget",
        """
        WITH gone AS (
            DELETE FROM scheduler.schedules WHERE id IN (
                SELECT id FROM scheduler.schedules WHERE ended_at < $1 LIMIT 1000)
            RETURNING id)
        DELETE FROM scheduler.timers t USING gone WHERE t.schedule_id = gone.id
        """, types: [.timestamptz])

    /// Forgets schedules that ended before `instant`: their history is gone. - Returns: how many, at most 1000.
    package static func forgetEndedSchedules(
        before instant: Instant, on runner: some StatementRunner
    ) async throws -> Int {
        try await runner.query(forgetSchedulesStatement, [.instant(instant)]).affected
    }

    package static func dayStart(of instant: Instant) -> Instant {
        let days = (Double(instant.milliseconds) / Double(day)).rounded(.down)
        return Instant(milliseconds: Int64(days) * day)
    }

    static func name(of instant: Instant) -> String {
        String(instant.rfc3339.prefix(10).filter { $0 != "-" })
    }

    private static func dayStart(named day: String) -> Instant? {
        guard day.count == 8 else { return nil }
        let text = "\(day.prefix(4))-\(day.dropFirst(4).prefix(2))-\(day.suffix(2))T00:00:00Z"
        return Instant(rfc3339: text)
    }
}
