import ArgumentParser
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture

/// *outage*: what an hour without any instance leaves of N schedules of each misfire policy, beside what is on time.
struct OutageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outage", abstract: "An hour's outage of N schedules of each misfire policy.")

    @Option(help: "Schedules of each policy; each missed three occurrences.") var n = 100_000
    @Option(help: "Misfired fires a second, of all instances together.") var rate = 2000
    @Option(help: "Instances that come back.") var instances = 2
    @Option(help: "Seconds after which what is not caught up is left; the next occurrences are due 10 minutes later.")
    var limit = 420

    /// `fire_once` fires one of three, `fire_all` each, `skip` none.
    private var owed: Int { 4 * n }

    func run() async throws {
        let fixture = try await benchFixture()
        let missed = try Arrivals("bench.cmd.missed.*", on: fixture.client, capacity: owed)
        let onTime = try Arrivals("bench.cmd.*", on: fixture.client, capacity: 2000 * limit)
        let seed = OutageSeed(fixture: fixture, schedules: n)
        try await seed.missed()
        let load = SteadyLoad(count: 20, period: 100_000, seconds: owed / rate + 30)
        let start = (wallClock() / 1_000_000 + 5) * 1_000_000
        try await ScheduleSeed(fixture: fixture).steady(load.count, periodMilliseconds: 100, start: start)
        var running: [ServiceInstance] = []
        for number in 1...instances {
            running.append(
                try await fixture.startInstance(
                    "instance-\(number)", environment: ["CATCHUP_MISFIRED_PER_SECOND": "\(rate)"]))
        }
        let isDone = await waitUntil(.seconds(limit)) { missed.count >= owed }
        let arrivals = missed.all.map(\.at)
        print(isDone ? "all caught up" : "\(arrivals.count) of \(owed) after \(limit) s")
        report(arrivals)
        let end = arrivals.last ?? wallClock()
        _ = await waitUntil(.seconds(20)) { wallClock() > end + 15_000_000 }
        let timed = load.timed(onTime.all, start: start)
        for (when, part) in [
            ("during it", timed.filter { $0.due < end }),
            ("after it", timed.filter { $0.due >= end && $0.due < end + 14_000_000 }),
        ] {
            print("on time, 200/s, \(when): \(Tally(part.map(\.lateness), expected: part.count).line)")
        }
        for line in try await seed.ledger() { print("  " + line) }
        print("  \(try await LedgerProof(fixture: fixture, seconds: 120).line())")
        for instance in running { _ = await instance.stop() }
        await fixture.stop()
    }

    /// The catch-up's own rate, second by second but for the first and the last.
    private func report(_ arrivals: [Int64]) {
        guard let first = arrivals.first, let last = arrivals.last, last > first else { return }
        var seconds = [Int64](repeating: 0, count: Int((last - first) / 1_000_000) + 1)
        for at in arrivals { seconds[Int((at - first) / 1_000_000)] += 1 }
        let each = Quantiles(Array(seconds.dropFirst().dropLast()))
        print(
            "catch-up: \(arrivals.count) in \(rounded(Double(last - first) / 1e6)) s; in a second \(each.least) to "
                + "\(each.most), median \(each.value(at: 0.5)), of \(rate) allowed")
    }
}

/// The store as instances would have left it that went away 62 minutes ago.
private struct OutageSeed {
    let fixture: ServiceFixture
    /// Of each policy.
    let schedules: Int

    /// Each was made 62 to 61 minutes ago and is due every 18 minutes: three occurrences are missed, all beyond the
    /// grace of five minutes, and the next is due in ten.
    func missed() async throws {
        let begin = "now() - interval '62 minutes' + n * interval '1 minute' / \(schedules)"
        let seeded = SeededSchedules(
            type: "interval", name: "policy || '-' || n", target: "'bench.cmd.missed.' || policy",
            rows: """
                unnest('{skip,fire_once,fire_all}'::text[]) policy, generate_series(0, \(schedules) - 1) n
                """, anchor: begin, created: begin, misfirePolicy: "policy",
            payload: #"'{"n":' || n || '}'"#, columns: "interval_ms", values: "1080000")
        try await run(seeded.insert)
        try await run(
            """
            INSERT INTO scheduler.timers
            SELECT id, anchor_at + interval '18 minutes', NULL, 1, 0, 1, 1,
                (('x' || substr(md5(id::text), 1, 2))::bit(8)::int)::smallint, priority
            FROM scheduler.schedules
            """)
        for table in ["timers", "schedules"] { try await run("VACUUM ANALYZE scheduler.\(table)") }
        try await run("CHECKPOINT")
    }

    /// What each policy left, and how many of a schedule went out behind a later one.
    func ledger() async throws -> [String] {
        let counted = try await fixture.rows(
            """
            SELECT s.misfire_policy, count(DISTINCT s.id)::text, e.state, coalesce(e.reason, e.trigger), count(*)::text,
                sum(e.range_count)::text, sum(e.missed_count)::text,
                count(*) FILTER (WHERE e.state = 'delivered' AND e.missed_count > 0
                    AND e.scheduled_for <> date_trunc('milliseconds', s.anchor_at) + interval '54 minutes')::text
            FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE s.interval_ms = 1080000 GROUP BY 1, 3, 4 ORDER BY 1, 3, 4
            """)
        let behind = try await fixture.rows(
            """
            SELECT count(*) FILTER (WHERE fired_at < before)::text FROM (
                SELECT fired_at, lag(fired_at) OVER (PARTITION BY schedule_id ORDER BY scheduled_for) AS before
                FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.misfire_policy = 'fire_all' AND s.interval_ms = 1080000) o
            """)
        let lines = counted.map { row in
            let text = row.map { $0 ?? "" }
            return "\(text[0]): \(text[1]) schedules, \(text[4]) rows \(text[2])/\(text[3]) of \(text[5]) occurrences, "
                + "\(text[6]) told as missed, \(text[7]) of a wrong instant"
        }
        return lines + ["fire_all: \(behind[0][0] ?? "?") fired ahead of an older one"]
    }

    private func run(_ sql: String) async throws {
        try await fixture.database.execute(script: "SET statement_timeout = 0", deadline: .now + .seconds(5))
        try await fixture.database.execute(script: sql, deadline: .now + .seconds(600))
    }
}
