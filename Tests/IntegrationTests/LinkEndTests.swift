import JSONText
import LocalServers
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// Chains whose followers end, live again, or may not go on.
    @Suite("Ends of links", .serialized, .timeLimit(.minutes(1))) struct LinkEndTests {
        private static let space = "links"
        private static let far = #""schedule_type":"interval","interval_seconds":3000000"#

        private func make(
            _ name: String, timing: String = far, after: String? = nil, on target: String = "demo.js.l",
            _ fixture: ServiceFixture
        ) async throws -> String {
            let after = after.map { #","after":{"schedule":"\#($0)"}"# } ?? ""
            return try await fixture.done(
                "schedule.create", #"{"name":"\#(name)",\#(timing),"target_command":"\#(target)"\#(after)}"#,
                in: Self.space
            ).id
        }

        private func trigger(_ name: String, _ fixture: ServiceFixture) async throws {
            try await fixture.done("schedule.trigger", #"{"name":"\#(name)"}"#, in: Self.space)
        }

        private func delivered(_ id: String, _ count: Int64, _ fixture: ServiceFixture) async -> Bool {
            await fixture.waits(
                until: "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'",
                is: count)
        }

        private func links(_ id: String) -> String {
            """
            SELECT (SELECT count(*) FROM scheduler.links WHERE downstream = '\(id)')
                + (SELECT count(*) FROM scheduler.arrivals WHERE downstream = '\(id)')
                + (SELECT count(*) FROM scheduler.ended_upstreams WHERE downstream = '\(id)')
            """
        }

        @Test("What is over follows nobody, however it ended; with another timing it follows again", arguments: [1, 2])
        func over(way: Int) async throws {
            let fixture = try await TwoInstances.running.fixture
            let leader = "leader-\(way)"
            _ = try await make(leader, fixture)
            let id: String
            if way == 1 {
                // By its own last fire.
                id = try await make("over-1", timing: #""schedule_type":"immediate""#, after: leader, fixture)
            } else {
                // It goes on when nothing is left to come.
                id = try await make("over-2", after: leader, fixture)
                #expect(try await fixture.count(links(id)) == 1)
                try await fixture.done("schedule.pause", #"{"id":"\#(id)"}"#, in: Self.space)
                try await fixture.database.execute(
                    script: "UPDATE scheduler.timers SET resume_from = NULL WHERE schedule_id = '\(id)'")
                try await fixture.done("schedule.resume", #"{"id":"\#(id)"}"#, in: Self.space)
            }
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'exhausted'", is: 1)
            )
            #expect(try await fixture.count(links(id)) == 0)
            let before = try await fixture.ledger(of: id).count
            try await trigger(leader, fixture)
            try await fixture.done("schedule.update", #"{"name":"\#(leader)","description":"x"}"#, in: Self.space)
            // Another description revives nobody.
            try await fixture.done("schedule.update", #"{"id":"\#(id)","description":"x"}"#, in: Self.space)
            #expect(try await fixture.count(links(id)) == 0)
            try await fixture.done(
                "schedule.update",
                #"{"id":"\#(id)","schedule_type":"interval","interval_seconds":2000000}"#, in: Self.space)
            #expect(try await fixture.count(links(id)) == 1)
            try await trigger(leader, fixture)
            #expect(await delivered(id, Int64(before) + 1, fixture))
            #expect(try await fixture.ledger(of: id).last == "delivered after 1")
        }

        @Test("A frozen follower's ends wait together, and keep no other follower waiting")
        func frozen() async throws {
            let fixture = try await TwoInstances.running.fixture
            _ = try await make("busy", fixture)
            let frozen = try await make("frozen", after: "busy", on: "demo.js.ice.a", fixture)
            let other = try await make("other", after: "busy", fixture)
            let freeze = try await fixture.administer(
                "freeze.set", #"{"target":"demo.js.ice.>","until":"2027-01-01T00:00:00Z"}"#)
            for _ in 0..<5 { try await trigger("busy", fixture) }
            #expect(await delivered(other, 5, fixture))
            let waiting = "SELECT count(*) FROM scheduler.ended_upstreams WHERE downstream = '\(frozen)'"
            // Longer than a look or two.
            #expect(await fixture.waits(until: waiting + " AND not_before > now() + interval '30 seconds'", is: 5))
            // With another target no freeze holds it.
            try await fixture.done(
                "schedule.update", #"{"name":"frozen","target_command":"demo.js.l"}"#, in: Self.space)
            #expect(await delivered(frozen, 5, fixture))
            try await fixture.done(
                "schedule.update", #"{"name":"frozen","target_command":"demo.js.ice.a"}"#, in: Self.space)
            try await trigger("busy", fixture)
            #expect(await fixture.waits(until: waiting + " AND not_before > now() + interval '30 seconds'", is: 1))
            try await fixture.administer("freeze.clear", #"{"id":"\#(freeze["freeze"]?["id"]?.string ?? "?")"}"#)
            #expect(await delivered(frozen, 6, fixture))
        }
    }
}
