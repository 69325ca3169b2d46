import JSONText
import LocalServers
import ServiceFixture
import Testing

extension Integration {
    /// `dry_run`: what would change, which fires come and go, and nothing done.
    @Suite("Rehearsal", .serialized, .timeLimit(.minutes(1))) struct RehearsalTests {
        private static let daily =
            #""schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.js.r","dry_run":true"#

        /// `before after +added -removed`.
        private func fires(_ reply: JSONValue) -> String {
            let fires = reply["fires"]
            let counts = ["before_count", "after_count", "added", "removed"].map { fires?[$0]?.int64 ?? -1 }
            return "\(counts[0]) \(counts[1]) +\(counts[2]) -\(counts[3])"
        }

        @Test("Each command tells what it would do to the fields and to the fires of 7 days, and does nothing")
        func tellsAndDoesNothing() async throws {
            let fixture = try await TwoInstances.running.fixture
            let created = try await fixture.done("schedule.create", #"{"name":"d",\#(Self.daily)}"#, in: "rehearsal")
            #expect(created["dry_run"]?.bool == true && fires(created) == "0 7 +7 -0")
            #expect(created.changes == [#"/state: null -> "active""#])
            #expect(try await fixture.refused("schedule.get", #"{"name":"d"}"#, in: "rehearsal") == "20404")
            let real = try await fixture.done(
                "schedule.create",
                #"{"name":"d","schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.js.r"}"#,
                in: "rehearsal")
            let edited = try await fixture.done(
                "schedule.update", #"{"name":"d","cron_expression":"0 9,10 * * *","dry_run":true}"#, in: "rehearsal")
            #expect(edited.changes == [#"/cron_expression: "0 9 * * *" -> "0 9,10 * * *""#])
            #expect(fires(edited) == "7 14 +7 -0" && edited["fires"]?["truncated"]?.bool == false)
            #expect(edited["fires"]?["before"]?.count == 7 && edited["fires"]?["after"]?.count == 14)
            let put = try await fixture.done(
                "schedule.put", #"{"name":"d",\#(Self.daily),"priority":1}"#, in: "rehearsal")
            #expect(put["outcome"]?.string == "updated" && put.changes == ["/priority: 5 -> 1"])
            #expect(fires(put) == "7 7 +0 -0")
            for command in ["pause", "delete"] {
                let reply = try await fixture.done(
                    "schedule.\(command)", #"{"name":"d","dry_run":true}"#, in: "rehearsal")
                #expect(fires(reply) == "7 0 +0 -7" && reply.changes.count == 1, "\(command)")
            }
            let triggered = try await fixture.done(
                "schedule.trigger", #"{"name":"d","dry_run":true}"#, in: "rehearsal")
            #expect(triggered["dry_run"]?.bool == true && triggered["execution"] != nil && triggered["fires"] == nil)
            let shown = try await fixture.done("schedule.get", #"{"name":"d"}"#, in: "rehearsal")
            #expect(shown.schedule["version"]?.int64 == 1 && shown.schedule["state"]?.string == "active")
            #expect(try await fixture.ledger(of: real.id).isEmpty)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.audit_log WHERE namespace = 'rehearsal'") == 1)
        }

        @Test("Six million fires are not counted one by one: the comparison ends early and says through when it holds")
        func isBounded() async throws {
            let fixture = try await TwoInstances.running.fixture
            let reply = try await fixture.done(
                "schedule.create",
                #"{"name":"q","schedule_type":"interval","interval_seconds":0.1,"target_command":"demo.js.r","dry_run":true}"#,
                in: "rehearsal")
            #expect(fires(reply) == "0 20000 +20000 -0" && reply["fires"]?["truncated"]?.bool == true)
            #expect(reply["fires"]?["after"]?.count == 100)
        }
    }
}
