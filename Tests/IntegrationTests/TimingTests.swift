import JSONText
import LocalServers
import NATSClient
import Recurrence
import SchedulerCore
import ServiceFixture
import Testing

extension Integration {
    /// What a schedule's timing says, from the command to the fire.
    @Suite("Timings", .serialized, .timeLimit(.minutes(1))) struct TimingTests {
        private func hash(_ key: String) -> UInt64 { Digest.stableNumber(of: key) }

        @Test("H takes its value from namespace and name, and follows a rename")
        func hashedFields() async throws {
            let fixture = try await SharedSystem.running.fixture
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"a","schedule_type":"cron","cron_expression":"H 3 1 1 *","target_command":"demo.js.h"}"#,
                in: "hashed")
            func time(_ name: String) -> String {
                let minute = hash("hashed/\(name)") % 60
                return "T03:\(minute < 10 ? "0" : "")\(minute):00.000000Z"
            }
            #expect(time("a") != time("b"))
            #expect(created.schedule["next_fire_at"]?.string?.hasSuffix(time("a")) == true)
            let preview = try await fixture.done("schedule.preview", #"{"name":"a","count":2}"#, in: "hashed")
            #expect(preview.items("fires").allSatisfy { $0["at"]?.string?.hasSuffix(time("a")) == true })
            #expect(preview["timing"]?.string?.hasSuffix("on the 1st of January, in UTC") == true)
            let bare = try await fixture.done(
                "schedule.preview",
                #"{"name":"b","schedule_type":"cron","cron_expression":"H 3 1 1 *","target_command":"demo.js.h"}"#,
                in: "hashed")
            #expect(bare.items("fires").allSatisfy { $0["at"]?.string?.hasSuffix(time("b")) == true })

            let renamed = try await fixture.done(
                "schedule.update", #"{"id":"\#(created.id)","name":"b"}"#, in: "hashed")
            #expect(renamed.schedule["next_fire_at"]?.string?.hasSuffix(time("b")) == true)
            #expect(
                try await fixture.count("SELECT generation FROM scheduler.schedules WHERE id = '\(created.id)'") == 2)
            let described = try await fixture.done(
                "schedule.update", #"{"id":"\#(created.id)","description":"d"}"#, in: "hashed")
            #expect(described.schedule["next_fire_at"]?.string == renamed.schedule["next_fire_at"]?.string)
            #expect(
                try await fixture.count("SELECT generation FROM scheduler.schedules WHERE id = '\(created.id)'") == 2)
        }

