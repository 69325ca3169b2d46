import Glibc
import JSONText
import LocalServers
import Migrations
import NATSClient
import PostgresClient
import Recurrence
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    /// Commands that ask after the ledger, and that fire outside of a schedule's own time.
    @Suite("Commands on the ledger", .serialized, .timeLimit(.minutes(2))) struct LedgerCommandTests {
        private static let namespace = "ledger"

        private static func ago(_ seconds: Int64) -> String {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Instant(milliseconds: (Int64(time.tv_sec) - seconds) * 1000).rfc3339
        }

        private func create(
            _ name: String, cron: String, _ fields: String, _ fixture: ServiceFixture
        ) async throws -> String {
            let body = """
                {"name":"\(name)","schedule_type":"cron","cron_expression":"\(cron)","target_command":"demo.\(name)",
                 "delivery":"core"\(fields)}
                """
            return try await fixture.done("schedule.create", body, in: Self.namespace).id
        }

        private func executions(_ id: String, _ condition: String) -> String {
            "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND \(condition)"
        }

        @Test("A backfill fires past occurrences again, once for each request")
        func backfill() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await create("bf", cron: "0 * * * *", #","paused":true"#, fixture)
            let messages = try FiredMessages("demo.bf", on: fixture.client)
            try await fixture.client.flush(timeout: .seconds(2))
            let body = #"{"name":"bf","from":"\#(Self.ago(18_000))","limit":3,"request_id":"bf-1"}"#
            let first = try await fixture.done("schedule.backfill", body, in: Self.namespace)
            let told = try #require(first["backfill"])
            #expect(told["count"]?.int64 == 3 && told.items("execution_ids").count == 3)
            #expect(told["remaining"]?.int64 == 2, "five hours have passed")
            #expect(await fixture.waits(until: executions(id, "state = 'delivered'"), is: 3))
            let again = try await fixture.done("schedule.backfill", body, in: Self.namespace)
            #expect(again.bytes == first.bytes)
            #expect(await waitUntil(.seconds(5)) { messages.count == 3 })
            #expect(messages.all.map(\.scheduledFor) == messages.all.map(\.scheduledFor).sorted())
            #expect(try await fixture.ledger(of: id) == Array(repeating: "delivered backfill 1", count: 3))
            // The rest, where the reply said that it begins; as another request, what was asked for is made anew.
            let next = try #require(told["next_from"]?.string)
            let rest = try await fixture.done(
                "schedule.backfill", #"{"name":"bf","from":"\#(next)"}"#, in: Self.namespace)
            #expect(rest["backfill"]?["count"]?.int64 == 2 && rest["backfill"]?["remaining"]?.int64 == 0)
            let anew = try await fixture.done(
                "schedule.backfill", #"{"name":"bf","from":"\#(next)","dry_run":true}"#, in: Self.namespace)
            #expect(anew["backfill"]?["count"]?.int64 == 2)
            #expect(await fixture.waits(until: executions(id, "state = 'delivered'"), is: 5))
            #expect(try await fixture.count("SELECT run_count FROM scheduler.timers WHERE schedule_id = '\(id)'") == 0)
            messages.cancel()
        }

        @Test(
            "What waits of a backfill ends with its schedule's pause, and with its target: nothing fires after the reply",
            arguments: ["schedule.pause", "schedule.delete", "admin.target.revoke"])
        func backfillEnds(command: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            let name = "be\(command.count)"
            let subject = "ended.\(name)"
            let scope = #""namespace":"\#(Self.namespace)","subject":"\#(subject)""#
            try await fixture.administer("target.allow", #"{\#(scope),"delivery":["core"]}"#)
            let made = try await fixture.done(
                "schedule.create",
                """
                {"name":"\(name)","schedule_type":"cron","cron_expression":"* * * * * *","target_command":"\(subject)",
                 "delivery":"core"}
                """, in: Self.namespace)
            let backfill = try await fixture.done(
                "schedule.backfill", #"{"name":"\#(name)","from":"\#(Self.ago(3600))","limit":1000}"#,
                in: Self.namespace)
            #expect(backfill["backfill"]?["count"]?.int64 == 1000)
            let reply =
                command.hasPrefix("admin.")
                ? try await fixture.administer(String(command.dropFirst(6)), "{\(scope)}")
                : try await fixture.done(command, #"{"name":"\#(name)"}"#, in: Self.namespace)
            // What the reply names may come yet; it is soon recorded.
            let open = reply.items("in_flight").count
            #expect(open < 500, "\(open) are in flight")
            #expect(await fixture.waits(until: executions(made.id, "state = 'claimed'"), is: 0))
            let delivered = try await fixture.count(executions(made.id, "state = 'delivered' AND origin = 'backfill'"))
            let cancelled = try await fixture.count(executions(made.id, "state = 'cancelled'"))
            #expect(delivered + cancelled == 1000 && cancelled > 500, "\(delivered) and \(cancelled)")
        }

        @Test(
            "What a backfill refuses",
            arguments: [
                (#""from":"2020-01-01T00:00:00Z""#, "20422 /from"),
                (#""from":"2126-01-01T00:00:00Z","to":"2126-01-02T00:00:00Z""#, "10426 /to"),
                (#""to":"2026-01-01T00:00:00Z""#, "10425 /from"),
                (#""from":"yesterday","limit":5000"#, "10426 /from /limit"),
            ])
        func refusals(fields: String, expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            #expect(
                try await fixture.refused("schedule.backfill", #"{"name":"nobody",\#(fields)}"#, in: Self.namespace)
                    == expected)
        }

        @Test("What the tables say of a moment is told in sentences; statistics count it")
        func explains() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await create("ex", cron: "0 * * * *", "", fixture)
            try await fixture.done(
                "schedule.pause", #"{"name":"ex","reason":"holidays","actor":"ann"}"#, in: Self.namespace)
            // As if it had been paused for twenty hours.
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET created_at = created_at - interval '1 day' WHERE id = '\(id)';
                    UPDATE scheduler.timers SET resume_from = date_trunc('hour', now()) - interval '19 hours'
                    WHERE schedule_id = '\(id)'
                    """)
            func verdict(_ at: String) async throws -> (String, String) {
                let reply = try await fixture.done(
                    "schedule.explain", #"{"name":"ex","at":"\#(at)"}"#, in: Self.namespace)
                let explanation = try #require(reply["explanation"])
                let sentences = explanation.items("sentences").compactMap(\.string).joined(separator: " ")
                return (explanation["verdict"]?.string ?? "", sentences)
            }
            let hour = try #require(
                try await fixture.rows(
                    """
                    SELECT to_char(date_trunc('hour', now() AT TIME ZONE 'UTC') - interval '3 hours',
                        'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                    """
                ).first?[0])
            let held = try await verdict(hour)
            #expect(held.0 == "held" && held.1.contains("is paused (holidays)"), "\(held)")
            try await fixture.done("schedule.resume", #"{"name":"ex"}"#, in: Self.namespace)
            let skipped = try await verdict(hour)
            #expect(skipped.0 == "skipped" && skipped.1.contains("a run of 20 skipped occurrences"), "\(skipped)")
            let trigger = try await fixture.done("schedule.trigger", #"{"name":"ex"}"#, in: Self.namespace)
            #expect(await fixture.waits(until: executions(id, "state = 'delivered'"), is: 1))
            let at = try #require(trigger["execution"]?["scheduled_for"]?.string)
            let triggered = try await verdict(at)
            #expect(triggered.1.contains("A trigger made execution"), "\(triggered)")
            #expect(try await verdict("2126-01-01T00:00:00Z").0 == "in_the_future")
            #expect(try await verdict("2020-01-01T00:00:00Z").0 == "not_an_occurrence")
            let reply = try await fixture.done("schedule.stats", #"{"name":"ex"}"#, in: Self.namespace)
            let stats = try #require(reply["stats"])
            #expect(stats["outcomes"]?["delivered"]?.int64 == 1 && stats["outcomes"]?["skipped"]?.int64 == 20)
            #expect(stats["skipped"]?["paused"]?.int64 == 20 && stats["success_rate"]?.double == 1)
            #expect(stats["triggers"]?["manual"]?.int64 == 1 && stats["total"]?.int64 == 21)
            let most = try #require(stats["lateness_ms"]?["max"]?.int64)
            #expect(most >= 0 && stats["lateness_ms"]?["p50"]?.int64 == most)
            let all = try await fixture.done("execution.stats", #"{"window_seconds":172800}"#, in: Self.namespace)
            #expect(all["stats"]?["skipped"]?["paused"]?.int64 == 20 && all["stats"]?["complete"]?.bool == true)
            for (fields, total) in [
                (#""target_command":"demo.ex""#, 21), (#""target_command":"demo.nobody""#, 0),
                (#""target_command":"demo.ex","schedule_name":"ex""#, 21),
            ] as [(String, Int64)] {
                let part = try await fixture.done("execution.stats", "{\(fields)}", in: Self.namespace)
                #expect(part["stats"]?["total"]?.int64 == total, "\(fields)")
                #expect(part["stats"]?["duration_ms"]?.isNull == true, "nothing of it is tracked")
            }
            #expect(
                try await fixture.refused("execution.stats", #"{"target_command":"a b"}"#, in: Self.namespace)
                    == "10426 /target_command")
            #expect(
                try await fixture.refused("execution.stats", #"{"window_seconds":99999999}"#, in: Self.namespace)
                    == "20422 /window_seconds")
        }

        @Test("A fire and a misfire are told as what they are")
        func explainsFires() async throws {
            let fixture = try await SharedSystem.running.fixture
            func verdict(_ name: String, _ at: String) async throws -> String {
                let reply = try await fixture.done(
                    "schedule.explain", #"{"name":"\#(name)","at":"\#(at)"}"#, in: Self.namespace)
                return reply["explanation"]?["verdict"]?.string ?? "none"
            }
            let id = try await create("often", cron: "* * * * * *", "", fixture)
            let delivered = executions(id, "state = 'delivered'")
            #expect(await waitUntil(.seconds(10)) { (try? await fixture.count(delivered)) ?? 0 > 0 })
            try await fixture.done("schedule.pause", #"{"name":"often"}"#, in: Self.namespace)
            let fires = try await fixture.done(
                "execution.list", #"{"schedule_name":"often","status":"delivered"}"#, in: Self.namespace)
            let fire = try #require(fires.items("executions").last)
            let isLate = fire["lateness_ms"]?.int64 ?? 0 >= 1000
            let at = try #require(fire["scheduled_for"]?.string)
            #expect(try await verdict("often", at) == (isLate ? "late" : "fired"))
            // Two hours and a bit of misfires, over which the resume lets the policy decide.
            let fields = #","misfire_policy":"skip","misfire_grace_seconds":1,"paused":true"#
            let missed = try await create("missed", cron: "0 * * * *", fields, fixture)
            let hour = "date_trunc('hour', now() - interval '2 hours')"
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET created_at = created_at - interval '1 day' WHERE id = '\(missed)';
                    UPDATE scheduler.timers SET resume_from = \(hour) WHERE schedule_id = '\(missed)'
                    """)
            try await fixture.done("schedule.resume", #"{"name":"missed","catch_up":true}"#, in: Self.namespace)
            let misfires = executions(missed, "reason = 'misfire'")
            #expect(await waitUntil(.seconds(10)) { (try? await fixture.count(misfires)) ?? 0 > 1 })
            let first = try #require(
                try await fixture.rows("SELECT extract(epoch FROM \(hour))::bigint::text").first?[0].flatMap {
                    Int64($0)
                })
            #expect(try await verdict("missed", Instant(milliseconds: first * 1000).rfc3339) == "skipped")
        }

        @Test("A change of the clocks is told")
        func clocks() async throws {
            let fixture = try await SharedSystem.running.fixture
            _ = try await create("dst", cron: "30 2 * * *", #","timezone":"Europe/Paris","paused":true"#, fixture)
            let reply = try await fixture.done(
                "schedule.explain", #"{"name":"dst","at":"2026-03-29T01:00:00Z"}"#, in: Self.namespace)
            let sentences = try #require(reply["explanation"]).items("sentences").compactMap(\.string)
            #expect(sentences.contains { $0.contains("The clocks jumped over its local time") }, "\(sentences)")
        }

        @Test("An execution that waits is cancelled, wherever it waits, and made again; one that is gone is not")
        func cancels() async throws {
            let fixture = try await ServiceFixture.start()
            let instances = [try await fixture.startInstance("one"), try await fixture.startInstance("two")]
            let id = try await create("cx", cron: "* * * * * *", #","paused":true"#, fixture)
            // At a hundred a second all but the first stand in line.
            let body = #"{"name":"cx","from":"\#(Self.ago(7200))","limit":1000}"#
            try await fixture.done("schedule.backfill", body, in: Self.namespace)
            let begun = executions(id, "state = 'delivered'")
            #expect(await waitUntil(.seconds(10)) { (try? await fixture.count(begun)) ?? 0 > 0 })
            let waiting = try await fixture.rows(
                "SELECT id::text FROM scheduler.executions WHERE schedule_id = '\(id)' ORDER BY id DESC LIMIT 6"
            ).compactMap { $0[0] }
            // Whichever instance answers, whoever holds it.
            for execution in waiting {
                let reply = try await fixture.done(
                    "execution.cancel", #"{"id":"\#(execution)","actor":"ann","request_id":"c-\#(execution)"}"#,
                    in: Self.namespace)
                #expect(reply["execution"]?["status"]?.string == "cancelled")
                #expect(reply["execution"]?["reason"]?.string == "asked by ann")
            }
            #expect(try await fixture.count(executions(id, "state = 'cancelled'")) == 6)
            let noted =
                "SELECT count(*) FROM scheduler.audit_log WHERE action = 'execution_cancelled' AND actor = 'ann'"
            #expect(try await fixture.count(noted) == 6)
            // Again: as it stands, and nobody is asked.
            try await fixture.done("execution.cancel", #"{"id":"\#(waiting[0])"}"#, in: Self.namespace)
            #expect(
                await waitUntil(.seconds(10)) {
                    let told = (try? await fixture.events(of: id)) ?? []
                    return told.count { $0 == "execution cancelled" } == 6
                })
            let delivered = try #require(
                try await fixture.rows(
                    "SELECT id::text FROM scheduler.executions WHERE state = 'delivered' LIMIT 1"
                ).first?[0])
            #expect(
                try await fixture.refused("execution.cancel", #"{"id":"\#(delivered)"}"#, in: Self.namespace) == "20412"
            )
            #expect(
                try await fixture.refused("execution.retry", #"{"id":"\#(delivered)"}"#, in: Self.namespace) == "20412")
            #expect(
                try await fixture.refused("execution.cancel", #"{"id":"\#(waiting[0])"}"#, in: "other") == "20405")
            let retried = try await fixture.done(
                "execution.retry", #"{"id":"\#(waiting[0])","request_id":"r-1"}"#, in: Self.namespace)
            #expect(retried["execution"]?["retry_of"]?.string == waiting[0])
            #expect(retried["execution"]?["trigger"]?.string == "backfill")
            let again = executions(id, "state = 'delivered' AND retry_of = '\(waiting[0])' AND origin = 'retry'")
            #expect(await fixture.waits(until: again, is: 1))
            try await cancelSilent(fixture)
            try await rescue(id, instances, fixture)
            try await full(fixture)
            for instance in instances { await instance.kill() }
            try await goBack(fixture)
            await fixture.stop()
        }

        /// What waits for a target that nobody takes can be cancelled between two probes.
        private func cancelSilent(_ fixture: ServiceFixture) async throws {
            let body = """
                {"name":"silent","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.silent"}
                """
            try await fixture.done("schedule.create", body, in: Self.namespace)
            let reply = try await fixture.done("schedule.trigger", #"{"name":"silent"}"#, in: Self.namespace)
            let id = try #require(reply["execution"]?["id"]?.string)
            let rehearsed = try await fixture.done(
                "execution.cancel", #"{"id":"\#(id)","dry_run":true}"#, in: Self.namespace)
            #expect(rehearsed["execution"]?["status"]?.string == "cancelled")
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.executions WHERE id = '\(id)' AND state = 'claimed'") == 1)
            let cancelled = try await fixture.done("execution.cancel", #"{"id":"\#(id)"}"#, in: Self.namespace)
            #expect(cancelled["execution"]?["status"]?.string == "cancelled")
        }

        /// The schema before knows no cancelled execution.
        private func goBack(_ fixture: ServiceFixture) async throws {
            let migrator = try Schema.migrator(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            let version = try #require(try await migrator.status().first { $0.name == "ledger" }?.version)
            _ = try await migrator.down(to: version - 1)
            let cancelled =
                "SELECT count(*) FROM scheduler.executions WHERE last_outcome = 'cancelled' AND state = 'dead'"
            #expect(try await fixture.count(cancelled) == 7)
            await #expect(throws: PostgresError.self) {
                try await fixture.database.execute(
                    script: "UPDATE scheduler.executions SET reason = 'x' WHERE state = 'dead'")
            }
            _ = try await migrator.up()
        }

        /// What a dead instance had waiting for its rate waits for it with the next one too.
        private func rescue(_ id: String, _ instances: [ServiceInstance], _ fixture: ServiceFixture) async throws {
            let holders = try await fixture.rows(
                """
                SELECT i.name FROM scheduler.executions e JOIN scheduler.instances i ON i.id = e.claimed_by
                WHERE e.schedule_id = '\(id)' AND e.state = 'claimed' AND e.origin = 'backfill' GROUP BY 1
                """
            ).compactMap { $0[0] }
            let holder = try #require(instances.first { holders == [$0.name] })
            await holder.kill()
            let of = """
                claimed_by IN (SELECT id FROM scheduler.instances WHERE name <> '\(holder.name)') AND origin = 'backfill'
                """
            let (fired, waiting) = (
                executions(id, "\(of) AND fired_at IS NOT NULL"), executions(id, "\(of) AND state = 'claimed'")
            )
            #expect(await waitUntil(.seconds(20)) { (try? await fixture.count(fired)) ?? 0 > 0 })
            #expect(try await fixture.count(waiting) > 100, "all at once, or too little was left to tell")
        }

        /// What waits for its rate is bounded, or a requester could fill the memory.
        private func full(_ fixture: ServiceFixture) async throws {
            var refusal = "none"
            for _ in 0..<24 where refusal == "none" {
                let reply = try await fixture.command(
                    "schedule.backfill", #"{"name":"cx","from":"\#(Self.ago(3600))","limit":1000}"#,
                    namespace: Self.namespace)
                if let error = reply["error"] { refusal = "\(error["err_code"]?.int64 ?? 0)" }
            }
            #expect(refusal == "40409")
        }
    }
}
