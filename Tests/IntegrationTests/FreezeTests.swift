import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import ServiceFixture
import Testing

extension Integration {
    /// Freezes through the real engine. Each test has a namespace of its own.
    @Suite("Freezes", .serialized, .timeLimit(.minutes(2))) struct FreezeTests {
        private func administer(
            _ fixture: ServiceFixture, _ verb: String, _ body: String
        ) async throws -> JSONValue {
            let reply = try await fixture.client.request(
                try Subject("scheduler.admin.freeze.\(verb)"), payload: Array(body.utf8), timeout: .seconds(5))
            let value = try JSONValue.parse(reply.payload)
            if let error = value["error"] {
                throw FixtureError(description: "\(verb) \(body): \(String(decoding: error.bytes, as: UTF8.self))")
            }
            return value
        }

        /// Sets a freeze that begins now. - Returns: its id.
        private func freeze(
            _ fixture: ServiceFixture, _ namespace: String, seconds: Int = 600, _ fields: String = ""
        ) async throws -> String {
            let until = try await fixture.instant(in: "\(seconds) seconds")
            let body = #"{"namespace":"\#(namespace)","until":"\#(until)","reason":"release day"\#(fields)}"#
            return try await administer(fixture, "set", body)["freeze"]?["id"]?.string ?? "no id"
        }

        @Test("While a freeze holds nothing fires from its reply on; afterwards what it held is released once, on time")
        func holds() async throws {
            let fixture = try await SharedSystem.running.fixture
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"s","schedule_type":"interval","interval_seconds":0.2,"target_command":"demo.js.frz","misfire_grace_seconds":1}"#,
                in: "frzhold")
            let other = try await fixture.done(
                "schedule.create",
                #"{"name":"s","schedule_type":"interval","interval_seconds":0.2,"target_command":"demo.js.frzother"}"#,
                in: "frzother")
            let rows = "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(created.id)'"
            let fired = try FiredMessages("demo.js.frz", on: fixture.client)
            #expect(await waitUntil(.seconds(10)) { fired.count > 3 })
            let id = try await freeze(fixture, "frzhold")
            let count = fired.count
            let free =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(other.id)' AND state = 'delivered'"
            let others = try await fixture.count(free)
            // Somebody else's schedule goes on for two seconds.
            #expect(await waitUntil(.seconds(10)) { ((try? await fixture.count(free)) ?? 0) > others + 10 })
            #expect(fired.count == count)
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"s"}"#, in: "frzhold") == "20433")
            try await fixture.done("schedule.trigger", #"{"name":"s","force":true}"#, in: "frzhold")
            #expect(await waitUntil(.seconds(5)) { fired.count == count + 1 })
            let status = try #require(try await fixture.statuses().first)
            #expect(
                status.items("freezes").contains { $0["id"]?.string == id && $0["reason"]?.string == "release day" })
            let listed = try await administer(fixture, "list", "")
            #expect(listed.items("freezes").contains { $0["id"]?.string == id && $0["state"]?.string == "active" })
            let cleared = try await administer(fixture, "clear", #"{"id":"\#(id)"}"#)
            #expect(cleared["freeze"]?["state"]?.string == "ended")
            #expect(await waitUntil(.seconds(10)) { fired.count > count + 5 })
            // Over a second late by the clock, but not by its release: one catch-up, no misfire.
            #expect(try await fixture.count("\(rows) AND reason = 'misfire'") == 0)
            #expect(try await fixture.count("\(rows) AND trigger = 'catchup' AND missed_count >= 9") == 1)
            try await fixture.done("schedule.delete", #"{"name":"s"}"#, in: "frzhold")
            try await fixture.done("schedule.delete", #"{"name":"s"}"#, in: "frzother")
            fired.cancel()
            let gaps = try await fixture.count(
                """
                SELECT (extract(epoch FROM max(scheduled_for) - min(coalesce(range_from, scheduled_for))) * 5)::bigint + 1
                    - sum(range_count)::bigint
                FROM scheduler.executions WHERE schedule_id = '\(created.id)' AND origin = 'time'
                """)
            #expect(gaps == 0)
            let actions = try await fixture.rows(
                "SELECT action FROM scheduler.audit_log WHERE name = '\(id)' ORDER BY id")
            #expect(actions.map { $0[0] } == ["freeze_set", "freeze_cleared"])
        }

        @Test("What was held is released oldest first, at the freeze's rate")
        func releases() async throws {
            let fixture = try await SharedSystem.running.fixture
            let fired = try FiredMessages("demo.js.ramp.>", on: fixture.client)
            _ = try await freeze(
                fixture, "frzramp", seconds: 4, #","target":"demo.js.ramp.*","release_per_second":10"#)
            for number in 0..<12 {
                try await fixture.done(
                    "schedule.create",
                    #"{"name":"r\#(number)","schedule_type":"immediate","target_command":"demo.js.ramp.\#(number)","misfire_grace_seconds":1}"#,
                    in: "frzramp")
            }
            #expect(fired.count == 0)
            #expect(await waitUntil(.seconds(15)) { fired.count == 12 })
            let arrivals = fired.all.sorted { $0.at < $1.at }
            #expect(arrivals.map(\.scheduledFor) == arrivals.map(\.scheduledFor).sorted())
            // Twelve turns of a tenth of a second; the first has none to wait for.
            let took = (arrivals.last?.at ?? 0) - (arrivals.first?.at ?? 0)
            #expect((900_000...2_500_000).contains(took), "took \(took) us")
            #expect(
                try await fixture.count(
                    """
                    SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                    WHERE s.namespace = 'frzramp' AND e.trigger = 'immediate' AND e.missed_count = 0
                    """) == 12)
            fired.cancel()
        }

        @Test("One that is replaced, by a command or an import, lets go at once what it does not concern any more")
        func replaced() async throws {
            let fixture = try await SharedSystem.running.fixture
            let fired = try FiredMessages("demo.js.frzturn", on: fixture.client)
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"s","schedule_type":"interval","interval_seconds":0.2,"target_command":"demo.js.frzturn"}"#,
                in: "frzturn")
            let held = """
                SELECT count(*) FROM scheduler.timers
                WHERE schedule_id = '\(created.id)' AND next_fire_at > now() + interval '500 seconds'
                """
            func goesOn() async -> Bool {
                let count = fired.count
                return await waitUntil(.seconds(10)) { fired.count > count + 2 }
            }
            func restore(_ fields: String) async throws {
                let until = try await fixture.instant(in: "1 hour")
                let record = """
                    {"kind":"freeze","id":"\(id)","namespace":"frzturn","from":"2026-01-01T00:00:00Z",\
                    "until":"\(until)","mode":"defer","release_per_second":100,\
                    "created_at":"2026-01-01T00:00:00Z"\(fields)}
                    """
                let reply = try await fixture.administer("data.import", #"{"overwrite":true,"records":[\#(record)]}"#)
                #expect(reply["import"]?["overwritten"]?.int64 == 1, "\(reply)")
            }
            #expect(await goesOn())
            let id = try await freeze(fixture, "frzturn")
            #expect(await fixture.waits(until: held, is: 1))
            _ = try await freeze(fixture, "frzturn", #","id":"\#(id)","target":"demo.other""#)
            #expect(await goesOn())
            // One that an import brings holds from the reply on.
            try await restore("")
            let count = fired.count
            #expect(await fixture.waits(until: held, is: 1))
            #expect(fired.count == count)
            try await restore(#","target":"demo.other""#)
            #expect(await goesOn())
            _ = try await administer(fixture, "clear", #"{"id":"\#(id)"}"#)
            try await fixture.done("schedule.delete", #"{"name":"s"}"#, in: "frzturn")
            fired.cancel()
        }

        @Test("A freeze that skips leaves its reason in the ledger, and nothing afterwards")
        func skips() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await freeze(fixture, "frzskip", #","mode":"skip""#)
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"s","schedule_type":"interval","interval_seconds":0.2,"target_command":"demo.js.c"}"#,
                in: "frzskip")
            let rows =
                "SELECT coalesce(sum(range_count), 0)::bigint FROM scheduler.executions WHERE schedule_id = '\(created.id)'"
            #expect(
                await waitUntil(.seconds(10)) { ((try? await fixture.count("\(rows) AND reason = 'window'")) ?? 0) > 5 }
            )
            #expect(try await fixture.count("\(rows) AND state <> 'skipped'") == 0)
            _ = try await administer(fixture, "clear", #"{"id":"\#(id)"}"#)
            #expect(
                await waitUntil(.seconds(10)) {
                    ((try? await fixture.count("\(rows) AND state = 'delivered'")) ?? 0) > 3
                })
            // What was skipped is not made up; a tick or two may go by before the end is seen.
            #expect(try await fixture.count("\(rows) AND missed_count > 5") == 0)
            try await fixture.done("schedule.delete", #"{"name":"s"}"#, in: "frzskip")
        }

        @Test(
            "Each fault has its code and its place",
            arguments: [
                ("set", "{}", "10425 /until"), ("set", #"{"until":"2020-01-01T00:00:00Z"}"#, "10426 /until"),
                ("set", #"{"until":"2100-01-01T00:00:00Z"}"#, "10426 /until"),
                (
                    "set", #"{"until":"x","target":"a..b","namespace":"_","mode":"melt","release_per_second":0}"#,
                    "10426 /namespace /target /until /mode /release_per_second"
                ),
                ("clear", "{}", "10425 /id"),
                ("clear", #"{"id":"01a1fd73-4acf-7c52-9c07-fd9a55eb6b51"}"#, "20432"), ("melt", "{}", "10404"),
                ("list", #"{"a":1}"#, "10423 /a"),
            ])
        func refuses(verb: String, body: String, expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            let answer = try await fixture.refused(
                "freeze.\(verb)", Array(body.utf8), subject: "scheduler.admin.freeze.\(verb)")
            #expect(answer == expected)
        }
    }
}
