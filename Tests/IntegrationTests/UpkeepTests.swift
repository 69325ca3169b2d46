import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    @Suite("Upkeep", .serialized, .timeLimit(.minutes(1))) struct UpkeepTests {
        private static let day: Int64 = 86_400_000

        /// The service lives through midnight: what a later day needs is made when that day comes near.
        @Test("Partitions are made a week ahead of any date, and a day's rows lie in their day's partition")
        func livesThroughMidnight() async throws {
            let fixture = try await SharedSystem.running.fixture
            let now = try #require(
                Instant(
                    rfc3339: try await fixture.rows(
                        "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")[0][0] ?? ""))
            #expect(try await PartitionTable.daysReady(now: now, on: fixture.database) >= PartitionTable.daysAhead)
            for days in 0...20 as ClosedRange<Int64> {
                // A minute before that day's midnight, and at it.
                for offset in [Self.day - 60_000, Self.day] {
                    let then = PartitionTable.dayStart(of: now).adding(milliseconds: days * Self.day + offset)
                    _ = try await PartitionTable.ensure(now: then, on: fixture.database)
                    #expect(
                        try await PartitionTable.daysReady(now: then, on: fixture.database) == PartitionTable.daysAhead)
                    #expect(try await PartitionTable.ensure(now: then, on: fixture.database) == 0)
                }
            }
            let far = now.adding(milliseconds: 60 * Self.day)
            #expect(try await PartitionTable.daysReady(now: far, on: fixture.database) == 0)
            // The service went on meanwhile, and its rows lie in today's partition.
            let made = try await fixture.done(
                "schedule.create", #"{"schedule_type":"immediate","target_command":"demo.js.p"}"#, in: "upkeep")
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(made.id)' AND state = 'delivered'",
                    is: 1))
            let tables = try await fixture.rows(
                "SELECT tableoid::regclass::text FROM scheduler.executions WHERE schedule_id = '\(made.id)'")
            let today = now.rfc3339.prefix(10).filter { $0 != "-" }
            #expect(tables.first?[0]?.hasPrefix("scheduler.executions_20") == true, "\(tables), today is \(today)")
        }

        @Test("Rows that came before their day's partition move into it")
        func movesRows() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, claimed_at, finished_at, fence,
                        schedule_version, missed_count, attempt, generation, state, origin, trigger)
                    VALUES ('0254e3d3-7400-8000-8000-000000000001', gen_random_uuid(), '2051-01-01', '2051-01-01', now(), now(),
                        1, 1, 0, 1, 1, 'delivered', 'time', 'once')
                    """)
            let partition =
                "SELECT tableoid::regclass::text FROM scheduler.executions WHERE id = '0254e3d3-7400-8000-8000-000000000001'"
            #expect(try await fixture.rows(partition)[0][0] == "scheduler.executions_default")
            let high: Int64 = 0x0254_E3D3_7400
            _ = try await PartitionTable.ensure(now: Instant(milliseconds: high), on: fixture.database)
            #expect(try await fixture.rows(partition)[0][0]?.hasPrefix("scheduler.executions_2") == true)
        }

        @Test("Retention drops whole days, but none that the journal of claims needs, and forgets old requests")
        func forgets() async throws {
            let fixture = try await ServiceFixture.start()
            let now = try #require(Instant(rfc3339: "2026-03-10T12:00:00Z"))
            for days in stride(from: 0, through: 20, by: 5) as StrideThrough<Int64> {
                _ = try await PartitionTable.ensure(
                    now: now.adding(milliseconds: -days * Self.day), on: fixture.database)
            }
            // An open execution of 2026-02-20.
            let open = try #require(Instant(rfc3339: "2026-02-20T06:00:00Z"))
            let digits = String(open.milliseconds, radix: 16)
            let id = String(repeating: "0", count: 12 - digits.count) + digits
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence,
                        schedule_version, missed_count, attempt, generation, state, origin, trigger)
                    VALUES ('\(id.prefix(8))-\(id.suffix(4))-8000-8000-000000000001', gen_random_uuid(), gen_random_uuid(),
                        '2026-02-20 06:00Z', '2026-02-20 06:00Z', now(), 1, 1, 0, 1, 1, 'claimed', 'time', 'once');
                    INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions)
                    SELECT gen_random_uuid(), gen_random_uuid(), now(), id, ARRAY[id] FROM scheduler.executions;
                    INSERT INTO scheduler.requests (at, namespace, request_id, body_sha256, reply)
                    VALUES ('2026-03-09 11:59Z', 'a', 'old', '', ''), ('2026-03-09 12:01Z', 'a', 'young', '', '')
                    """)
            let keepFrom = now.adding(milliseconds: -5 * Self.day)
            let before = try await PartitionTable.days(on: fixture.database)
            let dropped = try await PartitionTable.drop(before: keepFrom, on: fixture.database)
            let left = try await PartitionTable.days(on: fixture.database)
            #expect(!dropped.isPostponed && dropped.days == before.filter { $0 < "20260220" })
            #expect(left == before.filter { $0 >= "20260220" } && dropped.days.count == 3)
            try await fixture.database.execute(script: "DELETE FROM scheduler.claims")
            #expect(
                try await PartitionTable.drop(before: keepFrom, on: fixture.database).days
                    == left.filter { $0 < "20260305" })
            #expect(
                try await RequestTable.forget(before: now.adding(milliseconds: -Self.day), on: fixture.database) == 1)
            #expect(try await fixture.rows("SELECT request_id FROM scheduler.requests") == [["young"]])
            await fixture.stop()
        }

        @Test("The events stream is as the contract says, and at rest nothing is owed")
        func restsEmpty() async throws {
            let fixture = try await SharedSystem.running.fixture
            let reply = try await fixture.client.request(
                try Subject("$JS.API.STREAM.INFO.SCHEDULER_EVENTS"), timeout: .seconds(5))
            let config = try #require(try JSONValue.parse(reply.payload)["config"])
            #expect(config.items("subjects").map(\.string) == ["scheduler.evt.>"])
            #expect(config["storage"]?.string == "file" && config["discard"]?.string == "old")
            #expect(config["max_age"]?.int64 == 7 * 86_400_000_000_000 && config["max_bytes"]?.int64 == 10 << 30)
            #expect(config["duplicate_window"]?.int64 == 120_000_000_000)
            // What fires from now on is told while the stream is read.
            let begun = try await fixture.rows("SELECT now()::text")[0][0] ?? "none"
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            let isEmpty = await fixture.waits(until: "SELECT count(*) FROM scheduler.claims", is: 0)
            let open = try await fixture.rows(
                """
                SELECT s.namespace || '/' || s.name || ' ' || e.state || ' ' || e.id FROM scheduler.claims c
                CROSS JOIN unnest(c.executions) AS x (id) JOIN scheduler.executions e ON e.id = x.id
                JOIN scheduler.schedules s ON s.id = e.schedule_id LIMIT 5
                """)
            #expect(isEmpty, "\(open)")
            // Each change of a schedule has exactly one event, and so has the end of each row of the ledger. Calendars,
            // freezes and what is asked for executions have entries of their own, without a fence, that no event tells.
            var changes: Int64 = 0
            var ends: [String: Int] = [:]
            for message in try await fixture.messages(of: "SCHEDULER_EVENTS") {
                let tokens = message.subject.split(separator: ".")
                guard tokens.count > 4 else { continue }
                if tokens[3] == "schedule" { changes += 1 }
                guard tokens[3] == "execution" else { continue }
                let execution = try JSONValue.parse(message.payload)["correlationid"]?.string ?? "?"
                ends["\(execution) \(tokens[4])", default: 0] += 1
            }
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.audit_log WHERE fence > 0 OR action LIKE 'command%'")
                    == changes)
            // Not of those namespaces whose tests write rows by hand.
            let rows = try await fixture.rows(
                """
                SELECT e.id || ' ' || e.state
                FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE e.finished_at < '\(begun)' AND e.scheduled_for < '2050-01-01'
                    AND s.namespace NOT IN ('proof', 'overlap')
                """)
            let untold = rows.compactMap(\.[0]).filter { ends[$0] != 1 }
            #expect(untold.isEmpty, "\(untold.count) of \(rows.count): \(untold.prefix(5))")
        }
    }
}
