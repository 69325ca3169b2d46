import PostgresClient
package import Recurrence
package import SchedulerCore

/// Counts and quantiles over the ledger of a stretch of time: exact, over as many rows as can be looked at in a moment.
/// A stretch that has more is looked at from a later instant on, and says so.
package struct ExecutionStatistics: Sendable {
    /// How occurrences ended; `open` have not.
    package enum Outcome: String, Sendable, CaseIterable {
        case open, delivered, succeeded, dead, skipped, cancelled
    }

    /// In milliseconds.
    package struct Quantiles: Hashable, Sendable {
        package let median: Int64
        package let p90: Int64
        package let p99: Int64
        package let most: Int64
    }

    /// What is counted.
    package struct Question: Hashable, Sendable {
        package var namespace: Namespace
        /// Nil for all that the other conditions leave.
        package var schedule: ScheduleID?
        /// Schedules with this target alone.
        package var target: TargetSubject?
        package var from: Instant
        package var through: Instant
        /// The same for each step of so many seconds, whole since 1970; nil for none.
        package var stepSeconds: Int64?

        package init(namespace: Namespace, from: Instant, through: Instant) {
            self.namespace = namespace
            self.from = from
            self.through = through
        }
    }

    /// What was scheduled in one step of the time.
    package struct Step: Sendable {
        package let from: Instant
        package fileprivate(set) var outcomes: [Outcome: Int64] = [:]
        package fileprivate(set) var lateness: Quantiles?

        package var total: Int64 { outcomes.values.reduce(0, +) }
    }

    /// Where the counts begin: later than what was asked for where that has too many rows.
    package let from: Instant
    /// Those of a range count each.
    package private(set) var outcomes: [Outcome: Int64] = [:]
    /// Skipped ones by their reason.
    package private(set) var skipped: [(reason: String, count: Int64)] = []
    package private(set) var triggers: [(trigger: String, count: Int64)] = []
    /// From the due time to the publish, of what was delivered or succeeded; nil where nothing was.
    package private(set) var lateness: Quantiles?
    /// From the due time to when it would have been published, of what was in shadow; nil where nothing was.
    package private(set) var shadowLateness: Quantiles?
    /// From the publish to the end, of tracked executions that succeeded or died; nil where there is none.
    package private(set) var duration: Quantiles?
    /// In the order of time; those without anything are missing. The first may have begun before the counts do.
    package private(set) var steps: [Step] = []

    package var total: Int64 { outcomes.values.reduce(0, +) }

    /// Delivered or succeeded among those that were to be, and ended; nil where there are none.
    package var successRate: Double? {
        let good = (outcomes[.delivered] ?? 0) + (outcomes[.succeeded] ?? 0)
        let bad = outcomes[.dead] ?? 0
        return good + bad == 0 ? nil : Double(good) / Double(good + bad)
    }

    private init(from: Instant) { self.from = from }

    /// Rows that one question looks at, at most: some 0.2 s.
    package static let mostRows = 100_000
    /// A namespace, or a target, with at most so many schedules is looked up schedule by schedule; else along the key,
    /// over everybody's rows.
    package static let fewSchedules = 500
    /// How much shorter a stretch with too many rows becomes at a time.
    private static let shortening: Int64 = 2

    /// - Parameters:
    ///   - most: rows that are looked at.
    ///   - few: up to so many schedules are looked up one by one.
    package static func of(
        _ question: Question, most: Int = mostRows, few fewSchedules: Int = fewSchedules,
        on runner: some StatementRunner
    ) async throws -> ExecutionStatistics {
        let asker = Asker(question)
        let isFew =
            try await runner.query(asker.few, asker.values(question) + [.int64(Int64(fewSchedules) + 1)]).first?
            .int64(0) ?? 0 <= fewSchedules
        let limit = PostgresValue.int64(Int64(most) + 1)
        var counted = question
        while counted.from < counted.through {
            let rows =
                isFew
                ? try await runner.query(asker.countBySchedule, asker.values(counted) + [limit])
                : try await runner.query(countByKey, Asker.bounds(counted) + [limit])
            guard try rows.first?.int64(0) ?? 0 > most else { break }
            let length = counted.through.milliseconds(since: counted.from) / shortening
            counted.from = counted.through.adding(milliseconds: -length)
        }
        var statistics = ExecutionStatistics(from: counted.from)
        let statement = isFew ? asker.bySchedule : asker.byKey
        let rows = try await runner.query(
            statement, asker.values(counted) + [.optional(counted.stepSeconds) { .int64($0) }])
        var steps: [Instant: Step] = [:]
        for row in rows { try statistics.add(row, &steps) }
        statistics.steps = steps.values.sorted { $0.from < $1.from }
        statistics.skipped.sort { $0.reason < $1.reason }
        statistics.triggers.sort { $0.trigger < $1.trigger }
        return statistics
    }

    private mutating func add(_ row: PostgresRow, _ steps: inout [Instant: Step]) throws {
        if let at = try row.instantOrNil(7) {
            var step = steps[at] ?? Step(from: at)
            if row.isNull(1) {
                step.lateness = try Self.quantiles(row, 4)
            } else {
                step.outcomes[try row.choice(1), default: 0] += try row.int64(3)
            }
            steps[at] = step
            return
        }
        switch try row.text(0) {
        case "outcome":
            let outcome: Outcome = try row.choice(1)
            let count = try row.int64(3)
            outcomes[outcome, default: 0] += count
            if let reason = try row.textOrNil(2) { skipped.append((reason, count)) }
        case "trigger": triggers.append((try row.text(1), try row.int64(3)))
        default:
            lateness = try Self.quantiles(row, 4)
            duration = try Self.quantiles(row, 5)
            shadowLateness = try Self.quantiles(row, 6)
        }
    }

    private static func quantiles(_ row: PostgresRow, _ column: Int) throws -> Quantiles? {
        guard !row.isNull(column) else { return nil }
        let values = try row.int64Array(column)
        guard values.count == 4 else { throw PostgresError(.decoding, "expected four quantiles, got \(values.count)") }
        return Quantiles(median: values[0], p90: values[1], p99: values[2], most: values[3])
    }
}

