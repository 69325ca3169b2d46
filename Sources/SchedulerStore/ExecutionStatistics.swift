import PostgresClient
package import Recurrence
package import SchedulerCore

/// Counts and quantiles over the ledger of a stretch of time: exact, and as long as the stretch is large.
package struct ExecutionStatistics: Sendable {
    /// Lateness of what was delivered, in milliseconds.
    package struct Lateness: Hashable, Sendable {
        package let median: Int64
        package let p90: Int64
        package let p99: Int64
        package let most: Int64
    }

    /// Occurrences by their state; those of a range count each.
    package private(set) var states: [ExecutionState: Int64] = [:]
    /// Skipped ones by their reason.
    package private(set) var skipped: [(reason: String, count: Int64)] = []
    package private(set) var triggers: [(trigger: String, count: Int64)] = []
    /// Nil where nothing was delivered.
    package private(set) var lateness: Lateness?

    package var total: Int64 { states.values.reduce(0, +) }

    /// Delivered among those that were to be delivered and ended; nil where there are none.
    package var successRate: Double? {
        let (good, bad) = (states[.delivered] ?? 0, states[.dead] ?? 0)
        return good + bad == 0 ? nil : Double(good) / Double(good + bad)
    }

    private static func statement(_ name: String, _ condition: String) -> Statement {
        Statement(
            "executions_statistics_\(name)",
            """
            SELECT grouping(e.state), grouping(e.trigger), e.state, e.reason, e.trigger, sum(e.range_count)::bigint,
                percentile_disc(0.5) WITHIN GROUP (ORDER BY e.late), percentile_disc(0.9) WITHIN GROUP (ORDER BY e.late),
                percentile_disc(0.99) WITHIN GROUP (ORDER BY e.late), max(e.late)
            FROM scheduler.schedules s
            CROSS JOIN LATERAL (
                SELECT state, CASE WHEN state = 'skipped' THEN reason END AS reason, trigger, range_count,
                    CASE WHEN state = 'delivered'
                        THEN (extract(epoch FROM fired_at - due_at) * 1000)::bigint END AS late
                FROM scheduler.executions
                WHERE \(ExecutionList.ofSchedule("s.id", from: "$2", before: "$3"))) e
            WHERE s.namespace = $1\(condition)
            GROUP BY GROUPING SETS ((e.state, e.reason), (e.trigger), ())
            """, types: [.text, .uuid, .uuid] + (condition.isEmpty ? [] : [.uuid]), isReadOnly: true)
    }

    /// Each schedule's stretch on `executions_schedule`.
    static let ofNamespace = statement("namespace", "")
    static let ofSchedule = statement("schedule", " AND s.id = $4")

    /// - Parameter schedule: nil for all of the namespace.
    package static func of(
        _ schedule: ScheduleID?, in namespace: Namespace, from: Instant, through: Instant,
        on runner: some StatementRunner
    ) async throws -> ExecutionStatistics {
        let values: [PostgresValue] = [
            .text(namespace.description), .uuid(.lowest(at: from)),
            .uuid(.lowest(at: through.adding(milliseconds: 1))),
        ]
        var statistics = ExecutionStatistics()
        let statement = schedule == nil ? ofNamespace : ofSchedule
        for row in try await runner.query(statement, values + (schedule.map { [.id($0)] } ?? [])) {
            try statistics.add(row)
        }
        statistics.skipped.sort { $0.reason < $1.reason }
        statistics.triggers.sort { $0.trigger < $1.trigger }
        return statistics
    }

    private mutating func add(_ row: PostgresRow) throws(PostgresError) {
        let (isByState, isByTrigger) = (try row.int32(0) == 0, try row.int32(1) == 0)
        let count = try row.int64OrNil(5) ?? 0
        if isByState {
            let state: ExecutionState = try row.choice(2)
            states[state, default: 0] += count
            if let reason = try row.textOrNil(3) { skipped.append((reason, count)) }
        } else if isByTrigger {
            triggers.append((try row.text(4), count))
        } else if let most = try row.int64OrNil(9) {
            lateness = Lateness(
                median: try row.int64(6), p90: try row.int64(7), p99: try row.int64(8), most: most)
        }
    }
}
