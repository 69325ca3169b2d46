import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import ServiceFixture
import Testing

extension Integration {
    /// semantics.md §3 through the real engine: the service is down, timers are set back in SQL, and it comes back.
    @Suite("After an outage", .serialized, .timeLimit(.minutes(2))) struct MisfireTests {
        /// Schedules that were due every ten minutes, for the last time now; so many of them passed meanwhile. No machine
        /// is so slow that the next one comes before the test's end.
        private static let cases: [(name: String, fields: String, passed: Int, ledger: [String])] = [
            ("late", "", 0, ["delivered interval 1"]),
            (
                "fire_once", "", 3,
                [
                    "skipped coalesced interval 1", "skipped coalesced interval 1", "skipped coalesced interval 1",
                    "delivered catchup 1",
                ]
            ),
            ("fire_once_long", "", 60, ["skipped coalesced interval 60", "delivered catchup 1"]),
            (
                "skip", #","misfire_policy":"skip""#, 2,
                ["skipped misfire interval 1", "skipped misfire interval 1", "delivered interval 1"]
            ),
            (
                "fire_all", #","misfire_policy":"fire_all""#, 2,
                ["delivered catchup 1", "delivered catchup 1", "delivered interval 1"]
            ),
            (
                "capped", #","misfire_policy":"fire_all","catchup_limit":2"#, 20,
                [
                    "delivered catchup 1", "delivered catchup 1", "skipped catchup_cap interval 18",
                    "delivered interval 1",
                ]
            ),
            (
                "runs", #","misfire_policy":"fire_all","max_runs":2"#, 20,
                ["delivered catchup 1", "delivered catchup 1"]
            ),
        ]

        @Test("Each policy leaves its ledger, its messages and its events")
        func policies() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let first = try await fixture.startInstance("first")
            var ids: [String: String] = [:]
            for row in Self.cases {
                let body =
                    #"{"name":"\#(row.name)","schedule_type":"interval","interval_seconds":600,"target_command":"demo.js.\#(row.name)"\#(row.fields)}"#
                ids[row.name] = try await fixture.done("schedule.create", body).id
            }
            #expect(await first.stop())
            for row in Self.cases {
                try await fixture.database.execute(
                    script: """
                        UPDATE scheduler.schedules
                        SET anchor_at = date_trunc('second', now()) - interval '10 minutes' * \(row.passed + 1)
                        WHERE id = '\(ids[row.name] ?? "")';
                        UPDATE scheduler.timers t SET next_fire_at = s.anchor_at + interval '10 minutes'
                        FROM scheduler.schedules s WHERE s.id = t.schedule_id AND s.id = '\(ids[row.name] ?? "")'
                        """)
            }
            let second = try await fixture.startInstance("second")
            for row in Self.cases {
                let id = try #require(ids[row.name])
                let isDone = await waitUntil(.seconds(20)) { (try? await fixture.ledger(of: id)) == row.ledger }
                let ledger = try await fixture.ledger(of: id)
                #expect(isDone, "\(row.name): \(ledger)")
            }
            let messages = try await fixture.messages(of: "DEMO")
            let once = messages.filter { $0.subject == "demo.js.fire_once" }
            #expect(
                once.first?.header("Scheduler-Missed-Count") == "3"
                    && once.first?.header("Scheduler-Trigger") == "catchup")
            #expect(messages.first { $0.subject == "demo.js.fire_once_long" }?.header("Scheduler-Missed-Count") == "60")
            let late = messages.first { $0.subject == "demo.js.late" }
            #expect(late?.header("Scheduler-Missed-Count") == nil && late?.header("Scheduler-Trigger") == "interval")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.claims", is: 0))
            let events = try await fixture.events(of: try #require(ids["fire_once"]))
            #expect(
                events.prefix(5) == [
                    "schedule created", "execution skipped", "execution skipped", "execution skipped",
                    "execution delivered",
                ])
            #expect(await second.stop())
            await fixture.stop()
        }

        @Test("Misfired ones go out at 100 a second; what is on time does not wait for them")
        func catchUpRate() async throws {
            let fixture = try await SharedSystem.running.fixture
            let fired = try FiredMessages("demo.rate.>", on: fixture.client)
            defer { fired.cancel() }
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"r","schedule_type":"interval","interval_seconds":60,"misfire_policy":"fire_all","catchup_limit":300,"target_command":"demo.rate.late","delivery":"core","paused":true}"#,
                in: "rate")
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET anchor_at = anchor_at - interval '300 minutes' WHERE id = '\(created.id)';
                    UPDATE scheduler.timers SET resume_from = resume_from - interval '301 minutes' WHERE schedule_id = '\(created.id)'
                    """)
            _ = try await fixture.done("schedule.resume", #"{"name":"r","catch_up":true}"#, in: "rate")
            #expect(await waitUntil(.seconds(5)) { fired.count >= 20 })
            _ = try await fixture.done(
                "schedule.create", #"{"schedule_type":"immediate","target_command":"demo.rate.now","delivery":"core"}"#,
                in: "rate")
            #expect(await waitUntil(.seconds(1)) { fired.all.contains { $0.subject == "demo.rate.now" } })
            #expect(await waitUntil(.seconds(10)) { fired.count >= 296 })
            let late = fired.all.filter { $0.subject == "demo.rate.late" }
            // 295 are beyond the grace of five minutes: 2.9 s at 100/s, with a short burst at the beginning.
            let took = Double((late.last?.at ?? 0) - (late.first?.at ?? 0)) / 1e6
            #expect(took > 1.9 && took < 6, "took \(took) s for \(late.count)")
            // What lies within the grace goes its own, quicker way.
            let oldest = late.map(\.scheduledFor).sorted().prefix(290)
            #expect(late.map(\.scheduledFor).filter { oldest.contains($0) } == Array(oldest))
        }
    }

    @Suite("Pause, resume, edit, delete", .serialized, .timeLimit(.minutes(1))) struct PauseTests {
        private func interval(_ seconds: Double, _ fixture: ServiceFixture, in namespace: String) async throws -> String
        {
            let body =
                #"{"name":"i","schedule_type":"interval","interval_seconds":\#(seconds),"target_command":"demo.js.\#(namespace)"}"#
            return try await fixture.done("schedule.create", body, in: namespace).id
        }

        @Test("A 100 ms interval that was paused for a month resumes at once, with one range and one event")
        func resumesAtOnce() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await interval(0.1, fixture, in: "month")
            _ = try await fixture.done("schedule.pause", #"{"name":"i"}"#, in: "month")
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'claimed'",
                    is: 0))
            let fired = try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)'")
            // The month ends behind what was fired: at an instant that has a row there could be no range.
            #expect(
                await fixture.waits(
                    until: """
                        SELECT count(*) FROM scheduler.executions
                        WHERE schedule_id = '\(id)' AND scheduled_for > now() - interval '100 milliseconds'
                        """, is: 0))
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET anchor_at = anchor_at - interval '30 days' WHERE id = '\(id)';
                    UPDATE scheduler.timers SET resume_from = resume_from - interval '30 days' WHERE schedule_id = '\(id)'
                    """)
            // Walking over 26 million occurrences would take longer than a command is waited for.
            try await fixture.done("schedule.resume", #"{"name":"i"}"#, in: "month")
            let shown = try await fixture.done("schedule.get", #"{"name":"i"}"#, in: "month").schedule
            #expect(fired == 0 || shown["last_fire_at"] != nil)
            let ranges = try await fixture.rows(
                "SELECT range_count::text, reason FROM scheduler.executions WHERE schedule_id = '\(id)' AND reason = 'paused'"
            )
            #expect(ranges.count == 1 && ranges.first?[1] == "paused")
            #expect((Int(ranges.first?[0] ?? "") ?? 0) >= 25_920_000)
            let more = await waitUntil(.seconds(5)) {
                ((try? await fixture.count(
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"))
                    ?? 0)
                    > fired + 3
            }
            #expect(more)
            // Before the deletion, which may skip what was due just then.
            let isTold = await waitUntil(.seconds(5)) {
                // A slow machine may have skipped one more or two, coalesced.
                let skipped = try? await fixture.count(
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'skipped'")
                let told = (try? await fixture.events(of: id))?.count { $0 == "execution skipped" }
                return told != nil && told.map(Int64.init) == skipped
            }
            #expect(isTold)
            _ = try await fixture.done("schedule.delete", #"{"name":"i"}"#, in: "month")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.claims", is: 0))
        }

        @Test(
            "What a deletion or an edit takes away unclaimed, and what passed while paused, is told: the ledger has no gap"
        )
        func leavesNoGap() async throws {
            let fixture = try await SharedSystem.running.fixture
            for (namespace, end) in [("gap-delete", "delete"), ("gap-update", "update")] {
                let id = try await interval(60, fixture, in: namespace)
                _ = try await fixture.done("schedule.pause", #"{"name":"i"}"#, in: namespace)
                try await fixture.database.execute(
                    script: """
                        UPDATE scheduler.schedules SET anchor_at = anchor_at - interval '4 minutes' WHERE id = '\(id)';
                        UPDATE scheduler.timers SET resume_from = resume_from - interval '4 minutes' WHERE schedule_id = '\(id)'
                        """)
                let more = end == "update" ? #","interval_seconds":3600"# : ""
                _ = try await fixture.done("schedule.\(end)", #"{"name":"i"\#(more)}"#, in: namespace)
                #expect(try await fixture.ledger(of: id) == Array(repeating: "skipped paused interval 1", count: 4))
            }
        }

        @Test("An update changes what is fired next, and leaves the rhythm alone; executions page through all of it")
        func updatesPayload() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await interval(0.1, fixture, in: "payload")
            let delivered =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
            #expect(await waitUntil(.seconds(5)) { ((try? await fixture.count(delivered)) ?? 0) >= 3 })
            _ = try await fixture.done("schedule.update", #"{"name":"i","command_payload":[ 1,2.0 ]}"#, in: "payload")
            let before = try await fixture.count(delivered)
            #expect(await waitUntil(.seconds(5)) { ((try? await fixture.count(delivered)) ?? 0) >= before + 3 })
            _ = try await fixture.done("schedule.pause", #"{"name":"i"}"#, in: "payload")
            let total = try await fixture.count(delivered)
            let sent = try await fixture.messages(of: "DEMO").filter { $0.subject == "demo.js.payload" }
            let payloads = sent.map { String(decoding: $0.payload, as: UTF8.self) }
            // All the old ones, then all the new ones; the reply stood between the two.
            #expect(payloads.prefix(Int(before)).allSatisfy { $0 == "{}" })
            #expect(
                payloads.count == Int(total) && payloads.suffix(Int(total - before)).allSatisfy { $0 == "[ 1,2.0 ]" })
            var seen: [String] = []
            var instants: [Instant] = []
            var cursor = ""
            repeat {
                let page = try await fixture.done(
                    "execution.list", #"{"schedule_name":"i","limit":2\#(cursor)}"#, in: "payload")
                seen += page.items("executions").compactMap { $0["id"]?.string }
                instants += page.items("executions").compactMap { $0["scheduled_for"]?.string }.compactMap {
                    Instant(rfc3339: $0)
                }
                cursor = page["next_cursor"]?.string.map { #","cursor":"\#($0)""# } ?? ""
            } while !cursor.isEmpty
            let rows = try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)'")
            #expect(seen.count == Int(rows) && Set(seen).count == seen.count && seen == seen.sorted(by: >))
            for (next, one) in zip(instants, instants.dropFirst()) { #expect(next.milliseconds(since: one) == 100) }
            // A skip is no fire: the last one stays the last one.
            let shown = try await fixture.done("schedule.get", #"{"name":"i"}"#, in: "payload").schedule
            _ = try await fixture.done("schedule.resume", #"{"name":"i"}"#, in: "payload")
            _ = try await fixture.done("schedule.delete", #"{"name":"i"}"#, in: "payload")
            #expect(shown["last_status"]?.string == "delivered" && shown["last_fire_at"] != nil)
        }

        @Test("Edits of the payload at any moment leave the time alone: nothing is skipped, nothing fires twice")
        func keepsTheRhythm() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await interval(0.1, fixture, in: "rhythm")
            let count = { (state: String) in
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state \(state)"
            }
            #expect(await waitUntil(.seconds(5)) { ((try? await fixture.count(count("= 'delivered'"))) ?? 0) >= 3 })
            for number in 1...60 {
                _ = try await fixture.done(
                    "schedule.update", #"{"name":"i","command_payload":\#(number)}"#, in: "rhythm")
                // At every phase of the interval.
                try await Task.sleep(for: .milliseconds(number * 37 % 50))
            }
            let paused = try await fixture.done("schedule.pause", #"{"name":"i"}"#, in: "rhythm")
            #expect(await fixture.waits(until: count("= 'claimed'"), is: 0))
            let fired = try await fixture.count(count("= 'delivered'"))
            #expect(try await fixture.count(count("<> 'delivered'")) == 0)
            let holes = try await fixture.count(
                """
                SELECT count(*) FROM (SELECT scheduled_for - lag(scheduled_for) OVER (ORDER BY scheduled_for) AS step
                    FROM scheduler.executions WHERE schedule_id = '\(id)') x WHERE step <> interval '100 ms'
                """)
            #expect(fired > 20 && holes == 0)
            #expect(paused.schedule["run_count"]?.int64 ?? 0 >= fired)
            let shown = try await fixture.done("schedule.get", #"{"name":"i"}"#, in: "rhythm").schedule
            #expect(shown["run_count"]?.int64 == fired)
            // Each went out as the schedule was then: the payloads never go back.
            let sent = try await fixture.messages(of: "DEMO").filter { $0.subject == "demo.js.rhythm" }
            let payloads = sent.map { Int(String(decoding: $0.payload, as: UTF8.self)) ?? 0 }
            #expect(payloads == payloads.sorted() && payloads.count == Int(fired) && Set(payloads).count > 10)
            _ = try await fixture.done("schedule.delete", #"{"name":"i"}"#, in: "rhythm")
        }

        @Test("What has a row already is neither fired nor counted again, should a timer come back to it")
        func meetsItsOwnRows() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body =
                #"{"name":"i","schedule_type":"interval","interval_seconds":0.1,"max_runs":20,"misfire_policy":"fire_all","target_command":"demo.js.again"}"#
            let id = try await fixture.done("schedule.create", body, in: "again").id
            let delivered =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
            #expect(await waitUntil(.seconds(5)) { ((try? await fixture.count(delivered)) ?? 0) >= 3 })
            _ = try await fixture.done("schedule.pause", #"{"name":"i"}"#, in: "again")
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.timers SET resume_from = (SELECT min(scheduled_for) FROM scheduler.executions
                        WHERE schedule_id = '\(id)') WHERE schedule_id = '\(id)'
                    """)
            _ = try await fixture.done("schedule.resume", #"{"name":"i","catch_up":true}"#, in: "again")
            // All of its runs come, none of them twice.
            #expect(await fixture.waits(until: delivered, is: 20))
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'exhausted'", is: 1)
            )
            let sent = try await fixture.messages(of: "DEMO").filter { $0.subject == "demo.js.again" }
            #expect(sent.count == 20)
            #expect(
                try await fixture.count("SELECT run_count FROM scheduler.timers WHERE schedule_id = '\(id)'") == 20)
        }

        @Test("After the reply to a pause or a deletion nothing fires any more")
        func stopsAtTheReply() async throws {
            let fixture = try await SharedSystem.running.fixture
            // One of the same rhythm that goes on: its fires tell that periods have gone by.
            let witness = try FiredMessages("demo.js.stop-witness", on: fixture.client)
            defer { witness.cancel() }
            _ = try await interval(0.1, fixture, in: "stop-witness")
            for command in ["pause", "delete"] {
                let fired = try FiredMessages("demo.js.stop-\(command)", on: fixture.client)
                defer { fired.cancel() }
                let id = try await interval(0.1, fixture, in: "stop-\(command)")
                #expect(await waitUntil(.seconds(5)) { fired.count >= 3 })
                let reply = try await fixture.done("schedule.\(command)", #"{"name":"i"}"#, in: "stop-\(command)")
                // What went out before the reply may still be on its way to this observer.
                let delivered =
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state IN ('delivered', 'claimed')"
                let count = try await fixture.count(delivered)
                // Several periods go by: each would have fired.
                let seen = witness.count
                #expect(await waitUntil(.seconds(10)) { witness.count >= seen + 5 })
                #expect(try await fixture.count(delivered) == count)
                #expect(fired.count == Int(count))
                #expect((reply["in_flight"]?.count ?? 0) == 0)
            }
            _ = try await fixture.done("schedule.delete", #"{"name":"i"}"#, in: "stop-witness")
        }
    }
}
