import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// What a body may be, and what it says besides a definition.
    @Suite("Bodies", .serialized, .timeLimit(.minutes(1))) struct BodyTests {
        private static let far = #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.b""#

        @Test("No body, blanks, null and {} are the same where nothing is needed")
        func empties() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await fixture.done("schedule.create", #"{"name":"s",\#(Self.far)}"#, in: "empties")
            for command in ["schedule.list", "target.list"] {
                var replies: Set<[UInt8]> = []
                for body in ["", " ", "\n", "null", " null ", "{}", " { } "] {
                    replies.insert(Array(try await fixture.done(command, body, in: "empties").bytes))
                }
                #expect(replies.count == 1, "\(command)")
            }
        }

        @Test("A request without a reply subject that is refused harms nothing")
        func silentRefusals() async throws {
            let fixture = try await SharedSystem.running.fixture
            let bodies = [
                ("schedule.create", "{"), ("schedule.create", #"{\#(Self.far),"nonsense":1}"#),
                ("schedule.create", #"{"schedule_type":"immediate","target_command":"other.a"}"#),
                ("schedule.pause", #"{"name":"nobody"}"#), ("schedule.vanish", "{}"), ("no.noun", ""),
                // The last is taken: by then the others were looked at.
                ("schedule.create", #"{"name":"last",\#(Self.far)}"#),
            ]
            for (command, body) in bodies {
                try fixture.client.publish(
                    try Subject("scheduler.cmd.silence.\(command)"), payload: Array(body.utf8))
            }
            let made = "SELECT count(*) FROM scheduler.schedules WHERE namespace = 'silence'"
            #expect(await fixture.waits(until: made, is: 1))
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.audit_log WHERE namespace = 'silence'") == 1)
            #expect(try await fixture.statuses().allSatisfy { $0["ready"]?.bool == true })
        }

        @Test("One body is validated, previewed and created")
        func oneBody() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{"name":"one",\#(Self.far),"paused":true,"request_id":"o-1","actor":"ann","reason":"why"}"#
            #expect(try await fixture.done("schedule.validate", body, in: "onebody")["valid"]?.bool == true)
            #expect(try await fixture.done("schedule.preview", body, in: "onebody")["fires"]?.count == 10)
            let made = try await fixture.done("schedule.create", body, in: "onebody")
            #expect(made.schedule["state"]?.string == "paused" && made.schedule["created_by"]?.string == "ann")
            #expect(
                try await fixture.refused("schedule.preview", #"{\#(Self.far),"paused":1}"#, in: "onebody")
                    == "10424 /paused")
        }

        @Test("An update with paused pauses and resumes in the same change; without it the state stays")
        func updatePaused() async throws {
            let fixture = try await SharedSystem.running.fixture
            func update(_ fields: String) async throws -> JSONValue {
                try await fixture.done("schedule.update", #"{"name":"u",\#(fields)}"#, in: "turns")
            }
            let created = try await fixture.done("schedule.create", #"{"name":"u",\#(Self.far)}"#, in: "turns")
            let rehearsed = try await update(#""paused":true,"dry_run":true"#)
            #expect(rehearsed.changes == [#"/state: "active" -> "paused""#])
            let paused = try await update(#""priority":1,"paused":true,"reason":"freeze""#)
            #expect(paused.schedule["state"]?.string == "paused" && paused.schedule["version"]?.int64 == 2)
            #expect(paused.schedule["pause_reason"]?.string == "freeze" && paused.schedule["priority"]?.int64 == 1)
            #expect(paused.schedule["next_fire_at"] == nil)
            // The second says nothing, and makes no version.
            for fields in [#""description":"x""#, #""paused":null"#, #""interval_seconds":7200,"paused":true"#] {
                #expect(try await update(fields).schedule["state"]?.string == "paused")
            }
            let resumed = try await update(#""description":"y","paused":false"#)
            #expect(resumed.schedule["state"]?.string == "active" && resumed.schedule["version"]?.int64 == 5)
            #expect(resumed.schedule["pause_reason"] == nil && resumed.schedule["description"]?.string == "y")
            #expect(resumed.schedule["next_fire_at"]?.string == resumed.schedule.items("next_fires").first?.string)
            #expect(resumed.schedule["next_fire_at"]?.string != created.schedule["next_fire_at"]?.string)
            #expect(try await update(#""priority":2"#).schedule["state"]?.string == "active")
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"u","paused":1}"#, in: "turns")
                    == "10424 /paused")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: created.id) == [
                    "schedule created", "schedule updated", "schedule paused", "schedule updated", "schedule updated",
                    "schedule updated", "schedule resumed", "schedule updated",
                ])
        }

        @Test(
            "A pause by update lets nothing fire from its reply on; what was over lives again in the state it asks for")
        func pausesByUpdate() async throws {
            let fixture = try await SharedSystem.running.fixture
            let fired = try FiredMessages("demo.js.halt", on: fixture.client)
            try await fixture.client.flush(timeout: .seconds(2))
            try await fixture.done(
                "schedule.create",
                #"{"name":"h","schedule_type":"interval","interval_seconds":0.1,"target_command":"demo.js.halt"}"#,
                in: "halts")
            #expect(await waitUntil(.seconds(5)) { fired.count > 2 })
            let reply = try await fixture.done("schedule.update", #"{"name":"h","paused":true}"#, in: "halts")
            let inFlight = reply.items("in_flight").count
            let rows = "SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id"
            let open = "\(rows) WHERE s.namespace = 'halts' AND e.state = 'claimed'"
            #expect(try await fixture.count(open) <= Int64(inFlight))
            let once = try await fixture.done(
                "schedule.create", #"{"name":"o","schedule_type":"immediate","target_command":"demo.js.o"}"#,
                in: "halts")
            let exhausted = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(once.id)' AND state = 'exhausted'"
            #expect(await fixture.waits(until: exhausted, is: 1))
            let again = try await fixture.done(
                "schedule.update", #"{"name":"o","schedule_type":"interval","interval_seconds":0.1,"paused":true}"#,
                in: "halts")
            #expect(again.schedule["state"]?.string == "paused" && again.schedule["next_fire_at"] == nil)
            #expect(try await fixture.ledger(of: once.id) == ["delivered immediate 1"])
            fired.cancel()
        }
    }
}
