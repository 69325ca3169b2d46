import NATSClient
import PostgresClient
import ServiceFixture

/// Puts schedules into the store in bulk, as many creations would have.
struct ScheduleSeed {
    let fixture: ServiceFixture

    /// - Parameter name: what their names begin with.
    private static func insert(type: String, name: String? = nil, columns: String, values: String) -> String {
        SeededSchedules(
            type: type, name: "'\(name ?? type)-' || n", target: "'bench.cmd.' || n % 100",
            rows: "generate_series(0, $2::bigint - 1) n", anchor: "$1", priority: "n % 10",
            payload: #"'{"n":' || n || ',"padding":"' || repeat('x', 175) || '"}'"#, columns: columns, values: values
        ).insert
    }

    private static let timers = """
        INSERT INTO scheduler.timers
        SELECT s.id, FIRE, NULL, 1, 0, 1, 1, (('x' || substr(md5(s.id::text), 1, 2))::bit(8)::int)::smallint, s.priority
        FROM scheduler.schedules s LEFT JOIN scheduler.timers t ON t.schedule_id = s.id WHERE t.schedule_id IS NULL
        """

    /// `count` one-shot schedules due at `at`, of all ten priorities.
    func herd(_ count: Int, at: Int64) async throws {
        let insert = Self.insert(type: "once", columns: "run_at", values: "$1")
        try await run(insert, [.timestamptz(at), .int64(Int64(count))])
        try await run(Self.timers.replacing("FIRE", with: "s.run_at"), [])
        try await settle()
    }

    /// `count` recurring schedules of one period with staggered phases from `start` on.
    func steady(_ count: Int, periodMilliseconds: Int64, start: Int64) async throws {
        let phase = "$1 + n * \(periodMilliseconds) / \(count) * interval '1 millisecond'"
        let insert = Self.insert(
            type: "interval", columns: "interval_ms, start_at", values: "\(periodMilliseconds), \(phase)")
        try await run(insert, [.timestamptz(start), .int64(Int64(count))])
        try await run(Self.timers.replacing("FIRE", with: "s.start_at"), [])
        try await settle()
    }

    /// `count` schedules that are far from due.
    func idle(_ count: Int) async throws {
        let insert = Self.insert(
            type: "interval", name: "idle", columns: "interval_ms, start_at",
            values: "86400000, now() + interval '1 day' + n * interval '1 millisecond'")
        try await run(insert, [.timestamptz(0), .int64(Int64(count))])
        try await run(Self.timers.replacing("FIRE", with: "s.start_at"), [])
        try await settle()
    }

    private func settle() async throws {
        for command in ["VACUUM ANALYZE scheduler.timers", "VACUUM ANALYZE scheduler.schedules", "CHECKPOINT"] {
            try await fixture.database.execute(script: command, deadline: .now + .seconds(300))
        }
    }

    private func run(_ sql: String, _ values: [PostgresValue]) async throws {
        try await fixture.database.execute(script: "SET statement_timeout = 0", deadline: .now + .seconds(5))
        _ = try await fixture.database.query(
            Statement("seed \(sql.hashValue)", sql, types: values.isEmpty ? [] : [.timestamptz, .int64]), values,
            deadline: .now + .seconds(300))
    }
}