// MARK: - Statements

extension ExecutionStatistics {
    /// The statements of one kind of question: $1 and $2 bound the keys, $3 is the namespace, what else is asked for
    /// follows, and after all of it how many rows are looked at, where that is bounded.
    struct Asker: Sendable {
        let few: Statement
        let countBySchedule: Statement
        let bySchedule: Statement
        let byKey: Statement

        static let ofNamespace = Asker("namespace", "", [])
        static let ofTarget = Asker("target", " AND s.target_command = $4", [.text])
        static let ofSchedule = Asker("schedule", " AND s.id = $4", [.uuid])
        static let ofBoth = Asker("both", " AND s.id = $4 AND s.target_command = $5", [.uuid, .text])

        init(_ question: Question) {
            switch (question.schedule, question.target) {
            case (nil, nil): self = Self.ofNamespace
            case (nil, _): self = Self.ofTarget
            case (_, nil): self = Self.ofSchedule
            default: self = Self.ofBoth
            }
        }

        static func bounds(_ question: Question) -> [PostgresValue] {
            [.uuid(.lowest(at: question.from)), .uuid(.lowest(at: question.through.adding(milliseconds: 1)))]
        }

        func values(_ question: Question) -> [PostgresValue] {
            var values = Self.bounds(question) + [.text(question.namespace.description)]
            if let schedule = question.schedule { values.append(.id(schedule)) }
            if let target = question.target { values.append(.text(target.description)) }
            return values
        }

