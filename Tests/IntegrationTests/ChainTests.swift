import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// Schedules that fire when executions of others have ended.
    @Suite("Chains", .serialized, .timeLimit(.minutes(1))) struct ChainTests {
        private static let far = #""schedule_type":"interval","interval_seconds":3000000,"target_command":"demo.js.c""#

        /// Makes a schedule that fires only when it is triggered, or when those that it follows have ended.
        private func make(
            _ name: String, after: String? = nil, _ rest: String = "", on fixture: ServiceFixture,
            in namespace: String = "chains"
        ) async throws -> String {
            let after = after.map { #","after":\#($0)"# } ?? ""
            return try await fixture.done(
                "schedule.create", #"{"name":"\#(name)",\#(Self.far)\#(after)\#(rest)}"#, in: namespace
            ).id
        }

        private func delivered(_ id: String, _ count: Int64, on fixture: ServiceFixture) async -> Bool {
            await fixture.waits(
                until:
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'",
                is: count)
        }

        @Test("An end fires its follower, which is told by whom; again for each end")
        func aFollowerFires() async throws {
            let fixture = try await TwoInstances.running.fixture
            let first = try await make("first", on: fixture)
            let second = try await make("second", after: #"{"schedule":"first"}"#, on: fixture)
            let third = try await make("third", after: #"{"schedule":"second","on":"completed"}"#, on: fixture)
            let failing = try await make("failing", after: #"{"schedule":"first","on":"failed"}"#, on: fixture)
            try await fixture.done("schedule.trigger", #"{"name":"first"}"#, in: "chains")
            #expect(await delivered(third, 1, on: fixture))
            try await fixture.done("schedule.trigger", #"{"name":"first"}"#, in: "chains")
            #expect(await delivered(third, 2, on: fixture))
            #expect(try await fixture.ledger(of: second) == ["delivered after 1", "delivered after 1"])
            #expect(try await fixture.ledger(of: failing).isEmpty)
            // Each names the one that made it, and began after it had ended.
            let wrong = """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.executions u ON u.id = e.caused_by
                WHERE e.schedule_id IN ('\(second)', '\(third)')
                    AND NOT (u.schedule_id IN ('\(first)', '\(second)') AND u.finished_at <= e.fired_at
                        AND date_trunc('milliseconds', u.finished_at) = e.scheduled_for)
                """
            #expect(try await fixture.count(wrong) == 0)
            let listed = try await fixture.done(
                "execution.list", #"{"schedule_name":"third"}"#, in: "chains"
            ).items("executions")
            let causes = try await fixture.rows(
                "SELECT id::text FROM scheduler.executions WHERE schedule_id = '\(second)' ORDER BY id DESC")
            #expect(listed.map { $0["caused_by"]?.string } == causes.map { $0[0] })
            #expect(
                await waitUntil(.seconds(5)) {
                    let events = (try? await fixture.eventMessages(of: third)) ?? []
                    let told = events.filter { $0.subject.contains("delivered") }
                    let named = told.compactMap { try? JSONValue.parse($0.payload)["causationid"]?.string }
                    return Set(named) == Set(causes.compactMap { $0[0] })
                })
        }

        @Test("One that follows all waits for the last of them, and counts anew then; ends that come twice count once")
        func allOfThem() async throws {
            let fixture = try await TwoInstances.running.fixture
            let names = ["a", "b", "c"]
            for name in names { _ = try await make("all-\(name)", on: fixture) }
            let links = names.map { #"{"schedule":"all-\#($0)"}"# }.joined(separator: ",")
            let joined = try await make("joined", after: #"{"all":[\#(links)]}"#, on: fixture)
            for round in Int64(1)...2 {
                for name in ["a", "a", "b"] {
                    try await fixture.done("schedule.trigger", #"{"name":"all-\#(name)"}"#, in: "chains")
                }
                #expect(
                    await fixture.waits(
                        until: """
                            SELECT count(*) FROM scheduler.arrivals a
                            WHERE downstream = '\(joined)' AND NOT EXISTS (
                                SELECT FROM scheduler.ended_upstreams u WHERE u.downstream = a.downstream)
                                AND NOT EXISTS (
                                    SELECT FROM scheduler.executions e JOIN scheduler.links l ON l.upstream = e.schedule_id
                                    WHERE l.downstream = a.downstream AND e.state = 'claimed')
                            """, is: 2))
                #expect(try await fixture.ledger(of: joined).count == round - 1)
                try await fixture.done("schedule.trigger", #"{"name":"all-c"}"#, in: "chains")
                #expect(await delivered(joined, round, on: fixture))
            }
        }

        @Test("What may not fire is told as skipped; what is frozen waits")
        func whatHoldsIt() async throws {
            let fixture = try await TwoInstances.running.fixture
            _ = try await make("held-first", on: fixture)
            let paused = try await make(
                "held-paused", after: #"{"schedule":"held-first"}"#, #","paused":true"#, on: fixture)
            let frozen = try await make("held-frozen", after: #"{"schedule":"held-first"}"#, on: fixture, in: "chains")
            try await fixture.done(
                "schedule.update", #"{"name":"held-frozen","target_command":"demo.js.frozen"}"#, in: "chains")
            let until = try await fixture.instant(in: "1 day")
            let freeze = try await fixture.administer(
                "freeze.set", #"{"target":"demo.js.frozen","until":"\#(until)"}"#)
            try await fixture.done("schedule.trigger", #"{"name":"held-first"}"#, in: "chains")
            #expect(
                await waitUntil(.seconds(5)) {
                    (try? await fixture.ledger(of: paused)) == ["skipped paused after 1"]
                })
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.ended_upstreams WHERE not_before > ended_at", is: 1))
            #expect(try await fixture.ledger(of: frozen).isEmpty)
            let id = freeze["freeze"]?["id"]?.string ?? "?"
            try await fixture.administer("freeze.clear", #"{"id":"\#(id)"}"#)
            #expect(await delivered(frozen, 1, on: fixture))
        }

        @Test("Links that lead nowhere, and those that come back, are refused; so is a rename that cuts one")
        func refusals() async throws {
            let fixture = try await TwoInstances.running.fixture
            func refusal(_ body: String, of command: String = "schedule.update") async throws -> String {
                try await fixture.refused(command, body, in: "chains")
            }
            let far = Self.far
            #expect(
                try await refusal(#"{"name":"x",\#(far),"after":{"schedule":"nobody"}}"#, of: "schedule.create")
                    == "20404 /after/schedule")
            #expect(
                try await refusal(#"{"name":"x",\#(far),"after":{"schedule":"x"}}"#, of: "schedule.create")
                    .hasPrefix("20404"))
            _ = try await make("ring-a", on: fixture)
            _ = try await make("ring-b", after: #"{"schedule":"ring-a"}"#, on: fixture)
            _ = try await make("ring-c", after: #"{"any":[{"schedule":"ring-b"},{"schedule":"ring-a"}]}"#, on: fixture)
            #expect(
                try await refusal(#"{"name":"ring-a","after":{"schedule":"ring-c","on":"failed"}}"#) == "20423 /after")
            #expect(try await refusal(#"{"name":"ring-a","after":{"schedule":"ring-a"}}"#) == "20423 /after")
            let id = try await fixture.done("schedule.get", #"{"name":"ring-a"}"#, in: "chains").id
            #expect(try await refusal(#"{"id":"\#(id)","name":"other"}"#) == "20412")
            for (after, expected) in [
                (#"{"schedule":"ring-a","all":[]}"#, "10427 /after/all"), (#"{"all":[]}"#, "40413 /after/all"),
                (#"{}"#, "10425 /after/schedule"), (#""ring-a""#, "10403 /after"),
                (#"{"schedule":"ring-a","on":"ended"}"#, "10426 /after/on"),
                (#"{"any":[{"schedule":"ring-a"},{"schedule":"ring-a"}]}"#, "10426 /after/any/1/schedule"),
                (#"{"schedule":"ring-a","then":1}"#, "10423 /after/then"),
            ] {
                #expect(try await refusal(#"{"name":"ring-c","after":\#(after)}"#) == expected, "\(after)")
            }
        }

        @Test("A name that is given to a new schedule takes its followers along")
        func namesAreFollowed() async throws {
            let fixture = try await TwoInstances.running.fixture
            _ = try await make("heir", on: fixture)
            let follower = try await make("heirs", after: #"{"schedule":"heir"}"#, on: fixture)
            try await fixture.done("schedule.delete", #"{"name":"heir"}"#, in: "chains")
            _ = try await make("heir", on: fixture)
            try await fixture.done("schedule.trigger", #"{"name":"heir"}"#, in: "chains")
            #expect(await delivered(follower, 1, on: fixture))
        }

        @Test("A chain and a fan-in go on in order through a restart of every instance")
        func throughRestarts() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let (length, width) = TestForm.isLong ? (100, 50) : (20, 10)
            var instance = try await fixture.startInstance()
            var definitions = [#"{"name":"s0",\#(Self.far)}"#]
            for place in 1..<length {
                definitions.append(#"{"name":"s\#(place)",\#(Self.far),"after":{"schedule":"s\#(place - 1)"}}"#)
            }
            for place in 0..<width {
                definitions.append(#"{"name":"w\#(place)",\#(Self.far),"after":{"schedule":"s\#(length - 1)"}}"#)
            }
            let all = (0..<width).map { #"{"schedule":"w\#($0)"}"# }.joined(separator: ",")
            definitions.append(#"{"name":"end",\#(Self.far),"after":{"all":[\#(all)]}}"#)
            let made = try await fixture.done(
                "schedule.bulk_create", #"{"schedules":[\#(definitions.joined(separator: ","))],"atomic":true}"#)
            #expect(made["created"]?.int64 == Int64(definitions.count))
            try await fixture.done("schedule.trigger", #"{"name":"s0"}"#)
            let fired = "SELECT count(*) FROM scheduler.executions WHERE state = 'delivered'"
            #expect(await waitUntil(.seconds(20)) { ((try? await fixture.count(fired)) ?? 0) >= Int64(length / 3) })
            await instance.kill()
            instance = try await fixture.startInstance()
            #expect(await fixture.waits(.seconds(60), until: fired, is: Int64(length + width + 1)))
            // Each once, and after the one that made it; the fan-in after the last of all.
            let stored = try await fixture.messages(of: "DEMO").compactMap { $0.header("Scheduler-Schedule-Name") }
            #expect(stored.count == length + width + 1)
            #expect(Array(stored.prefix(length)) == (0..<length).map { "s\($0)" })
            #expect(stored.last == "end")
            #expect(await instance.stop())
            await fixture.stop()
        }
    }
}
