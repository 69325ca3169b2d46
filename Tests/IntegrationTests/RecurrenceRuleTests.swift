import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// Schedules of the type `rrule`, on real servers.
    @Suite("Recurrence rules", .serialized, .timeLimit(.minutes(2))) struct RecurrenceRuleTests {
        private let target = #""schedule_type":"rrule","target_command":"demo.js.rule""#

        @Test("A rule with a COUNT fires so often and is exhausted")
        func counts() async throws {
            let fixture = try await SharedSystem.running.fixture
            let created = try await fixture.done(
                "schedule.create", #"{"name":"three",\#(target),"rrule":"FREQ=SECONDLY;COUNT=3"}"#, in: "rules")
            #expect(created.schedule["rrule"]?.string == "FREQ=SECONDLY;COUNT=3")
            #expect(created.schedule["next_fires"]?.count == 3)
            let exhausted =
                "SELECT count(*) FROM scheduler.schedules WHERE id = '\(created.id)' AND state = 'exhausted'"
            #expect(await fixture.waits(until: exhausted, is: 1))
            #expect(try await fixture.ledger(of: created.id) == Array(repeating: "delivered rrule 1", count: 3))
            let sent = try await fixture.messages(of: "DEMO")
                .filter { $0.header("Scheduler-Schedule-Id") == created.id }
            #expect(sent.count == 3 && sent.allSatisfy { $0.header("Scheduler-Trigger") == "rrule" })
            let times = created.schedule["next_fires"].map { $0.elements.map(\.string) }
            #expect(sent.map { $0.header("Scheduler-Scheduled-For") } == times)
            #expect(times?.allSatisfy { $0?.hasSuffix(".000000Z") == true } == true)
        }

        @Test("start_at is DTSTART, dates are left out and added, clocks are followed, and a preview shows it")
        func previews() async throws {
            let fixture = try await SharedSystem.running.fixture
            let lines = #"RRULE:FREQ=DAILY;COUNT=5\nEXDATE:20280326T023000\nRDATE:20280327T120000Z"#
            let preview = try await fixture.done(
                "schedule.preview",
                #"{\#(target),"rrule":"\#(lines)","timezone":"Europe/Berlin","start_at":"2028-03-25T01:30:00Z","count":9}"#,
                in: "rules")
            #expect(
                preview["fires"].map { $0.elements.map { $0["at"]?.string } } == [
                    "2028-03-25T01:30:00.000000Z", "2028-03-27T00:30:00.000000Z", "2028-03-27T12:00:00.000000Z",
                    "2028-03-28T00:30:00.000000Z", "2028-03-29T00:30:00.000000Z",
                ])
            // Without the exception the hour that is left out on 26 March 2028 is made up at its end.
            let madeUp = try await fixture.done(
                "schedule.preview",
                #"{\#(target),"rrule":"FREQ=DAILY","timezone":"Europe/Berlin","start_at":"2028-03-25T01:30:00Z","from":"2028-03-25T12:00:00Z","count":2}"#,
                in: "rules")
            #expect(
                madeUp["fires"].map { $0.elements.map { $0["at"]?.string } } == [
                    "2028-03-26T01:00:00.000000Z", "2028-03-27T00:30:00.000000Z",
                ])
            #expect(madeUp["timing"]?.string == "By FREQ=DAILY, from 2028-03-25T01:30:00Z, in Europe/Berlin")
            #expect(madeUp.items("fires").map { $0["dst"]?.string } == ["gap", nil])
        }

        @Test("An update changes the rule, keeps it, or takes the schedule to another type")
        func updates() async throws {
            let fixture = try await SharedSystem.running.fixture
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"patched",\#(target),"rrule":"FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0","end_at":"2099-01-01T00:00:00Z"}"#,
                in: "rules")
            let byID = #"{"id":"\#(created.id)""#
            let kept = try await fixture.done("schedule.update", byID + #","priority":7}"#, in: "rules")
            #expect(kept.schedule["rrule"]?.string == created.schedule["rrule"]?.string)
            #expect(kept.schedule["next_fire_at"]?.string == created.schedule["next_fire_at"]?.string)
            let changed = try await fixture.done(
                "schedule.update", byID + #","rrule":"FREQ=DAILY;BYHOUR=10;BYMINUTE=0;BYSECOND=0","max_runs":2}"#,
                in: "rules")
            #expect(changed.schedule["next_fires"]?.count == 2)
            #expect(changed.schedule["next_fire_at"]?.string?.contains("T10:00:00") == true)
            #expect(
                try await fixture.refused("schedule.update", byID + #","rrule":null}"#, in: "rules") == "10425 /rrule")
            #expect(
                try await fixture.refused("schedule.update", byID + #","interval_seconds":5}"#, in: "rules")
                    .hasSuffix(" /interval_seconds"))
            let other = try await fixture.done(
                "schedule.update", byID + #","schedule_type":"interval","interval_seconds":3600}"#, in: "rules")
            #expect(other.schedule["rrule"] == nil && other.schedule["schedule_type"]?.string == "interval")
        }
    }
}