        private init(_ name: String, _ condition: String, _ more: [PostgresType]) {
            let isAsked = "s.namespace = $3\(condition)"
            // The last is how many rows are looked at, or how long a step is.
            let types: [PostgresType] = [.uuid, .uuid, .text] + more + [.int64]
            let last = "$\(types.count)"
            let limit = "LIMIT \(last)"
            func statement(_ part: String, _ sql: String) -> Statement {
                Statement("executions_statistics_\(part)_\(name)", sql, types: types, isReadOnly: true)
            }
            few = statement(
                "few", "SELECT count(*) FROM (SELECT 1 FROM scheduler.schedules s WHERE \(isAsked) \(limit)) s")
            countBySchedule = statement(
                "count",
                """
                SELECT count(*) FROM (
                    SELECT 1 FROM scheduler.schedules s
                    CROSS JOIN LATERAL (SELECT id FROM scheduler.executions WHERE \(stretch) \(limit)) e
                    WHERE \(isAsked) \(limit)) c
                """)
            bySchedule = statement(
                "schedules",
                aggregate(
                    """
                    scheduler.schedules s
                    CROSS JOIN LATERAL (SELECT \(columns) FROM scheduler.executions WHERE \(stretch)) e WHERE \(isAsked)
                    """, step: last))
            // Everybody's rows of the stretch, each with a look-up of its schedule. OFFSET 0 keeps it so.
            byKey = statement(
                "key",
                aggregate(
                    """
                    (SELECT \(columns), schedule_id FROM scheduler.executions WHERE id >= $1 AND id < $2 ORDER BY id) e
                    CROSS JOIN LATERAL (
                        SELECT 1 FROM scheduler.schedules s WHERE s.id = e.schedule_id AND \(isAsked) OFFSET 0) s
                    """, step: last))
        }
    }

    /// The key, without a look at the rows.
    static let countByKey = Statement(
        "executions_statistics_count_key",
        """
        SELECT count(*) FROM (
            SELECT 1 FROM scheduler.executions WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) c
        """, types: [.uuid, .uuid, .int64], isReadOnly: true)

    /// Each schedule's stretch on `executions_schedule`: the order leaves the planner no other index, and no reading of
    /// whole days for each schedule. The plain bounds pick the partitions.
    private static let stretch = """
        \(ExecutionList.ofSchedule("s.id", from: "$1", before: "$2")) AND id >= $1 ORDER BY schedule_id, id
        """

    private static let columns = """
        CASE WHEN finished_at IS NULL THEN 'open' ELSE state END AS outcome,
        CASE WHEN state = 'skipped' THEN reason END AS reason, trigger, range_count,
        CASE WHEN finished_at IS NOT NULL AND state IN ('delivered', 'succeeded')
            THEN (extract(epoch FROM fired_at - due_at) * 1000)::bigint END AS late,
        CASE WHEN tracked AND state IN ('succeeded', 'dead')
            THEN (extract(epoch FROM finished_at - fired_at) * 1000)::bigint END AS lasted,
        CASE WHEN state = 'skipped' AND reason = 'shadow'
            THEN (extract(epoch FROM fired_at - due_at) * 1000)::bigint END AS shadowed, scheduled_for
        """

    private static func quantiles(_ column: String) -> String {
        "percentile_disc(ARRAY[0.5, 0.9, 0.99, 1]) WITHIN GROUP (ORDER BY \(column))"
    }

    /// The rows are read once, counted by hashing, and sorted once for each of the quantiles' columns. Where `step` is
    /// null nothing is done for the steps.
    private static func aggregate(_ rows: String, step: String) -> String {
        let at = "date_bin(make_interval(secs => \(step)), scheduled_for, to_timestamp(0))"
        return """
            WITH e AS MATERIALIZED (SELECT e.* FROM \(rows))
            SELECT 'outcome', outcome, reason, sum(range_count)::bigint, NULL::bigint[], NULL::bigint[], NULL::bigint[],
                NULL::timestamptz
            FROM e GROUP BY outcome, reason
            UNION ALL SELECT 'trigger', trigger, NULL, sum(range_count)::bigint, NULL, NULL, NULL, NULL
            FROM e GROUP BY trigger
            UNION ALL SELECT 'all', NULL, NULL, 0, \(quantiles("late")), \(quantiles("lasted")),
                \(quantiles("shadowed")), NULL FROM e
            UNION ALL SELECT 'step', outcome, NULL, sum(range_count)::bigint, NULL, NULL, NULL, \(at)
            FROM e WHERE \(step) IS NOT NULL GROUP BY outcome, 8
            UNION ALL SELECT 'step', NULL, NULL, 0, \(quantiles("late")), NULL, NULL, \(at)
            FROM e WHERE \(step) IS NOT NULL GROUP BY 8
            """
    }
}
