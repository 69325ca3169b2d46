import NATSClient
import PostgresClient
import ServiceFixture

/// Puts schedules into the store in bulk, as many creations would have.
struct ScheduleSeed {
    let fixture: ServiceFixture

    /// What all seeded schedules have in common; `%` stands for what differs.
    private static func insert(type: String, columns: String, values: String) -> String {
        """
        INSERT INTO scheduler.schedules (id, version, spread_ms, misfire_grace_ms, catchup_window_ms, catchup_limit,
            anchor_at, created_at, updated_at, run_timeout_seconds, retry_delay_seconds, retry_max_delay_seconds,
            retry_max_age_seconds, generation, max_in_flight, max_retries, priority, delete_when_exhausted, namespace,
            name, state, description, schedule_type, timezone, dst_policy, target_command, delivery, guarantee,
            completion, overlap_policy, misfire_policy, payload_sha256, command_payload, command_headers, metadata, tags,
            \(columns))
        SELECT gen_random_uuid(), 1, 0, 300000, 86400000, 100, $1, now(), now(), 300, 300, 3600, 86400, 1, 1, 3,
            n % 10, false, 'bench', '\(type)-' || n, 'active', '', '\(type)', 'UTC', 'vixie',
            'bench.cmd.' || n % 100, 'jetstream', 'at_least_once', 'none', 'skip', 'fire_once', '\\x00',
            ('{"n":' || n || ',"padding":"' || repeat('x', 175) || '"}')::json, '{}', '{}', '{}', \(values)
        FROM generate_series(0, $2::bigint - 1) n
        """
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
            type: "interval", columns: "interval_ms, start_at",
            values: "86400000, now() + interval '1 day' + n * interval '1 millisecond'")
        try await run(
            insert.replacing("'interval-'", with: "'idle-'"), [.timestamptz(0), .int64(Int64(count))])
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
