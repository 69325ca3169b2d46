import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// Whatever sets an execution off: of a schedule in shadow nothing is published.
    @Suite("What fires in shadow", .serialized, .timeLimit(.minutes(1))) struct ShadowFiresTests {
        private static let namespace = "shadowfires"

        private func command(
            _ command: String, _ name: String, _ rest: String = "", on fixture: ServiceFixture
        ) async throws -> JSONValue {
            try await fixture.done(command, #"{"name":"\#(name)"\#(rest)}"#, in: Self.namespace)
        }

        /// Made by one request; each is in shadow.
        private func make(_ fields: [(name: String, fields: String)], on fixture: ServiceFixture) async throws
            -> [String: String]
        {
            let bodies = fields.map {
                #"{"name":"\#($0.name)","target_command":"demo.shadowfires.\#($0.name)","delivery":"core","shadow":true,\#($0.fields)}"#
            }
            let reply = try await fixture.done(
                "schedule.bulk_create", #"{"schedules":[\#(bodies.joined(separator: ","))]}"#, in: Self.namespace)
            var ids: [String: String] = [:]
            for result in reply.items("results") {
                ids[result["schedule"]?["name"]?.string ?? "?"] = result["schedule"]?["id"]?.string
            }
            #expect(ids.count == fields.count, "\(reply)")
            return ids
        }

        @Test(
            "Backfills, what a resume catches up, forced triggers with a payload, messages, absences, retries: none goes out; a retry does once it is live"
        )
        func everyKind() async throws {
            let fixture = try await SharedSystem.running.fixture
            let fired = try FiredMessages("demo.shadowfires.>", on: fixture.client)
            try await fixture.client.flush()
            let ids = try await make(
                [
                    ("hand", #""schedule_type":"interval","interval_seconds":3000000"#),
                    ("past", #""schedule_type":"cron","cron_expression":"* * * * * *","max_runs":1"#),
                    (
                        "late",
                        #""schedule_type":"interval","interval_seconds":0.1,"misfire_policy":"fire_all","catchup_limit":1000,"misfire_grace_seconds":0"#
                    ),
                    ("heard", #""schedule_type":"event","event_subject":"demo.shadowheard""#),
                    ("absent", #""schedule_type":"absence","event_subject":"demo.shadowabsent","absence_seconds":1"#),
                ], on: fixture)
            let (hand, past, late) = (ids["hand"] ?? "", ids["past"] ?? "", ids["late"] ?? "")
            // An edit of something else leaves it in shadow.
            let edited = try await command("schedule.update", "hand", #","description":"d""#, on: fixture).schedule
            #expect(edited["shadow"]?.bool == true)
            _ = try await command("schedule.trigger", "hand", #","force":true,"payload":{"own":1}"#, on: fixture)
            #expect(await fixture.waits(until: rows(hand, shadowed), is: 1))
            try await retry("retry_of IS NULL", of: hand, on: fixture)
            #expect(await fixture.waits(until: rows(hand, shadowed), is: 2))

            #expect(await fixture.waits(until: rows(past, shadowed), is: 1))
            let range =
                #","from":"\#(try await fixture.instant(in: "-60 s"))","to":"\#(try await fixture.instant(in: "-30 s"))""#
            _ = try await command("schedule.backfill", "past", range + #","limit":3"#, on: fixture)
            #expect(await fixture.waits(until: rows(past, "\(shadowed) AND origin = 'backfill'"), is: 3))
            try await catchesUp(late, on: fixture)

            let heard = rows(ids["heard"] ?? "", shadowed)
            #expect(
                await waitUntil(.seconds(10)) {
                    _ = try? fixture.client.publish(try Subject("demo.shadowheard"), payload: Array("{}".utf8))
                    return ((try? await fixture.count(heard)) ?? 0) > 0
                })
            let absent = ids["absent"] ?? ""
            #expect(await fixture.waits(until: "SELECT least(1, (\(rows(absent, shadowed))))", is: 1))
            #expect(
                await waitUntil(.seconds(5)) {
                    (try? await fixture.events(of: absent).contains("schedule absent")) == true
                })
            try await fixture.client.flush()
            #expect(fired.count == 0)

            _ = try await command("schedule.update", "hand", #","shadow":false"#, on: fixture)
            try await retry("retry_of IS NOT NULL", of: hand, on: fixture)
            #expect(await waitUntil(.seconds(5)) { fired.count == 1 })
            fired.cancel()
            for name in ["hand", "late", "heard", "absent"] {
                _ = try await command("schedule.delete", name, on: fixture)
            }
        }

        private func retry(_ condition: String, of id: String, on fixture: ServiceFixture) async throws {
            let found = try await fixture.rows(
                "SELECT id::text FROM scheduler.executions WHERE schedule_id = '\(id)' AND \(condition)")
            try await fixture.done("execution.retry", #"{"id":"\#(found[0][0] ?? "")"}"#, in: Self.namespace)
        }

        private func catchesUp(_ id: String, on fixture: ServiceFixture) async throws {
            _ = try await command("schedule.pause", "late", on: fixture)
            let paused = "(SELECT max(updated_at) FROM scheduler.schedules WHERE id = '\(id)')"
            #expect(await fixture.waits(until: "SELECT (now() > \(paused) + interval '0.5 s')::int::bigint", is: 1))
            let from = try await fixture.rows("SELECT \(paused)::text")[0][0] ?? ""
            _ = try await command("schedule.resume", "late", #","catch_up":true"#, on: fixture)
            let caught = rows(
                id, "\(shadowed) AND scheduled_for BETWEEN '\(from)' AND '\(from)'::timestamptz + interval '0.5 s'")
            #expect(await fixture.waits(until: "SELECT least(4, (\(caught)))", is: 4))
            #expect(try await fixture.count(rows(id, "fired_at < due_at")) == 0)
        }

        @Test(
            "What waits for a place when its schedule comes into the shadow needs none any more; the worker is left alone"
        )
        func waits() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create",
                #"{"name":"line","schedule_type":"interval","interval_seconds":3000000,"target_command":"demo.js.shadowline","completion":"report","overlap_policy":"buffer"}"#,
                in: Self.namespace
            ).id
            let worker = try await HandWorker("demo.js.shadowline", on: fixture.client)
            _ = try await command("schedule.trigger", "line", on: fixture)
            #expect(await fixture.waits(until: rows(id, "state = 'delivered'"), is: 1))
            let reply = try await command("schedule.trigger", "line", on: fixture)
            #expect(reply["waiting"] != nil)
            _ = try await command("schedule.update", "line", #","shadow":true"#, on: fixture)
            #expect(await fixture.waits(until: rows(id, shadowed), is: 1))
            let open = "SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)' AND NOT cancelling"
            #expect(try await fixture.count(open) == 1)
            #expect(try await fixture.messages(of: "DEMO", on: "demo.js.shadowline").count == 1)
            _ = try await command("schedule.delete", "line", on: fixture)
            try await worker.report(try await worker.message(0), "succeeded")
            #expect(await fixture.waits(until: rows(id, "state = 'succeeded'"), is: 1))
        }
    }
}
