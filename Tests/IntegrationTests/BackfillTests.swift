import Glibc
import JSONText
import LocalServers
import PostgresClient
import Recurrence
import ServiceFixture
import Testing

extension Integration {
    /// What a backfill does in each state of a schedule.
    @Suite("Backfill by state", .serialized, .timeLimit(.minutes(1))) struct BackfillTests {
        private static let secondly =
            #""schedule_type":"cron","cron_expression":"* * * * * *","target_command":"demo.js.bf""#

        private static func moment(_ seconds: Int64) -> String {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Instant(milliseconds: (Int64(time.tv_sec) + seconds) * 1000).rfc3339
        }

        private func backfill(_ name: String, _ further: String = "") -> String {
            #"{"name":"\#(name)","from":"\#(Self.moment(-60))","to":"\#(Self.moment(-30))","limit":3\#(further)}"#
        }

        @Test("An exhausted schedule is backfilled and stays exhausted; lists and statistics count by its id")
        func exhausted() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create", #"{"name":"x",\#(Self.secondly),"max_runs":1}"#, in: "bfstates"
            ).id
            let other = try await fixture.done(
                "schedule.create", #"{"name":"y","schedule_type":"immediate","target_command":"demo.js.y"}"#,
                in: "bfstates"
            ).id
            let over = "SELECT count(*) FROM scheduler.schedules WHERE namespace = 'bfstates' AND state = 'exhausted'"
            #expect(await fixture.waits(until: over, is: 2))
            let reply = try await fixture.done("schedule.backfill", backfill("x"), in: "bfstates")
            #expect(reply["backfill"]?["count"]?.int64 == 3)
            let delivered =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
            #expect(await fixture.waits(until: delivered, is: 4))
            let shown = try await fixture.done("schedule.get", #"{"name":"x"}"#, in: "bfstates").schedule
            #expect(shown["state"]?.string == "exhausted" && shown["run_count"]?.int64 == 1)
            for (schedule, count) in [(id, 4), (other, 1)] {
                let listed = try await fixture.done(
                    "execution.list", #"{"schedule_id":"\#(schedule)"}"#, in: "bfstates"
                ).items("executions")
                #expect(listed.count == count)
                #expect(listed.allSatisfy { $0["schedule_id"]?.string == schedule })
                let stats = try await fixture.done(
                    "execution.stats", #"{"schedule_id":"\#(schedule)"}"#, in: "bfstates")
                #expect(stats["stats"]?["outcomes"]?["delivered"]?.int64 == Int64(count))
                #expect(stats["stats"]?["schedule_id"]?.string == schedule)
            }
            let nobody = #"{"schedule_id":"\#(id)"}"#
            for command in ["execution.list", "execution.stats"] {
                #expect(try await fixture.refused(command, nobody, in: "elsewhere") == "20404")
            }
        }

        @Test("An invalid schedule is not backfilled")
        func invalid() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create", #"{"name":"i",\#(Self.secondly),"paused":true}"#, in: "bfinvalid"
            ).id
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET state = 'invalid', pause_reason = 'no such zone',
                        timezone = 'Mars/Base' WHERE id = '\(id)'
                    """)
            #expect(try await fixture.refused("schedule.backfill", backfill("i"), in: "bfinvalid") == "20412")
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"i"}"#, in: "bfinvalid") == "20412")
            #expect(try await fixture.ledger(of: id).isEmpty)
            try await fixture.done("schedule.delete", #"{"name":"i"}"#, in: "bfinvalid")
        }

        @Test("Under a freeze a backfill must be forced")
        func frozen() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create", #"{"name":"f",\#(Self.secondly),"paused":true}"#, in: "bffrozen"
            ).id
            let freeze = try await fixture.administer(
                "freeze.set", #"{"namespace":"bffrozen","until":"\#(Self.moment(600))"}"#)
            #expect(try await fixture.refused("schedule.backfill", backfill("f"), in: "bffrozen") == "20433")
            #expect(try await fixture.ledger(of: id).isEmpty)
            let forced = try await fixture.done("schedule.backfill", backfill("f", #","force":true"#), in: "bffrozen")
            #expect(forced["backfill"]?["count"]?.int64 == 3)
            let delivered =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
            #expect(await fixture.waits(until: delivered, is: 3))
            let freezeID = freeze["freeze"]?["id"]?.string ?? "no id"
            try await fixture.administer("freeze.clear", #"{"id":"\#(freezeID)"}"#)
        }
    }
}
