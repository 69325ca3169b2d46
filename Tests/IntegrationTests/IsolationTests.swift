import JSONText
import ServiceFixture
import Testing

extension Integration {
    /// What one namespace made is not there for another, by whatever command it asks.
    @Suite("Namespaces apart", .serialized, .timeLimit(.minutes(1))) struct IsolationTests {
        /// With `ID` for the other's schedule and `EXECUTION` for its execution.
        static let commands = [
            ("schedule.get", #"{"id":"ID"}"#), ("schedule.get", #"{"name":"mine"}"#),
            ("schedule.update", #"{"id":"ID","description":"theirs"}"#), ("schedule.delete", #"{"id":"ID"}"#),
            ("schedule.pause", #"{"id":"ID"}"#), ("schedule.resume", #"{"id":"ID"}"#),
            ("schedule.trigger", #"{"id":"ID"}"#), ("schedule.preview", #"{"id":"ID"}"#),
            ("schedule.backfill", #"{"id":"ID","from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z"}"#),
            ("schedule.explain", #"{"id":"ID","at":"2026-01-01T00:00:00Z"}"#), ("schedule.stats", #"{"id":"ID"}"#),
            ("schedule.timeline", #"{"id":"ID"}"#),
            ("execution.get", #"{"id":"EXECUTION"}"#), ("execution.cancel", #"{"id":"EXECUTION"}"#),
            ("execution.retry", #"{"id":"EXECUTION"}"#),
        ]

        @Test("Another's schedules and executions are not found, listed or changed")
        func apart() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create",
                #"{"name":"mine","schedule_type":"cron","cron_expression":"0 0 1 1 *","target_command":"demo.js.mine"}"#,
                in: "apart-a"
            ).id
            let fired = try await fixture.done("schedule.trigger", #"{"id":"\#(id)"}"#, in: "apart-a")
            let execution = try #require(fired["execution"]?["id"]?.string)
            let done = "SELECT count(*) FROM scheduler.executions WHERE id = '\(execution)' AND state = 'delivered'"
            #expect(await fixture.waits(until: done, is: 1))
            let row =
                "SELECT md5(s::text || t::text) FROM scheduler.schedules s JOIN scheduler.timers t ON t.schedule_id = s.id WHERE s.id = '\(id)'"
            let before = try await fixture.rows(row)
            for (command, body) in Self.commands {
                let body = body.replacing("ID\"", with: id + "\"").replacing("EXECUTION", with: execution)
                let refused = try await fixture.refused(command, body, in: "apart-b")
                #expect(refused.hasPrefix("204"), "\(command): \(refused)")
            }
            for command in ["schedule.list", "execution.list", "audit.list"] {
                let reply = try await fixture.done(command, "", in: "apart-b")
                let text = String(decoding: reply.bytes, as: UTF8.self)
                #expect(!text.contains(id) && !text.contains(execution), "\(command)")
            }
            let bulk = try await fixture.command(
                "schedule.bulk", #"{"ids":["\#(id)"],"operation":"delete","reason":"theirs"}"#, namespace: "apart-b")
            #expect(String(decoding: bulk.bytes, as: UTF8.self).contains("20404"))
            #expect(try await fixture.rows(row) == before)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)'") == 1)
        }
    }
}
