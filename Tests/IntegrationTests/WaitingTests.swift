import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// What waits in the lives of executions: for a place, for the end of a freeze; and what is said of it.
    @Suite("What waits", .serialized, .timeLimit(.minutes(1))) struct WaitingTests {
        private static let space = "waiting"

        private func make(
            _ name: String, _ type: String, _ fields: String, on fixture: ServiceFixture
        ) async throws -> String {
            try await fixture.done(
                "schedule.create",
                """
                {"name":"\(name)","schedule_type":"\(type)","completion":"report","delivery":"core",\
                "target_command":"demo.waiting.\(name)",\(fields)}
                """, in: Self.space
            ).id
        }

        private func trigger(_ name: String, on fixture: ServiceFixture) async throws -> JSONValue {
            try await fixture.done("schedule.trigger", #"{"name":"\#(name)"}"#, in: Self.space)
        }

        private func becomes(_ expected: String, _ id: String, on fixture: ServiceFixture) async -> Bool {
            await waitUntil(.seconds(10)) { await fixture.places(of: id) == expected }
        }

        private func runs(of name: String, on fixture: ServiceFixture) async throws -> Int64? {
            try await fixture.done("schedule.get", #"{"name":"\#(name)"}"#, in: Self.space).schedule["run_count"]?.int64
        }

        /// Leaves nothing open behind: what was given to the worker is reported on.
        private func remove(
            _ names: [String], _ ids: [String], of worker: HandWorker, on fixture: ServiceFixture
        ) async throws {
            for name in names {
                try await fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: Self.space)
            }
            for message in worker.all { try await worker.report(message, "succeeded") }
            for id in ids { #expect(await becomes("0+0", id, on: fixture)) }
        }

        @Test("A message that waits for a place and is skipped is no run of max_runs: its schedule goes on")
        func messages() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.waiting.>", on: fixture.client)
            let holder = try await make(
                "holder", "interval", #""interval_seconds":3600,"concurrency_key":"heard""#, on: fixture)
            _ = try await trigger("holder", on: fixture)
            let id = try await make(
                "heard", "event",
                #""event_subject":"demo.heard.waiting","concurrency_key":"heard","max_in_flight":3,"max_runs":2"#,
                on: fixture)
            try await fixture.say("demo.heard.waiting")
            try await fixture.say("demo.heard.waiting")
            #expect(await becomes("0+2", id, on: fixture))
            #expect(try await runs(of: "heard", on: fixture) == 2)
            try await fixture.done("schedule.pause", #"{"name":"heard"}"#, in: Self.space)
            #expect(try await fixture.ledger(of: id) == ["skipped paused event 1", "skipped paused event 1"])
            #expect(try await runs(of: "heard", on: fixture) == 0)
            let resumed = try await fixture.done("schedule.resume", #"{"name":"heard"}"#, in: Self.space)
            #expect(resumed.schedule["state"]?.string == "active")
            try await fixture.say("demo.heard.waiting")
            #expect(await becomes("0+1", id, on: fixture))
            // A message belongs to the timing that heard it, as an occurrence does.
            try await fixture.done("schedule.update", #"{"name":"heard","delay_seconds":1}"#, in: Self.space)
            #expect(try await fixture.ledger(of: id).last == "skipped superseded event 1")
            #expect(try await runs(of: "heard", on: fixture) == 0)
            try await remove(["heard", "holder"], [id, holder], of: worker, on: fixture)
        }

        @Test("The command of an absence obeys the overlap policy; its event is told all the same")
        func absences() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.waiting.>", on: fixture.client)
            let names = ["skip", "buffer_one", "cancel_previous"]
            var ids: [String] = []
            for name in names {
                ids.append(
                    try await make(
                        name, "absence",
                        """
                        "event_subject":"demo.silent.\(name)","absence_seconds":600,"overlap_policy":"\(name)"
                        """, on: fixture))
                #expect(try await trigger(name, on: fixture)["execution"] != nil)
            }
            let all = ids.map { "'\($0)'" }.joined(separator: ", ")
            try await fixture.database.execute(
                script: "UPDATE scheduler.timers SET next_fire_at = now() WHERE schedule_id IN (\(all))")
            #expect(await becomes("1+1", ids[1], on: fixture))
            #expect(await becomes("1+1", ids[2], on: fixture))
            let stopping = "SELECT count(*) FROM scheduler.runs WHERE cancelling AND schedule_id"
            #expect(await fixture.waits(until: "\(stopping) = '\(ids[2])'", is: 1))
            let skipped = "SELECT count(*) FROM scheduler.executions WHERE reason = 'overlap' AND trigger = 'absence'"
            #expect(await fixture.waits(until: "\(skipped) AND schedule_id = '\(ids[0])'", is: 1))
            #expect(await fixture.places(of: ids[0]) == "1+0")
            for id in ids {
                let isTold = await waitUntil(.seconds(5)) {
                    (try? await fixture.events(of: id).contains("schedule absent")) ?? false
                }
                #expect(isTold)
            }
            try await remove(names, ids, of: worker, on: fixture)
        }

        @Test("A retry that a freeze holds goes when the freeze is cleared, not at a later look")
        func frozenRetries() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.waiting.>", on: fixture.client)
            let id = try await make("thawed", "immediate", #""max_retries":2,"retry_delay_seconds":0"#, on: fixture)
            let held = """
                SELECT count(*) FROM scheduler.runs
                WHERE schedule_id = '\(id)' AND state = 'retry_wait' AND deadline_at = held_until
                    AND deadline_at > now() + interval '30 seconds'
                """
            func freeze(_ fields: String) async throws -> String {
                let until = try await fixture.instant(in: "1 hour")
                let set = try await fixture.administer(
                    "freeze.set", #"{"namespace":"waiting","until":"\#(until)"\#(fields)}"#)
                return set["freeze"]?["id"]?.string ?? "none"
            }
            let first = try await worker.message(0)
            let freezing = try await freeze("")
            try await worker.report(first, "failed")
            #expect(await fixture.waits(until: held, is: 1))
            // One that is replaced, and does not concern it any more, lets it go as well.
            _ = try await freeze(#","id":"\#(freezing)","target":"demo.other""#)
            let second = try await worker.message(1)
            _ = try await freeze(#","id":"\#(freezing)""#)
            try await worker.report(second, "failed")
            #expect(await fixture.waits(until: held, is: 1))
            try await fixture.administer("freeze.clear", #"{"id":"\#(freezing)"}"#)
            let third = try await worker.message(2)
            #expect(third.header("Scheduler-Attempt") == "3")
            try await remove(["thawed"], [id], of: worker, on: fixture)
        }

        @Test("Of a trigger that waits explain says for what, and the timeline that it does")
        func explained() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.waiting.>", on: fixture.client)
            let id = try await make(
                "asked", "interval",
                #""interval_seconds":3600,"overlap_policy":"buffer","concurrency_key":"asked""#, on: fixture)
            _ = try await trigger("asked", on: fixture)
            var waiting: [JSONValue] = []
            for _ in 0..<2 { waiting.append(try #require(try await trigger("asked", on: fixture)["waiting"])) }
            let last = waiting[1]
            let at = last["scheduled_for"]?.string ?? "?"
            let why = try await fixture.done(
                "schedule.explain", #"{"name":"asked","at":"\#(at)"}"#, in: Self.space)
            let sentences = why["explanation"]?.items("sentences").compactMap(\.string) ?? []
            let asked = "A trigger asked for execution \(last["execution_id"]?.string ?? "?") for \(at)"
            let place = try #require(sentences.firstIndex { $0.hasPrefix(asked) }, "\(sentences)")
            let reason = sentences.dropFirst(place + 1).first ?? ""
            #expect(reason.hasPrefix("It waits since ") && reason.hasSuffix("and 1 wait before it."), "\(reason)")
            #expect(sentences.filter { $0.hasPrefix("All of 1 places of concurrency_key asked are held") }.count == 1)
            let timeline = try await fixture.done("schedule.timeline", #"{"name":"asked"}"#, in: Self.space)
            let entries = timeline["timeline"]?.items("entries") ?? []
            #expect(
                entries.filter { $0["kind"]?.string == "waiting" }.compactMap { $0["at"]?.string }
                    == waiting.compactMap { $0["scheduled_for"]?.string })
            try await remove(["asked"], [id], of: worker, on: fixture)
        }
    }
}
