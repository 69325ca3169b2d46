import ServiceFixture
import Testing

extension Integration {
    @Suite("What one claim opens", .serialized, .timeLimit(.minutes(1))) struct ClaimReachTests {
        /// A period of a second: the look-ahead alone would open one at a time.
        @Test("Occurrences within a claim's reach are opened together, those that take a place one by one")
        func together() async throws {
            let fixture = try await SharedSystem.running.fixture
            let common = #""schedule_type":"interval","interval_seconds":1,"max_runs":6"#
            let plain = try await fixture.done(
                "schedule.create", #"{\#(common),"target_command":"demo.js.reach"}"#, in: "reach"
            ).id
            let tracked = try await fixture.done(
                "schedule.create",
                #"{\#(common),"target_command":"demo.js.reach","completion":"report","overlap_policy":"allow","max_in_flight":3,"max_retries":0,"run_timeout_seconds":0.5}"#,
                in: "reach"
            ).id
            func opened(_ id: String) async throws -> [String?] {
                try await fixture.rows(
                    "SELECT count(*)::text, count(DISTINCT claimed_at)::text FROM scheduler.executions WHERE schedule_id = '\(id)'"
                )[0]
            }
            for id in [plain, tracked] {
                #expect(
                    await fixture.waits(
                        .seconds(20),
                        until:
                            "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND finished_at IS NOT NULL",
                        is: 6))
            }
            let together = try await opened(plain)
            #expect(together[0] == "6" && Int(together[1] ?? "6") ?? 6 < 6, "\(together)")
            #expect(try await opened(tracked) == ["6", "6"])
        }
    }
}
