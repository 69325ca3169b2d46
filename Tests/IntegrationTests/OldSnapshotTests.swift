import LocalServers
import PostgresClient
import Recurrence
import SchedulerCore
import ServiceFixture
import Testing

@testable import SchedulerStore

extension Integration {
    /// A dump or a report holds an old snapshot, and no dead entry of the timing wheel can go meanwhile.
    @Suite("Old snapshots", .serialized, .timeLimit(.minutes(2))) struct OldSnapshotTests {
        @Test("A scan that looks a minute back does not walk over 120,000 dead entries, one from the bottom does")
        func deadEntries() async throws {
            let fixture = try await ServiceFixture.start()
            let database = fixture.database
            try await database.execute(
                script: """
                    SET statement_timeout = '60s';
                    INSERT INTO scheduler.timers (schedule_id, next_fire_at, fire_seq, run_count, version, generation, partition, priority)
                    SELECT gen_random_uuid(), now() - interval '1 hour', 0, 0, 1, 1, n % 256, 5 FROM generate_series(1, 20000) n
                    """)
            let reader = try PostgresConnection(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            try await reader.execute(script: "SET idle_in_transaction_session_timeout = 0")
            try await reader.transaction(.repeatableRead, deadline: .now + .seconds(60)) { transaction in
                _ = try await transaction.query(Statement("snapshot", "SELECT 1"))
                for round in 1...6 {
                    let to = round == 6 ? "now() + interval '1 hour'" : "next_fire_at + interval '1 minute'"
                    try await database.execute(
                        script: "UPDATE scheduler.timers SET next_fire_at = \(to)", deadline: .now + .seconds(60))
                }
                try await database.execute(script: "ANALYZE scheduler.timers")
                let bottom = try await scan(from: "'-infinity'", on: fixture)
                let recent = try await scan(from: "now() - interval '1 minute'", on: fixture)
                print("scan with 120,000 dead entries: \(bottom) from the bottom, \(recent) from a minute back")
                #expect(bottom.pages > 10_000 && recent.pages < 50)
            }
            await fixture.stop()
        }

        private struct Scan: CustomStringConvertible {
            let pages: Int
            let milliseconds: Double
            var description: String { "\(milliseconds) ms and \(pages) pages" }
        }

        /// The third of three: the first reads what is not in memory.
        private func scan(from: String, on fixture: ServiceFixture) async throws -> Scan {
            try await fixture.database.execute(
                script: """
                    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; DEALLOCATE ALL;
                    PREPARE take_due (timestamptz, timestamptz, smallint[], timestamptz, bigint, uuid[], timestamptz)
                    AS \(TimerTable.takeDueStatement.sql)
                    """)
            var lines: [String] = []
            for _ in 0..<3 {
                lines = try await fixture.rows(
                    """
                    EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) EXECUTE take_due
                        (\(from), now() + interval '1 second', '{0,1,2}', now(), 1000, '{}', now()) -- \(lines.count)
                    """
                ).map { $0[0] ?? "" }
                #expect(lines.contains { $0.contains("timers_due") }, "\(lines)")
            }
            let buffers = lines.first { $0.contains("Buffers: shared") } ?? ""
            let time = lines.first { $0.contains("Execution Time") }?.split(separator: " ")
            return Scan(
                pages: buffers.split(separator: " ").compactMap { $0.split(separator: "=").last.flatMap { Int($0) } }
                    .reduce(0, +),
                milliseconds: time.flatMap { Double($0[$0.count - 2]) } ?? -1)
        }

        @Test("A timer that was set far back is found all the same, without anybody telling")
        func farBack() async throws {
            let fixture = try await SharedSystem.running.fixture
            let made = try await fixture.done(
                "schedule.create",
                #"{"schedule_type":"interval","interval_seconds":3600,"misfire_grace_seconds":600,"target_command":"demo.js.back"}"#,
                in: "back")
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET anchor_at = now() - interval '2 minutes' WHERE id = '\(made.id)';
                    UPDATE scheduler.timers SET next_fire_at = now() - interval '2 minutes' WHERE schedule_id = '\(made.id)'
                    """)
            #expect(
                await fixture.waits(
                    .seconds(15),
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(made.id)' AND state = 'delivered'",
                    is: 1))
        }
    }
}
