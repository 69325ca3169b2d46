/// Rows of schedules as creations would have left them, in SQL; what is said of each may speak of `n`, its number.
struct SeededSchedules {
    /// A constant: "interval", "once".
    let type: String
    let name: String
    let target: String
    /// The rows: what `FROM` takes, with `n` among its columns.
    let rows: String
    var state = "active"
    /// When each was made and anchored.
    var anchor = "now()"
    var created = "now()"
    var priority = "5"
    var misfirePolicy = "'fire_once'"
    var payload = "'{}'"
    /// Of the timing.
    let columns: String
    let values: String

    /// Inserts them; their timers are another's.
    var insert: String {
        """
        INSERT INTO scheduler.schedules (id, version, spread_ms, misfire_grace_ms, catchup_window_ms, catchup_limit,
            anchor_at, created_at, updated_at, run_timeout_seconds, retry_delay_seconds, retry_max_delay_seconds,
            retry_max_age_seconds, generation, max_in_flight, max_retries, priority, delete_when_exhausted, namespace,
            name, state, description, schedule_type, timezone, dst_policy, target_command, delivery, guarantee,
            completion, overlap_policy, misfire_policy, payload_sha256, command_payload, command_headers, metadata, tags,
            \(columns))
        SELECT gen_random_uuid(), 1, 0, 300000, 86400000, 100, \(anchor), \(created), \(created), 300, 300, 3600, 86400,
            1, 1, 3, \(priority), false, 'bench', \(name), '\(state)', '', '\(type)', 'UTC', 'vixie', \(target),
            'jetstream', 'at_least_once', 'none', 'skip', \(misfirePolicy), '\\x00', (\(payload))::json, '{}', '{}', '{}',
            \(values)
        FROM \(rows)
        """
    }
}
