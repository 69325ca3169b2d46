import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// docs/shadow.md on real servers.
    @Suite("Shadow mode", .serialized, .timeLimit(.minutes(1))) struct ShadowTests {
        private static let namespace = "shadow"
        private static let far = #""schedule_type":"interval","interval_seconds":3000000"#

        private func make(_ name: String, _ fields: String, on fixture: ServiceFixture) async throws -> String {
            try await fixture.done("schedule.create", #"{"name":"\#(name)",\#(fields)}"#, in: Self.namespace).id
        }

        private func command(
            _ command: String, _ name: String, _ rest: String = "", on fixture: ServiceFixture
        ) async throws -> JSONValue {
            try await fixture.done(command, #"{"name":"\#(name)"\#(rest)}"#, in: Self.namespace)
        }

        /// Each kind of execution of a schedule that is tracked, templated and bound by a limit.
        @Test(
            "Nothing is published; row, event, list, statistics, explanation and proof say shadow, and how late it was")
        func publishesNothing() async throws {
            let fixture = try await SharedSystem.running.fixture
            let fired = try FiredMessages("demo.shadow.>", on: fixture.client)
            try await fixture.client.flush()
            let id = try await make(
                "quiet",
                """
                "schedule_type":"interval","interval_seconds":0.2,"max_runs":3,"shadow":true,\
                "target_command":"demo.shadow.quiet","delivery":"request","completion":"reply","concurrency_key":"k",\
                "payload_template":true,"command_payload":"{{execution_id}}"
                """, on: fixture)
            #expect(await fixture.waits(until: rows(id, shadowed), is: 3))
            _ = try await command("schedule.trigger", "quiet", on: fixture)
            #expect(await fixture.waits(until: rows(id, shadowed), is: 4))
            // It has come to its time, and nothing of it is open.
            let wrong = "fired_at < due_at OR finished_at < fired_at OR attempt <> 1 OR ack_stream IS NOT NULL"
            #expect(try await fixture.count(rows(id, wrong)) == 0)
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)'") == 0)
            let shown = try await command("schedule.get", "quiet", on: fixture).schedule
            #expect(shown["state"]?.string == "exhausted" && shown["run_count"]?.int64 == 3)
            #expect(shown["shadow"]?.bool == true && shown["last_status"]?.string == "skipped")

            let listed = try await fixture.done(
                "execution.list", #"{"schedule_id":"\#(id)","status":"skipped"}"#, in: Self.namespace
            ).items("executions")
            #expect(listed.count == 4)
            for execution in listed {
                #expect(execution["reason"]?.string == "shadow" && execution["lateness_ms"]?.int64 ?? -1 >= 0)
            }
            let stats = try await command("schedule.stats", "quiet", on: fixture)["stats"]
            #expect(stats?["skipped"]?["shadow"]?.int64 == 4 && stats?["outcomes"]?["skipped"]?.int64 == 4)
            #expect(stats?["success_rate"]?.isNull == true && stats?["lateness_ms"]?.isNull == true)
            #expect(stats?["shadow_lateness_ms"]?["max"]?.int64 ?? -1 >= 0)
            let at = listed.last?["scheduled_for"]?.string ?? "?"
            let explained = try await command("schedule.explain", "quiet", #","at":"\#(at)""#, on: fixture)[
                "explanation"]
            #expect(explained?["verdict"]?.string == "skipped")
            #expect(
                explained?.items("sentences").contains { $0.string?.contains("It would have been fired at") == true }
                    == true)
            let proof = try await fixture.administer(
                "system.verify", #"{"check":"ledger","namespace":"\#(Self.namespace)","schedule_id":"\#(id)"}"#)
            let ledger = try #require(proof["verified"]?["ledger"])
            #expect(ledger["ok"]?.bool == true && ledger["occurrences"]?.int64 == 3, "\(ledger)")
            #expect(fired.count == 0)
            fired.cancel()
            try await checkMetrics()
            try await checkEvents(of: id, listed, on: fixture)
        }

        /// A shadow's end is counted by a status of its own.
        private func checkMetrics() async throws {
            let system = try await SharedSystem.running
            let address = try #require(HTTPFace.address(of: system.instance))
            let log = system.fixture.folder + "/shadow.metrics"
            let script = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1] + '/metrics').read().decode())"
            let process = try ChildProcess([Tool.python, "-c", script, address], logPath: log)
            #expect(await process.waitForEnd(.seconds(20)))
            let lines = Filesystem.tail(log, bytes: 1 << 20).split(separator: "\n")
            let ends = lines.filter { $0.hasPrefix("scheduler_executions_total") && $0.contains(#"status="shadow""#) }
            for type in ["interval", "manual"] {
                #expect(ends.contains { $0.contains("type=\"\(type)\"") }, "\(ends)")
            }
        }

        /// What is told of shadows is what `execution.list` shows of them.
        private func checkEvents(of id: String, _ listed: [JSONValue], on fixture: ServiceFixture) async throws {
            let subject = "execution.skipped.\(id)"
            #expect(
                await waitUntil(.seconds(5)) {
                    (try? await fixture.eventMessages(of: id).count { $0.subject.hasSuffix(subject) }) == listed.count
                })
            var told: [String: JSONValue] = [:]
            for message in try await fixture.eventMessages(of: id) where message.subject.hasSuffix(subject) {
                let data = try #require(try JSONValue.parse(message.payload)["data"])
                told[data["execution_id"]?.string ?? "?"] = data
            }
            for execution in listed {
                let data = told[execution["id"]?.string ?? "?"]
                #expect(data?["status"]?.string == "skipped" && data?["reason"]?.string == "shadow")
                for field in ["scheduled_for", "due_at", "fired_at"] {
                    #expect(data?[field]?.string == execution[field]?.string, "\(field)")
                }
                #expect(data?["lateness_ms"]?.int64 == execution["lateness_ms"]?.int64)
            }
            // Each would have carried its own id.
            #expect(Set(told.values.compactMap { $0["payload_sha256"]?.string }).count == listed.count)
            #expect(!(try await fixture.events(of: id)).contains("execution delivered"))
        }

        @Test(
            "Switched back and forth under way: no occurrence is lost or doubled, and none goes out but by a version that is live",
            arguments: [false, true])
        func switches(isTracked: Bool) async throws {
            let fixture = try await SharedSystem.running.fixture
            let name = isTracked ? "tracked" : "plain"
            let completion = isTracked ? #","completion":"report","overlap_policy":"allow""# : ""
            let id = try await make(
                name,
                #""schedule_type":"interval","interval_seconds":0.1,"misfire_policy":"fire_all","catchup_limit":1000,"shadow":true,"target_command":"demo.js.shadow.\#(name)"\#(completion)"#,
                on: fixture)
            var version: Int64 = 1
            for isShadow in [false, true, false] {
                let ended = rows(id, "schedule_version = \(version) AND state <> 'claimed'")
                #expect(await fixture.waits(until: "SELECT least(count, 2) FROM (\(ended)) c", is: 2))
                let reply = try await command("schedule.update", name, #","shadow":\#(isShadow)"#, on: fixture)
                version += 1
                #expect(reply.schedule["version"]?.int64 == version && reply.schedule["shadow"]?.bool == isShadow)
                #expect(reply.items("in_flight").isEmpty || !isShadow)
            }
            let last = rows(id, "schedule_version = \(version) AND state <> 'claimed'")
            #expect(await fixture.waits(until: "SELECT least(count, 2) FROM (\(last)) c", is: 2))
            _ = try await command("schedule.pause", name, on: fixture)
            #expect(await fixture.waits(until: rows(id, "state = 'claimed'"), is: 0))
            // Odd versions were in shadow, even ones were not.
            let wrong = "(schedule_version % 2 = 1) IS DISTINCT FROM (state = 'skipped' AND reason = 'shadow')"
            #expect(try await fixture.count(rows(id, wrong)) == 0)
            let gaps = """
                SELECT round(extract(epoch FROM max(scheduled_for) - min(coalesce(range_from, scheduled_for))) / 0.1)::bigint
                    + 1 - sum(range_count)::bigint
                FROM scheduler.executions WHERE schedule_id = '\(id)'
                """
            #expect(try await fixture.count(gaps) == 0)
            let delivered = try await fixture.rows(
                "SELECT id::text FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'")
            let messages = try await fixture.messages(of: "DEMO", on: "demo.js.shadow.\(name)")
            let sent = messages.compactMap { $0.header("Scheduler-Execution-Id") }
            #expect(sent.count == Set(sent).count && Set(sent) == Set(delivered.compactMap { $0[0] }))
            // What was claimed in shadow and sent live is followed as any other.
            #expect(messages.allSatisfy { ($0.header("Scheduler-Status-Subject") != nil) == isTracked })
            let proof = try await fixture.administer(
                "system.verify", #"{"check":"ledger","namespace":"\#(Self.namespace)","schedule_id":"\#(id)"}"#)
            #expect(proof["verified"]?["ledger"]?["ok"]?.bool == true, "\(proof)")
            guard isTracked else { return }
            for execution in delivered {
                let body = #"{"id":"\#(execution[0] ?? "?")"}"#
                try await fixture.done("execution.cancel", body, in: Self.namespace)
            }
            try await fixture.database.execute(
                script: "UPDATE scheduler.runs SET deadline_at = now() WHERE schedule_id = '\(id)'")
            #expect(
                await fixture.waits(until: "SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)'", is: 0))
        }

        @Test("What waits for its target when the shadow falls is not sent, and what was tried before is cancelled")
        func falls() async throws {
            let fixture = try await SharedSystem.running.fixture
            // Nobody takes it: all wait for the target.
            let silent = #""schedule_type":"immediate","target_command":"demo.silent.shadow""#
            let plain = try await make("falls-plain", silent, on: fixture)
            let tracked = try await make("falls-tracked", silent + #","completion":"report""#, on: fixture)
            // Nobody answers it: it waits for another attempt.
            let retried = try await make(
                "falls-retried",
                Self.far
                    + #","target_command":"demo.shadow.nobody","delivery":"request","max_retries":50,"retry_delay_seconds":0.5,"retry_max_delay_seconds":0.5"#,
                on: fixture)
            _ = try await command("schedule.trigger", "falls-retried", on: fixture)
            // By a row or more: further attempts go on.
            let tried = rows(retried, "state = 'retry_wait' OR attempt > 1")
            #expect(await fixture.waits(until: "SELECT least(1, (\(tried)))", is: 1))
            for id in [plain, tracked] {
                #expect(await fixture.waits(until: rows(id, "state = 'claimed' AND due_at < now()"), is: 1))
            }
            for name in ["falls-plain", "falls-tracked", "falls-retried"] {
                let reply = try await command("schedule.update", name, #","shadow":true"#, on: fixture)
                #expect(reply.items("in_flight").isEmpty, "\(name)")
            }
            for id in [plain, tracked] {
                #expect(await fixture.waits(until: rows(id, "\(shadowed) AND schedule_version = 2"), is: 1))
                #expect(
                    await fixture.waits(
                        until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'exhausted'",
                        is: 1))
            }
            #expect(await fixture.waits(until: rows(retried, "state = 'cancelled' AND reason = 'shadow'"), is: 1))
            let open =
                "SELECT count(*) FROM scheduler.runs WHERE schedule_id IN ('\(plain)', '\(tracked)', '\(retried)')"
            #expect(try await fixture.count(open) == 0)
            _ = try await command("schedule.delete", "falls-retried", on: fixture)
        }

        @Test(
            "A shadow's end is a success to followers in shadow, and nothing to others, also to one that left the shadow"
        )
        func chains() async throws {
            let fixture = try await SharedSystem.running.fixture
            func follow(_ name: String, _ on: String, _ rest: String) async throws -> String {
                try await make(
                    name,
                    Self.far
                        + #","target_command":"demo.js.\#(name)","after":{"schedule":"head","on":"\#(on)"}\#(rest)"#,
                    on: fixture)
            }
            let shadow = #","shadow":true"#
            _ = try await make("head", Self.far + #","target_command":"demo.js.head""# + shadow, on: fixture)
            let next = try await follow("head-next", "succeeded", shadow)
            let any = try await follow("head-any", "completed", shadow + #","completion":"report""#)
            let failed = try await follow("head-failed", "failed", shadow)
            let live = try await follow("head-live", "completed", "")
            let late = try await follow("head-late", "succeeded", shadow)
            // Its turn waits until it is none in shadow any more.
            let until = try await fixture.instant(in: "1 hour")
            let freeze = try await fixture.administer(
                "freeze.set", #"{"target":"demo.js.head-late","until":"\#(until)"}"#)
            _ = try await command("schedule.trigger", "head", on: fixture)
            for id in [next, any] { #expect(await fixture.waits(until: rows(id, shadowed), is: 1)) }
            let turns = "SELECT count(*) FROM scheduler.ended_upstreams WHERE downstream = '\(late)'"
            #expect(await fixture.waits(until: turns, is: 1))
            _ = try await command("schedule.update", "head-late", #","shadow":false"#, on: fixture)
            try await fixture.administer("freeze.clear", #"{"id":"\#(freeze["freeze"]?["id"]?.string ?? "?")"}"#)
            #expect(await fixture.waits(until: turns, is: 0))
            for id in [failed, live, late] { #expect(try await fixture.ledger(of: id).isEmpty) }
            // A live end fires both, each as it is.
            _ = try await command("schedule.update", "head", #","shadow":false"#, on: fixture)
            _ = try await command("schedule.trigger", "head", on: fixture)
            #expect(await fixture.waits(until: rows(live, "state = 'delivered'"), is: 1))
            #expect(await fixture.waits(until: rows(next, shadowed), is: 2))
            for name in ["head-next", "head-any"] {
                #expect(try await fixture.messages(of: "DEMO", on: "demo.js.\(name)").isEmpty)
            }
        }
    }
}
