import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// semantics.md §4 through the real engine. The worker is played by hand: what it reports is written by `end`.
    @Suite("Overlap policies", .serialized, .timeLimit(.minutes(2))) struct OverlapTests {
        private static let space = "overlap"

        /// Makes a tracked schedule. - Returns: its id.
        private func make(
            _ name: String, _ policy: String, every seconds: Double = 3600, target: String = "demo.js.overlap",
            _ further: String = "", on fixture: ServiceFixture
        ) async throws -> String {
            try await fixture.done(
                "schedule.create",
                """
                {"name":"\(name)","schedule_type":"interval","interval_seconds":\(seconds),"completion":"report",\
                "target_command":"\(target).\(name)","overlap_policy":"\(policy)"\(further)}
                """, in: Self.space
            ).id
        }

        private func waits(for id: String, _ expected: String, on fixture: ServiceFixture) async -> Bool {
            await waitUntil(.seconds(10)) { await fixture.places(of: id) == expected }
        }

        /// Ends the oldest open executions of a schedule, as a worker's report would.
        private func end(_ count: Int = 1, of id: String, on fixture: ServiceFixture) async throws {
            try await fixture.database.execute(
                script: """
                    SELECT 1 FROM scheduler.timers WHERE schedule_id = '\(id)' FOR UPDATE;
                    WITH ended AS (
                        DELETE FROM scheduler.runs WHERE execution_id IN (
                            SELECT execution_id FROM scheduler.runs WHERE schedule_id = '\(id)' ORDER BY fence LIMIT \(count))
                        RETURNING execution_id)
                    UPDATE scheduler.executions e SET state = 'succeeded', finished_at = now()
                    FROM ended WHERE e.id = ended.execution_id
                    """)
        }

        /// Leaves nothing open behind.
        private func remove(_ names: [String], _ ids: [String], on fixture: ServiceFixture) async throws {
            for (name, id) in zip(names, ids) {
                try await fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: Self.space)
                try await end(100, of: id, on: fixture)
                #expect(await fixture.places(of: id) == "0+0")
            }
        }

        /// How many of the ledger's rows have a state and a reason.
        private func count(_ state: String, _ reason: String, of id: String, on fixture: ServiceFixture) async -> Int64
        {
            (try? await fixture.count(
                """
                SELECT coalesce(sum(range_count), 0)::bigint FROM scheduler.executions
                WHERE schedule_id = '\(id)' AND state = '\(state)' AND reason = '\(reason)'
                """)) ?? -1
        }

        /// How many occurrences of a schedule that is due each 0.2 s the ledger has not told; below 0 what it told twice.
        private func gaps(of id: String, on fixture: ServiceFixture) async -> Int64 {
            (try? await fixture.count(
                """
                SELECT round(extract(epoch FROM max(scheduled_for) - min(coalesce(range_from, scheduled_for))) / 0.2)::bigint
                    + 1 - sum(range_count)::bigint
                FROM scheduler.executions WHERE schedule_id = '\(id)'
                """)) ?? -1
        }

        @Test(
            "Of their own time: skipped, buffered, allowed, superseded; a pause ends what waits, and no occurrence is lost"
        )
        func policies() async throws {
            let fixture = try await SharedSystem.running.fixture
            let names = ["skip", "buffer_one", "buffer", "allow", "cancel_previous"]
            var made: [String] = []
            for name in names { made.append(try await make(name, name, every: 0.2, on: fixture)) }
            let ids = made
            let expectations: [() async -> Bool] = [
                { await count("skipped", "overlap", of: ids[0], on: fixture) >= 3 },
                { await count("skipped", "overlap", of: ids[1], on: fixture) >= 3 },
                { await fixture.places(of: ids[2]).hasPrefix("1+") },
                { (Int(await fixture.places(of: ids[3]).prefix { $0 != "+" }) ?? 0) >= 5 },
                { await count("skipped", "superseded", of: ids[4], on: fixture) >= 3 },
            ]
            for (name, isMet) in zip(names, expectations) {
                #expect(await waitUntil(.seconds(10)) { await isMet() }, "\(name)")
            }
            #expect(await fixture.places(of: ids[0]) == "1+0")
            #expect(await fixture.places(of: ids[1]) == "1+1")
            #expect(await waits(for: ids[4], "1+1", on: fixture))
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(ids[4])' AND cancelling") == 1)
            let status = try await fixture.client.request(
                try Subject("scheduler.admin.system.status"), payload: [UInt8](), timeout: .seconds(5))
            #expect((try JSONValue.parse(status.payload)["system"]?["waiting"]?.int64 ?? 0) >= 3)
            for (name, id) in zip(names, ids) {
                try await fixture.done("schedule.pause", #"{"name":"\#(name)"}"#, in: Self.space)
                #expect(await waitUntil(.seconds(5)) { await fixture.places(of: id).hasSuffix("+0") })
            }
            #expect(await count("skipped", "paused", of: ids[2], on: fixture) >= 1)
            for (name, id) in zip(names, ids) { #expect(await gaps(of: id, on: fixture) == 0, "\(name)") }
            try await remove(names, ids, on: fixture)
        }

        @Test("What waits is opened in its order, once each, when a place is free")
        func drains() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await make("fifo", "buffer", #","max_in_flight":2"#, on: fixture)
            var asked: [String] = []
            for number in 0..<6 {
                let reply = try await fixture.done(
                    "schedule.trigger", #"{"name":"fifo","payload":{"n":\#(number)}}"#, in: Self.space)
                #expect((reply["execution"] != nil) == (number < 2) && (reply["waiting"] != nil) == (number >= 2))
                if number >= 2 { #expect(reply["waiting"]?["ahead"]?.int64 == Int64(number - 2)) }
                asked.append((reply["execution"]?["id"] ?? reply["waiting"]?["execution_id"])?.string ?? "?")
            }
            #expect(await fixture.places(of: id) == "2+4")
            try await end(of: id, on: fixture)
            #expect(await waits(for: id, "2+3", on: fixture))
            try await end(2, of: id, on: fixture)
            #expect(await waits(for: id, "2+1", on: fixture))
            try await end(2, of: id, on: fixture)
            #expect(await waits(for: id, "1+0", on: fixture))
            let opened = try await fixture.rows(
                "SELECT id::text, payload::text FROM scheduler.executions WHERE schedule_id = '\(id)' ORDER BY fence")
            #expect(opened.map { $0[0] ?? "" } == asked)
            #expect(opened.map { $0[1] ?? "" } == (0..<6).map { #"{"n":\#($0)}"# })
            let isPublished = await waitUntil(.seconds(10)) {
                let messages = (try? await fixture.messages(of: "DEMO")) ?? []
                return messages.filter { $0.subject == "demo.js.overlap.fifo" }.count == 6
            }
            #expect(isPublished)
            try await remove(["fifo"], [id], on: fixture)
        }

        @Test(
            "What is asked for by name obeys too: refused, or it waits; force fires all the same; backfills say what is left"
        )
        func commands() async throws {
            let fixture = try await SharedSystem.running.fixture
            let strict = try await make(
                "strict", "skip", every: 86_400, #","start_at":"2026-11-01T03:33:33Z""#, on: fixture)
            let trigger = #"{"name":"strict"}"#
            let first = try await fixture.done("schedule.trigger", trigger, in: Self.space)
            #expect(first["execution"] != nil)
            #expect(try await fixture.refused("schedule.trigger", trigger, in: Self.space) == "20435")
            let bulk = try await fixture.done(
                "schedule.bulk", #"{"operation":"trigger","names":["strict"]}"#, in: Self.space)
            #expect(bulk.items("results").first?["error"]?["err_code"]?.int64 == 20435)
            try await fixture.done("schedule.trigger", #"{"name":"strict","force":true}"#, in: Self.space)
            #expect(await fixture.places(of: strict) == "2+0")
            let past = #""from":"2026-11-01T00:00:00Z","limit":3"#
            #expect(
                try await fixture.refused("schedule.backfill", "{\"name\":\"strict\",\(past)}", in: Self.space)
                    == "20435")
            try await end(2, of: strict, on: fixture)
            let some = try await fixture.done("schedule.backfill", "{\"name\":\"strict\",\(past)}", in: Self.space)
            #expect(some["backfill"]?["count"]?.int64 == 1 && some["backfill"]?["waiting"]?.int64 == 0)
            #expect((some["backfill"]?["remaining"]?.int64 ?? 0) > 0 && some["backfill"]?["next_from"] != nil)

            let one = try await make("one", "buffer_one", on: fixture)
            try await fixture.done("schedule.trigger", #"{"name":"one"}"#, in: Self.space)
            let rehearsed = try await fixture.done(
                "schedule.trigger", #"{"name":"one","dry_run":true}"#, in: Self.space)
            #expect(rehearsed["waiting"] != nil)
            let waiting = try await fixture.done("schedule.trigger", #"{"name":"one"}"#, in: Self.space)
            #expect(waiting["waiting"]?["ahead"]?.int64 == 0)
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"one"}"#, in: Self.space) == "40409")
            #expect(await fixture.places(of: one) == "1+1")

            let many = try await make(
                "many", "buffer", every: 86_400, #","start_at":"2026-11-01T03:33:33Z""#, on: fixture)
            let filled = try await fixture.done("schedule.backfill", "{\"name\":\"many\",\(past)}", in: Self.space)
            #expect(filled["backfill"]?["count"]?.int64 == 3 && filled["backfill"]?["waiting"]?.int64 == 2)
            #expect(await fixture.places(of: many) == "1+2")
            try await end(of: many, on: fixture)
            #expect(await waits(for: many, "1+1", on: fixture))
            try await remove(["strict", "one", "many"], [strict, one, many], on: fixture)
            #expect(await count("skipped", "deleted", of: many, on: fixture) == 1)
        }

        @Test(
            "An edit of the timing ends what waits, any other leaves it, as explain tells; a bound on runs waits for the last one"
        )
        func edits() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await make("edited", "buffer", every: 0.2, on: fixture)
            #expect(await waitUntil(.seconds(10)) { await fixture.places(of: id) >= "1+2" })
            let at = try await fixture.rows(
                """
                SELECT to_char(b.scheduled_for AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
                FROM scheduler.buffered b WHERE schedule_id = '\(id)' ORDER BY seq LIMIT 1
                """)
            let why = try await fixture.done(
                "schedule.explain", #"{"name":"edited","at":"\#(at.first?[0] ?? "?")"}"#, in: Self.space)
            let sentences = why["explanation"]?.items("sentences").compactMap(\.string).joined(separator: " ") ?? ""
            #expect(sentences.contains("waits since") && sentences.contains("max_in_flight is 1"), "\(sentences)")
            try await fixture.done("schedule.update", #"{"name":"edited","priority":6}"#, in: Self.space)
            #expect(await fixture.places(of: id) >= "1+2")
            try await fixture.done("schedule.update", #"{"name":"edited","interval_seconds":3600}"#, in: Self.space)
            #expect(await fixture.places(of: id) == "1+0")
            #expect(await count("skipped", "superseded", of: id, on: fixture) >= 2)

            let bounded = try await make("bounded", "buffer", every: 0.1, #","max_runs":3"#, on: fixture)
            #expect(await waits(for: bounded, "1+2", on: fixture))
            let state = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(bounded)' AND state = 'exhausted'"
            #expect(try await fixture.count(state) == 0)
            try await end(of: bounded, on: fixture)
            #expect(await waits(for: bounded, "1+1", on: fixture))
            try await end(of: bounded, on: fixture)
            #expect(await waits(for: bounded, "1+0", on: fixture))
            #expect(try await fixture.count(state) == 0)
            try await end(of: bounded, on: fixture)
            #expect(await fixture.waits(until: state, is: 1))
            let ended = "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(bounded)'"
            #expect(try await fixture.count(ended + " AND state = 'succeeded'") == 3)
            try await remove(["edited"], [id], on: fixture)
        }

        @Test("What is given back unsent is told once: those behind it have been decided over")
        func givesBack() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await make("silent", "skip", every: 0.2, target: "demo.nobody", on: fixture)
            #expect(await waitUntil(.seconds(10)) { await count("skipped", "overlap", of: id, on: fixture) > 10 })
            #expect(await fixture.places(of: id) == "1+0")
            try await fixture.done("schedule.pause", #"{"name":"silent"}"#, in: Self.space)
            #expect(await fixture.places(of: id) == "0+0")
            #expect(await count("skipped", "paused", of: id, on: fixture) == 1)
            try await fixture.done("schedule.resume", #"{"name":"silent"}"#, in: Self.space)
            #expect(await waits(for: id, "1+0", on: fixture))
            try await fixture.done("schedule.pause", #"{"name":"silent"}"#, in: Self.space)
            #expect(await gaps(of: id, on: fixture) == 0)
            try await remove(["silent"], [id], on: fixture)
        }

        @Test("Two instances and many at once: never more than there are places, each opened once")
        func contended() async throws {
            let fixture = try await TwoInstances.running.fixture
            let id = try await make("crowd", "buffer", #","max_in_flight":3"#, on: fixture)
            let asked = try await fixture.together(40, "schedule.trigger", in: Self.space) { _ in #"{"name":"crowd"}"# }
            #expect(
                asked.filter { $0["execution"] != nil }.count == 3 && asked.filter { $0["waiting"] != nil }.count == 37)
            var most: Int64 = 0
            let isThrough = await waitUntil(.seconds(20)) {
                let open =
                    (try? await fixture.count("SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)'")) ?? 0
                most = max(most, open)
                if open > 0 { try? await end(Int(open), of: id, on: fixture) }
                return await fixture.places(of: id) == "0+0"
            }
            #expect(isThrough)
            #expect(most == 3)
            let rows = try await fixture.rows(
                """
                SELECT count(*)::text, count(DISTINCT id)::text, count(*) FILTER (WHERE state = 'succeeded')::text
                FROM scheduler.executions WHERE schedule_id = '\(id)'
                """)
            let others = try await fixture.rows(
                """
                SELECT id::text, state, reason, last_outcome, outcome, attempt::text FROM scheduler.executions
                WHERE schedule_id = '\(id)' AND state <> 'succeeded'
                """)
            #expect(rows == [["40", "40", "40"]], "\(others)")
            try await fixture.done("schedule.delete", #"{"name":"crowd"}"#, in: Self.space)
        }
    }
}
