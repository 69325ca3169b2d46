import JSONText
import LocalServers
import NATSClient
import Recurrence
import ServiceFixture
import Testing

extension Integration {
    /// What a console draws: forecasts, series, timelines. Each test has a namespace of its own.
    @Suite("Looking at it", .serialized, .timeLimit(.minutes(2))) struct LookingTests {
        private func create(
            _ name: String, _ timing: String, _ more: String = "", in namespace: String, _ fixture: ServiceFixture
        ) async throws -> String {
            let body = #"{"name":"\#(name)",\#(timing),"target_command":"demo.look","delivery":"core"\#(more)}"#
            return try await fixture.done("schedule.create", body, in: namespace).id
        }

        private static func interval(_ seconds: String) -> String {
            #""schedule_type":"interval","interval_seconds":\#(seconds)"#
        }

        private static let noon = #""schedule_type":"cron","cron_expression":"0 12 * * *""#

        /// `<schedules> <expanded> <unforeseen> <cut> <complete>`
        private func summary(_ reply: JSONValue) -> String {
            let forecast = reply["forecast"]
            let counts = ["schedules", "expanded", "unforeseen", "cut"].map { "\(forecast?[$0]?.int64 ?? -1)" }
            return counts.joined(separator: " ") + " \(forecast?["complete"]?.bool ?? false)"
        }

        @Test("A forecast counts the fires of each minute of a day: a herd stands out, whoever has it")
        func forecasts() async throws {
            let fixture = try await SharedSystem.running.fixture
            let space = "lookahead"
            for number in 0..<8 { _ = try await create("herd\(number)", Self.noon, in: space, fixture) }
            _ = try await create("quick", Self.interval("0.5"), #","paused":true"#, in: space, fixture)
            _ = try await create("hourly", Self.interval("3600"), #","max_runs":3"#, in: space, fixture)
            _ = try await create("heard", #""schedule_type":"event","event_subject":"demo.word""#, in: space, fixture)
            let day = try await fixture.done("schedule.forecast", "", in: space)
            #expect(summary(day) == "11 9 1 0 true", "what is paused fires nothing")
            let steps = try #require(day["forecast"]).items("steps")
            #expect(day["forecast"]?["step_seconds"]?.int64 == 60 && day["next_cursor"] == nil)
            let herd = steps.filter { $0["at"]?.string?.contains("T12:00:00") == true }
            #expect(herd.first?["fires"]?.int64 ?? 0 >= 8)
            let counted = day["forecast"]?["fires"]?.int64 ?? -1
            #expect(counted == 11, "each of the herd once, and three runs")
            #expect(steps.compactMap { $0["at"]?.string } == steps.compactMap { $0["at"]?.string }.sorted())

            // By pages: the same, added up.
            var (fires, pages, cursor): (Int64, Int, String?) = (0, 0, nil)
            repeat {
                let more = cursor.map { #","cursor":"\#($0)""# } ?? ""
                let page = try await fixture.done("schedule.forecast", #"{"limit":4\#(more)}"#, in: space)
                fires += page["forecast"]?["fires"]?.int64 ?? 0
                cursor = page["next_cursor"]?.string
                pages += 1
                #expect(page["forecast"]?["complete"]?.bool == (cursor == nil))
            } while cursor != nil && pages < 20
            #expect(pages == 3 && fires == counted)
            try await herdOfAll(space, fixture)
            try await fixture.done("schedule.resume", #"{"name":"quick"}"#, in: space)
            let week = #"{"window_seconds":604800}"#
            let long = try await fixture.done("schedule.forecast", week, in: space)
            // By arithmetic: walked, it were over a million fires.
            #expect(long["forecast"]?["fires"]?.int64 ?? 0 > 1_209_000 && summary(long) == "11 10 1 0 true")
            #expect(long["forecast"]?["step_seconds"]?.int64 == 420)
            for name in ["quick", "hourly"] {
                try await fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: space)
            }
        }

        private func herdOfAll(_ space: String, _ fixture: ServiceFixture) async throws {
            let subject = "scheduler.admin.system.forecast"
            let own = try await fixture.administration("system.forecast", #"{"namespace":"\#(space)"}"#)
            #expect(own["forecast"]?["expanded"]?.int64 == 9)
            let all = try await fixture.administration("system.forecast", #"{"limit":10000}"#)
            #expect(all["forecast"]?["expanded"]?.int64 ?? 0 >= 9)
            for (body, expected) in [
                (#"{"step_seconds":1}"#, "10426 /step_seconds"), (#"{"window_seconds":0}"#, "10426 /window_seconds"),
                (#"{"cursor":"1.2.3.x"}"#, "10405 /cursor"), (#"{"limit":10001}"#, "10426 /limit"),
                (#"{"namespace":"a b"}"#, "10426 /namespace"),
            ] {
                #expect(try await fixture.refused("system.forecast", Array(body.utf8), subject: subject) == expected)
            }
        }

        @Test("A timeline has what was fired and what will be in one row, and none of it twice")
        func timelines() async throws {
            let fixture = try await SharedSystem.running.fixture
            let space = "timeline"
            let id = try await create("ticks", Self.interval("0.5"), #","spread_seconds":0.5"#, in: space, fixture)
            let delivered =
                "SELECT least(count(*), 3) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
            #expect(await fixture.waits(until: delivered, is: 3))
            let reply = try await fixture.done("schedule.timeline", #"{"name":"ticks","past":4,"coming":5}"#, in: space)
            let entries = try #require(reply["timeline"]).items("entries")
            let kinds = entries.map { $0["kind"]?.string ?? "?" }
            #expect(kinds == Array(kinds.filter { $0 == "execution" } + kinds.filter { $0 == "fire" }))
            #expect(
                kinds.filter { $0 == "fire" }.count == 5 && (3...4).contains(kinds.filter { $0 == "execution" }.count))
            // Half a second lies between each two, also where the past ends and what is to come begins.
            let times = try entries.map { try #require($0["at"]?.string.flatMap { Instant(rfc3339: $0) }) }
            #expect(zip(times, times.dropFirst()).allSatisfy { $1.milliseconds(since: $0) == 500 }, "\(times)")
            #expect(entries[0]["execution"]?["status"]?.string == "delivered")
            let last = try #require(entries.last)
            #expect(last["due_at"]?.string != last["at"]?.string, "the spread")
            if let cursor = reply["next_cursor"]?.string {
                let older = try await fixture.done(
                    "execution.list", #"{"schedule_name":"ticks","cursor":"\#(cursor)"}"#, in: space)
                let known = Set(entries.compactMap { $0["execution"]?["id"]?.string })
                #expect(older.items("executions").allSatisfy { !known.contains($0["id"]?.string ?? "") })
            }
            try await fixture.done("schedule.pause", #"{"name":"ticks"}"#, in: space)
            let still = try await fixture.done("schedule.timeline", #"{"name":"ticks"}"#, in: space)
            #expect(still["timeline"]?["state"]?.string == "paused")
            #expect(still["timeline"]?.items("entries").contains { $0["kind"]?.string == "fire" } == false)
            #expect(try await fixture.refused("schedule.timeline", #"{"name":"nobody"}"#, in: space) == "20404")
            #expect(try await fixture.refused("schedule.timeline", "{}", in: space) == "10425 /id")
            #expect(
                try await fixture.refused("schedule.timeline", #"{"name":"ticks","past":0,"coming":501}"#, in: space)
                    == "10426 /past /coming")
            try await fixture.done("schedule.delete", #"{"name":"ticks"}"#, in: space)
        }

        @Test("Statistics by steps add up to those of the whole, and say where lateness was")
        func series() async throws {
            let fixture = try await SharedSystem.running.fixture
            let space = "series"
            let id = try await create("ticks", Self.interval("0.2"), #","max_runs":8"#, in: space, fixture)
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'",
                    is: 8))
            let stats = try #require(
                try await fixture.done(
                    "schedule.stats", #"{"id":"\#(id)","window_seconds":600,"step_seconds":1}"#, in: space)["stats"])
            let steps = stats["series"]?.items("steps") ?? []
            #expect(stats["series"]?["step_seconds"]?.int64 == 1 && steps.count >= 2 && stats["total"]?.int64 == 8)
            #expect(steps.reduce(0) { $0 + ($1["total"]?.int64 ?? 0) } == 8)
            let most = steps.compactMap { $0["lateness_ms"]?["max"]?.int64 }.max()
            #expect(most == stats["lateness_ms"]?["max"]?.int64)
            #expect(steps.allSatisfy { $0["at"]?.string?.hasSuffix(".000000Z") == true && $0["dead"]?.int64 == 0 })
            let past = try await fixture.done(
                "execution.stats", #"{"window_seconds":60,"step_seconds":60,"to":"\#(stats["from"]?.string ?? "?")"}"#,
                in: space)
            #expect(past["stats"]?["total"]?.int64 == 0 && past["stats"]?["series"]?.items("steps").isEmpty == true)
            for (body, expected) in [
                (#"{"step_seconds":10}"#, "10426 /step_seconds"), (#"{"to":"2126-01-01T00:00:00Z"}"#, "10426 /to"),
                (#"{"to":"2001-01-01T00:00:00Z"}"#, "20422 /to"),
            ] {
                #expect(try await fixture.refused("execution.stats", body, in: space) == expected)
            }
        }
    }
}

extension ServiceFixture {
    /// Asks as an admin; the question must be answered.
    fileprivate func administration(_ command: String, _ body: String) async throws -> JSONValue {
        let reply = try await client.request(
            try Subject("scheduler.admin.\(command)"), payload: Array(body.utf8), timeout: .seconds(5))
        let value = try JSONValue.parse(reply.payload, limits: JSONLimits(maxDepth: 32, maxBytes: 4 << 20))
        if let error = value["error"] {
            throw FixtureError(description: "\(command): \(String(decoding: error.bytes, as: UTF8.self))")
        }
        return value
    }
}
