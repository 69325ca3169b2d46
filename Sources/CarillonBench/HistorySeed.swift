import PostgresClient
import ServiceFixture

/// Days of executions as schedules of one period would have left them: true occurrences, with the ids that are theirs.
struct HistorySeed {
    let fixture: ServiceFixture
    let days: Int
    let rows: Int
    let schedules: Int

    /// Occurrences a day of one schedule.
    var perDay: Int { rows / schedules }
    private var period: Int { 86_400_000 / perDay }
    /// Midnight, as many days ago.
    private static let start = "(date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"

    func schedules() async throws {
        let begin =
            "\(Self.start) - \(days) * interval '1 day' + n * \(period)::bigint / \(schedules) * interval '1 millisecond'"
        let seeded = SeededSchedules(
            type: "interval", name: "'history-' || n", target: "'bench.cmd.' || n % 10",
            rows: "generate_series(0, \(schedules) - 1) n", state: "paused", anchor: begin, created: begin,
            columns: "interval_ms", values: "\(period)")
        try await run(seeded.insert)
        try await run(
            """
            INSERT INTO scheduler.timers
            SELECT id, NULL, anchor_at + (\(days * perDay) + 1) * \(period)::bigint * interval '1 millisecond', 1,
                \(days * perDay), 1, 1, 0, priority
            FROM scheduler.schedules
            """)
    }

    /// Inserts a day, from 0, the oldest, on.
    func day(_ day: Int) async throws {
        try await run("SELECT scheduler.ensure_executions_partition(\(start(of: day)))")
        // The identity of an occurrence: the schedule, the generation, its own time, the instant, no ordinal.
        try await run(
            """
            INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fired_at,
                finished_at, fence, schedule_version, missed_count, attempt, generation, state, origin, trigger,
                ack_stream, ack_sequence)
            SELECT (lpad(to_hex(ms), 12, '0') || '8' || substr(h, 14, 3)
                    || to_hex(8 | (('x' || substr(h, 17, 1))::bit(4)::int & 3)) || substr(h, 18, 15))::uuid,
                id, '00000000-0000-7000-8000-000000000001', at, at, at - interval '0.9 s',
                at + interval '1 millisecond' * (1 + k % 7), at + interval '4 milliseconds', k, 1, 0, 1, 1, 'delivered',
                'time', 'interval', 'BENCH', k
            FROM (
                SELECT s.id, k, t.at, t.ms, encode(sha256(uuid_send(s.id) || int8send(1) || int8send(0)
                    || int8send(t.ms) || int8send(0)), 'hex') AS h
                FROM generate_series(\(day * perDay + 1), \((day + 1) * perDay)) k CROSS JOIN scheduler.schedules s
                CROSS JOIN LATERAL (
                    SELECT at, (extract(epoch FROM at) * 1000)::bigint AS ms
                    FROM (SELECT s.anchor_at + k * \(period)::bigint * interval '1 millisecond' AS at) a) t) o
            """)
    }

    func settle() async throws {
        try await run("ANALYZE scheduler.executions")
        try await run("ANALYZE scheduler.schedules")
        try await run("CHECKPOINT")
    }

    /// A list's cursor in the middle of a day.
    func cursor(atDay day: Int) async throws -> String {
        let ms = "floor(extract(epoch FROM \(start(of: day)) + interval '12 hours') * 1000)::bigint"
        return try await fixture.rows("SELECT (lpad(to_hex(\(ms)), 12, '0') || repeat('0', 20))::uuid::text")[0][0]
            ?? ""
    }

    /// - Returns: false where a lock was not had in time.
    func dropDay(_ day: Int, on connection: PostgresConnection) async throws -> Bool {
        let statement = Statement("drop_day", "SELECT scheduler.drop_executions_partition($1)", types: [.timestamptz])
        let at = try await fixture.rows("SELECT (extract(epoch FROM \(start(of: day))) * 1000000)::bigint::text")[0][0]
        guard let microseconds = at.flatMap({ Int64($0) }) else { return false }
        do {
            let rows = try await connection.query(statement, [.timestamptz(microseconds)])
            return try rows.first?.bool(0) ?? false
        } catch {
            guard error.code == .lockTimeout else { throw error }
            return false
        }
    }

    private func start(of day: Int) -> String { "(\(Self.start) + \(day - days) * interval '1 day')" }

    private func run(_ sql: String) async throws {
        try await fixture.database.execute(
            script: "SET statement_timeout = 0; SET TIME ZONE 'UTC'", deadline: .now + .seconds(5))
        try await fixture.database.execute(script: sql, deadline: .now + .seconds(1800))
    }
}
