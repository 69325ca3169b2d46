import JSONText
import LocalServers
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    /// A schedule with nothing more to do is exhausted, whoever notices.
    @Suite("Exhaustion", .serialized, .timeLimit(.minutes(1))) struct ExhaustionTests {
        @Test("What nobody asked for again is found at the next start; what is still open is left alone")
        func search() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let first = try await fixture.startInstance("first")
            var ids: [String] = []
            for name in ["over", "open", "open-once", "ahead"] {
                let type =
                    name == "open-once"
                    ? #""once","run_at":"2026-12-24T12:00:00Z""# : #""interval","interval_seconds":3600"#
                let body = #"{"name":"\#(name)","schedule_type":\#(type),"target_command":"demo.js.a"}"#
                ids.append(try await fixture.done("schedule.create", body).id)
            }
            #expect(await first.stop())
            // As it stands when an instance recorded the last one while another held an earlier one: an execution that
            // an instance holds, in a claim that nobody rescues.
            for (index, id) in ids.enumerated() where index < 3 {
                try await fixture.database.execute(
                    script: """
                        UPDATE scheduler.timers SET next_fire_at = NULL WHERE schedule_id = '\(id)';
                        INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at,
                            fence, schedule_version, missed_count, attempt, generation, state, origin, trigger)
                        SELECT x.id, '\(id)', gen_random_uuid(), now(), now(), now(), 1, 1, 0, 1, 1, 'claimed', 'time', 'once'
                        FROM (SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
                            || '8000800000000000000\(index)')::uuid AS id) x
                        WHERE \(index > 0);
                        INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions)
                        SELECT gen_random_uuid(), gen_random_uuid(), now(), id, ARRAY[id] FROM scheduler.executions
                        WHERE schedule_id = '\(id)'
                        """)
            }
            let second = try await fixture.startInstance("second")
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(ids[0])' AND state = 'exhausted'",
                    is: 1))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(try await fixture.events(of: ids[0]) == ["schedule created", "schedule exhausted"])
            #expect(
                try await fixture.rows("SELECT state FROM scheduler.schedules ORDER BY id")
                    == [["exhausted"], ["active"], ["active"], ["active"]])
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'test'") == 3
            )
            #expect(await second.stop())
            await fixture.stop()
        }

        @Test("An earlier occurrence, open elsewhere when the last one is recorded, keeps it active until it ends")
        func earlierOpenElsewhere() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let instance = try await fixture.startInstance("first")
            let body = #"""
                {"name":"late","schedule_type":"interval","interval_seconds":0.1,"max_runs":20,\#
                "target_command":"demo.js.a"}
                """#
            let id = try await fixture.done("schedule.create", body).id
            // Another instance's, in a claim that nobody rescues.
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at,
                        fence, schedule_version, missed_count, attempt, generation, state, origin, trigger)
                    SELECT x.id, '\(id)', gen_random_uuid(), now(), now(), now(), 1, 1, 0, 1, 1, 'claimed', 'time', 'interval'
                    FROM (SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
                        || '80008000000000000000')::uuid AS id) x;
                    INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions)
                    SELECT gen_random_uuid(), gen_random_uuid(), now(), id, ARRAY[id] FROM scheduler.executions
                    WHERE id::text LIKE '%-8000-8000-000000000000'
                    """)
            let delivered = "SELECT count(*) FROM scheduler.executions WHERE state = 'delivered'"
            #expect(await fixture.waits(.seconds(20), until: delivered, is: 20))
            #expect(try await fixture.rows("SELECT state FROM scheduler.schedules") == [["active"]])
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.executions SET state = 'delivered', finished_at = now() WHERE state = 'claimed';
                    DELETE FROM scheduler.claims
                    """)
            let over = "SELECT count(*) FROM scheduler.schedules WHERE state = 'exhausted'"
            #expect(await fixture.waits(.seconds(20), until: over, is: 1))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(try await fixture.events(of: id).suffix(1) == ["schedule exhausted"])
            #expect(await instance.stop())
            await fixture.stop()
        }

        @Test("max_runs lowered to what was fired exhausts at once")
        func loweredLimit() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create",
                #"{"name":"l","schedule_type":"interval","interval_seconds":0.1,"max_runs":1000,"target_command":"demo.js.l"}"#,
                in: "lowered"
            ).id
            let delivered =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
            #expect(await waitUntil(.seconds(5)) { ((try? await fixture.count(delivered)) ?? 0) >= 3 })
            let reply = try await fixture.done("schedule.update", #"{"name":"l","max_runs":2}"#, in: "lowered")
            #expect(reply.schedule["next_fire_at"] == nil && reply.schedule["next_fires"]?.count == 0)
            #expect(
                await fixture.waits(
                    .seconds(3),
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'exhausted'", is: 1)
            )
            let fired = try await fixture.count(delivered)
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'lowered'")
                    == 0)
            // Nothing is claimed: paused, so that nothing is open when the limit falls.
            let idle = try await fixture.done(
                "schedule.create",
                #"{"name":"i","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.l"}"#,
                in: "lowered"
            ).id
            try await fixture.database.execute(
                script: "UPDATE scheduler.timers SET run_count = 7 WHERE schedule_id = '\(idle)'")
            let stays = try await fixture.done("schedule.update", #"{"name":"i","max_runs":8}"#, in: "lowered")
            #expect(stays.schedule["state"]?.string == "active" && stays.schedule["next_fires"]?.count == 1)
            let over = try await fixture.done("schedule.update", #"{"name":"i","max_runs":7}"#, in: "lowered")
            #expect(over.schedule["state"]?.string == "exhausted" && over.schedule["next_fire_at"] == nil)
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: idle)
                    == ["schedule created", "schedule updated", "schedule updated", "schedule exhausted"])
            #expect(try await fixture.events(of: id).suffix(1) == ["schedule exhausted"])
            #expect(try await fixture.count(delivered) == fired)
        }

        @Test("Namespaces are locked in the order of their names, whatever the order of the schedules")
        func oneOrder() async throws {
            let fixture = try await ServiceFixture.start()
            let id = { (n: Int) in "00000000-0000-7000-8000-0000000000\(n + 10)" }
            let numbers = Array(0..<24)
            // The later the name, the earlier the schedule.
            for n in numbers {
                try await fixture.database.execute(
                    script: """
                        INSERT INTO scheduler.namespaces (namespace, schedule_count) VALUES ('n\(90 - n)', 1);
                        INSERT INTO scheduler.timers (schedule_id, fire_seq, run_count, version, generation, partition, priority)
                        VALUES ('\(id(n))', 1, 0, 1, 1, 0, 5);
                        INSERT INTO scheduler.schedules (id, version, spread_ms, misfire_grace_ms, catchup_window_ms,
                            catchup_limit, anchor_at, created_at, updated_at, run_timeout_seconds, retry_delay_seconds,
                            retry_max_delay_seconds, retry_max_age_seconds, generation, max_in_flight, max_retries, priority,
                            delete_when_exhausted, namespace, name, state, description, schedule_type, interval_ms, timezone,
                            dst_policy, target_command, delivery, guarantee, completion, overlap_policy, misfire_policy,
                            payload_sha256, command_payload, command_headers, metadata, tags)
                        VALUES ('\(id(n))', 1, 0, 300000, 86400000, 100, now(), now(), now(), 300, 300, 3600, 86400, 1, 1, 3,
                            5, false, 'n\(90 - n)', 'x', 'active', '', 'interval', 1000, 'UTC', 'vixie', 'demo.a', 'core',
                            'at_least_once', 'none', 'skip', 'fire_once', '', '{}', '{}', '{}', '{}')
                        """)
            }
            let ids = numbers.compactMap { ScheduleID(text: id($0)) }
            let url = await fixture.postgres.url(database: "carillon")
            let lowest = try PostgresConnection(PostgresConfiguration(url))
            let waiting = try PostgresConnection(PostgresConfiguration(url))
            let first = Int(try #require(numbers.last))
            let exhausted = try await lowest.transaction { transaction in
                let lock = "SELECT 1 FROM scheduler.namespaces WHERE namespace = 'n\(90 - first)' FOR UPDATE"
                _ = try await transaction.query(Statement("lock_lowest", lock))
                let exhausting = Task {
                    try await waiting.transaction { transaction in
                        try await transaction.commit(with: [
                            ExhaustionTable.lock(ids), ExhaustionTable.exhaustIdle(ids, at: .latest),
                        ])
                    }
                }
                // It waits for the first name, and holds none of the others meanwhile.
                let isWaiting = await fixture.waits(
                    .seconds(4), until: "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", is: 1)
                #expect(isWaiting)
                let free = try await fixture.rows(
                    """
                    SELECT namespace FROM scheduler.namespaces WHERE namespace > 'n\(90 - first)'
                    FOR UPDATE SKIP LOCKED
                    """)
                #expect(free.count == numbers.count - 1)
                return exhausting
            }
            let rows = try await exhausted.value
            #expect(rows.last?.count == numbers.count)
            #expect(try await fixture.count("SELECT sum(schedule_count)::bigint FROM scheduler.namespaces") == 0)
            await lowest.close()
            await waiting.close()
            await fixture.stop()
        }

        @Test("A rescue and a look at the invalid ones read what they find by an index, never the whole table")
        func readsByIndex() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.instances (id, started_at, fenced_at, name)
                    SELECT gen_random_uuid(), now(), CASE WHEN n < 50 THEN now() END, 'i' FROM generate_series(0, 99) n;
                    INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions)
                    SELECT gen_random_uuid(), i.id, now() - n * interval '1 ms', gen_random_uuid(), ARRAY[gen_random_uuid()]
                    FROM scheduler.instances i, generate_series(1, 400) n WHERE i.fenced_at IS NULL;
                    INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions)
                    SELECT gen_random_uuid(), i.id, now() - n * interval '1 ms', gen_random_uuid(), ARRAY[gen_random_uuid()]
                    FROM (SELECT id FROM scheduler.instances WHERE fenced_at IS NOT NULL LIMIT 1) i,
                        generate_series(1, 400) n;
                    ANALYZE scheduler.claims; ANALYZE scheduler.instances
                    """)
            let plan = try await fixture.rows("EXPLAIN (ANALYZE, BUFFERS) " + ClaimTable.abandonedStatement.sql)
            let text = plan.compactMap { $0[0] }.joined(separator: "\n")
            #expect(text.contains("claims_instance") && !text.contains("Seq Scan on claims"), "\(text)")
            // Asked again and again, as a rescue does: each takes another one, the oldest first, until none is left.
            var taken: [String] = []
            while true {
                let claim = try await fixture.database.transaction { transaction in
                    let found = try await ClaimTable.takeAbandoned(in: transaction)
                    if let found { try await transaction.commit(with: [ClaimTable.delete([found.id])]) }
                    return found
                }
                guard let claim else { break }
                taken += claim.executions.map(\.description)
            }
            #expect(taken.count == 400 && Set(taken).count == 400)
            let look = try await fixture.rows(
                "EXPLAIN SELECT c.oldest FROM scheduler.claims c ORDER BY c.oldest LIMIT 1")
            #expect(look.compactMap { $0[0] }.joined().contains("claims_oldest"))
            let invalid = try await fixture.rows(
                "EXPLAIN SELECT s.id FROM scheduler.schedules s WHERE s.state = 'invalid' AND s.id > gen_random_uuid() ORDER BY s.id LIMIT 200"
            )
            #expect(invalid.compactMap { $0[0] }.joined().contains("schedules_invalid"), "\(invalid)")
            await fixture.stop()
        }
    }
}
