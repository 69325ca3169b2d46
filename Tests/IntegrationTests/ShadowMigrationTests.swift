import JSONText
import LocalServers
import Migrations
import NATSClient
import PostgresClient
import SchedulerStore
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// What becomes of schedules in shadow where an older program comes back: it would publish.
    @Suite("The shadow's migration", .timeLimit(.minutes(1))) struct ShadowMigrationTests {
        private static let hourly =
            #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.back","delivery":"core""#

        private func make(_ fixture: ServiceFixture) async throws -> String {
            var id = ""
            for (name, fields) in [
                ("free", ""), ("held", #","shadow":true,"spread_seconds":60"#), ("for-now", #","shadow":true"#),
                ("lost", #","shadow":true"#), ("resting", #","shadow":true,"paused":true,"reason":"why not""#),
            ] {
                let made = try await fixture.done("schedule.create", #"{"name":"\#(name)",\#(Self.hourly)\#(fields)}"#)
                if name == "held" { id = made.id }
            }
            try await fixture.done("schedule.create", #"{"name":"entered",\#(Self.hourly)}"#)
            try await fixture.done("schedule.update", #"{"name":"entered","shadow":true}"#)
            try await fixture.done("schedule.pause", #"{"name":"for-now","until":"2099-01-01T00:00:00Z"}"#)
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.timers SET resume_from = next_fire_at, next_fire_at = NULL
                    WHERE schedule_id = (SELECT id FROM scheduler.schedules WHERE name = 'lost');
                    UPDATE scheduler.schedules SET state = 'invalid', pause_reason = 'its target is allowed no longer'
                    WHERE name = 'lost'
                    """)
            return id
        }

        /// What an instance that died leaves: a claim, a further attempt, and what waits for its place; of `entered` a claim
        /// from before it was in shadow, due after its claimant was fenced; and followers' turns by two of these.
        private func leave(_ id: String, _ fixture: ServiceFixture) async throws {
            try await fixture.database.execute(
                script: """
                    CREATE TEMPORARY TABLE left_open ON COMMIT DROP AS
                    SELECT e.*, gen_random_uuid() AS further, gen_random_uuid() AS waits
                    FROM scheduler.executions e WHERE schedule_id = '\(id)' AND state = 'claimed';
                    INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at,
                        fence, schedule_version, missed_count, attempt, generation, state, origin, trigger)
                    SELECT further, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence, schedule_version,
                        missed_count, 2, generation, state, origin, trigger FROM left_open;
                    INSERT INTO scheduler.runs (execution_id, schedule_id, opened_at, fence, attempt, tracked, state)
                    SELECT further, schedule_id, due_at, fence, 2, false, 'claimed' FROM left_open;
                    UPDATE scheduler.claims SET executions = executions || further FROM left_open;
                    INSERT INTO scheduler.buffered (execution_id, schedule_id, scheduled_for, due_at, since, ordinal,
                        missed_count, generation, origin, trigger)
                    SELECT waits, schedule_id, scheduled_for, due_at, due_at, 7, 0, generation, origin, trigger
                    FROM left_open;
                    CREATE TEMPORARY TABLE entered ON COMMIT DROP AS
                    SELECT gen_random_uuid() AS id, a.schedule_id, a.at FROM scheduler.audit_log a
                    WHERE a.name = 'entered' AND a.action = 'updated';
                    INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at,
                        fence, schedule_version, missed_count, attempt, generation, state, origin, trigger)
                    SELECT n.id, n.schedule_id, o.claimed_by, o.scheduled_for, n.at + interval '1 ms',
                        n.at - interval '1 s', o.fence, 1, 0, 1, o.generation, 'claimed', o.origin, o.trigger
                    FROM left_open o, entered n;
                    UPDATE scheduler.claims SET executions = executions || n.id FROM entered n;
                    UPDATE scheduler.instances SET fenced_at = n.at FROM entered n;
                    INSERT INTO scheduler.ended_upstreams
                    SELECT unnest(ARRAY[o.id, o.further]), gen_random_uuid(), 0, now(), now() FROM left_open o
                    """)
        }

        private static let states = """
            SELECT name, state, (resume_from IS NOT NULL)::text, (next_fire_at IS NULL)::text,
                (paused_until IS NULL)::text, coalesce(pause_reason, '')
            FROM scheduler.schedules s JOIN scheduler.timers t ON t.schedule_id = s.id ORDER BY name
            """
        private static let taken = "its shadow mode was taken away by a migration"

        private func ledger(_ fixture: ServiceFixture) async throws -> [[String?]] {
            try await fixture.rows(
                """
                SELECT e.state, coalesce(e.reason, ''), e.attempt::text, coalesce(r.state || ' ' || r.attempt, '')
                FROM scheduler.executions e LEFT JOIN scheduler.runs r ON r.execution_id = e.id ORDER BY 1, 3
                """)
        }

        @Test("Down, nothing of a shadow is published, whatever it waited for; up again, what ended is told")
        func goesDownAndUp() async throws {
            let fixture = try await ServiceFixture.start()
            let fired = try FiredMessages("demo.back", on: fixture.client)
            let victim = try await fixture.startInstance("victim", environment: ["CARILLON_FAIL_AT": "publish.before"])
            let id = try await make(fixture)
            _ = try? await fixture.command("schedule.trigger", #"{"name":"held"}"#, timeout: .seconds(2))
            #expect(await victim.process.waitForEnd(.seconds(10)))
            try await leave(id, fixture)

            let migrator = try Schema.migrator(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            let own = try #require(try await migrator.status().first { $0.name == "shadow" })
            #expect(own.isBreaking, "an older program would start on it, and publish")
            _ = try await migrator.down(to: own.version - 1)
            #expect(
                try await fixture.rows(Self.states) == [
                    ["entered", "paused", "true", "true", "true", Self.taken],
                    ["for-now", "paused", "true", "true", "true", Self.taken],
                    ["free", "active", "false", "false", "true", ""],
                    ["held", "paused", "true", "true", "true", Self.taken],
                    ["lost", "paused", "true", "true", "true", "its target is allowed no longer; " + Self.taken],
                    ["resting", "paused", "true", "true", "true", "why not; " + Self.taken],
                ])
            #expect(
                try await ledger(fixture) == [
                    ["retry_wait", "", "1", "retry_wait 1"], ["skipped", "shadow", "0", ""],
                    ["skipped", "shadow", "1", ""], ["skipped", "shadow", "1", ""],
                ])
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.ended_upstreams") == 1)
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.buffered") == 0)

            _ = try await migrator.up()
            let again = try await fixture.startInstance("again")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.claims", is: 0), "\(again.logTail)")
            let told = try await fixture.eventMessages(of: id).filter { $0.subject.contains("execution.skipped") }
            #expect(told.count == 2)
            #expect(try await ledger(fixture).count == 4 && fired.count == 0)
            let resumed = try await fixture.done("schedule.resume", #"{"name":"lost"}"#).schedule
            #expect(resumed["state"]?.string == "active" && resumed["shadow"]?.bool == false)
            #expect(await again.stop())
            // The whole chain, with all these rows.
            let version = try #require(try await migrator.status().last?.version)
            #expect(try await migrator.down(to: 0).count == version)
            #expect(try await migrator.up().count == version)
            fired.cancel()
            await fixture.stop()
        }
    }
}