        @Test("A spread moves the fires and not the occurrences; a rename moves it")
        func spreads() async throws {
            let fixture = try await SharedSystem.running.fixture
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"s","schedule_type":"interval","interval_seconds":1,"spread_seconds":1,"max_runs":2,"target_command":"demo.js.spread"}"#,
                in: "spread")
            let delivered =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(created.id)' AND state = 'delivered'"
            #expect(await fixture.waits(until: delivered, is: 2))
            let offsets = try await fixture.rows(
                """
                SELECT DISTINCT round(extract(epoch FROM due_at - scheduled_for) * 1000)::text
                FROM scheduler.executions WHERE schedule_id = '\(created.id)'
                """)
            #expect(offsets.map { $0[0] } == [String(hash("spread/s") % 1000)])
            let tooWide =
                #"{"schedule_type":"cron","cron_expression":"*/7 * * * *","spread_seconds":241,"target_command":"demo.js.s"}"#
            // 56 and 0 are four minutes apart.
            #expect(try await fixture.refused("schedule.create", tooWide, in: "spread").hasSuffix(" /spread_seconds"))

            let far =
                #""schedule_type":"cron","cron_expression":"0 0 1 1 *","spread_seconds":3600,"target_command":"demo.js.s""#
            let wide = try await fixture.done("schedule.create", #"{"name":"w",\#(far)}"#, in: "spread")
            let moved = try await fixture.done("schedule.update", #"{"id":"\#(wide.id)","name":"v"}"#, in: "spread")
            #expect(
                moved.schedule.items("next_fires").first?.string
                    == wide.schedule.items("next_fires").first?.string)
            #expect(moved.schedule["next_fire_at"]?.string != wide.schedule["next_fire_at"]?.string)
            #expect(try await fixture.count("SELECT generation FROM scheduler.schedules WHERE id = '\(wide.id)'") == 2)
        }

        @Test("A zone in front of an expression is the schedule's; it contradicts no other")
        func zonesInFront() async throws {
            let fixture = try await SharedSystem.running.fixture
            func body(_ expression: String, _ rest: String = "") -> String {
                #"{"schedule_type":"cron","cron_expression":"\#(expression)","target_command":"demo.js.z"\#(rest)}"#
            }
            let created = try await fixture.done(
                "schedule.create", body("CRON_TZ=Asia/Kolkata 30 9 1 1 *", #","name":"z""#), in: "zones")
            #expect(created.schedule["timezone"]?.string == "Asia/Kolkata")
            #expect(created.schedule["next_fire_at"]?.string?.hasSuffix("-01-01T04:00:00.000000Z") == true)
            #expect(
                try await fixture.refused(
                    "schedule.create", body("CRON_TZ=Asia/Kolkata 30 9 * * *", #","timezone":"UTC""#), in: "zones"
                ).hasSuffix(" /timezone"))
            #expect(
                try await fixture.refused("schedule.create", body("TZ=EST 30 9 * * *"), in: "zones")
                    .hasSuffix(" /cron_expression"))
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"z","timezone":"UTC"}"#, in: "zones")
                    .hasSuffix(" /timezone"))
            let moved = try await fixture.done(
                "schedule.update", #"{"name":"z","cron_expression":"TZ=Asia/Tokyo 30 9 1 1 *"}"#, in: "zones")
            #expect(moved.schedule["timezone"]?.string == "Asia/Tokyo")
        }

        @Test("A preview says of each fire whether the clocks moved or repeated it, as the rules do")
        func changesOfTheClocks() async throws {
            let fixture = try await SharedSystem.running.fixture
            func preview(_ expression: String, _ from: String, _ rest: String = "") async throws -> JSONValue {
                try await fixture.done(
                    "schedule.preview",
                    #"{"schedule_type":"cron","cron_expression":"\#(expression)","timezone":"Europe/Paris","target_command":"demo.a","from":"\#(from)","count":3\#(rest)}"#,
                    in: "preview")
            }
            let gap = try await preview("30 2 * * *", "2026-03-28T00:00:00Z")
            #expect(gap["timing"]?.string == "At 02:30 every day, in Europe/Paris")
            #expect(gap.items("fires").map { $0["dst"]?.string } == [nil, "gap", nil])
            #expect(gap.items("fires").map { $0["dst"]?.isNull } == [true, false, true])
            #expect(
                gap.items("fires").map { $0["local"]?.string } == [
                    "2026-03-28T02:30:00", "2026-03-29T03:00:00", "2026-03-30T02:30:00",
                ])
            let skipped = try await preview("30 2 * * *", "2026-03-28T00:00:00Z", #","dst_policy":"skip""#)
            #expect(skipped.items("fires").map { $0["dst"]?.string } == [nil, nil, nil])
            let twice = try await preview("30 * * * *", "2026-10-25T00:00:00Z")
            #expect(twice.items("fires").map { $0["dst"]?.string } == ["repeat", "repeat", nil])
        }

        @Test("A local run_at is read in the zone: in a gap the first instant after it, in a repeat the first pass")
        func localInstants() async throws {
            let fixture = try await SharedSystem.running.fixture
            for (local, at) in [
                ("2027-03-28T02:30:00", "2027-03-28T01:00:00.000000Z"),
                ("2027-10-31T02:30:00", "2027-10-31T00:30:00.000000Z"),
                ("2027-07-01T12:00:00", "2027-07-01T10:00:00.000000Z"),
            ] {
                let preview = try await fixture.done(
                    "schedule.preview",
                    #"{"schedule_type":"once","run_at":"\#(local)","timezone":"Europe/Paris","target_command":"demo.a","from":"2027-01-01T00:00:00Z"}"#,
                    in: "preview")
                #expect(preview.items("fires").map { $0["at"]?.string } == [at], "\(local)")
            }
        }
    }
}
