import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// What namespaces may do, set while the service runs: on two instances.
    @Suite("Limits of namespaces", .serialized, .timeLimit(.minutes(2))) struct LimitTests {
        private static func body(_ timing: String, _ more: String = "") -> String {
            #"{"schedule_type":\#(timing),"target_command":"demo.lim","delivery":"core","dry_run":true\#(more)}"#
        }

        /// Waits until a command gets nothing but this answer, from each instance.
        private func becomes(
            _ code: Int64, _ command: String, _ body: String, in namespace: String, _ fixture: ServiceFixture
        ) async -> Bool {
            await waitUntil(.seconds(5)) {
                (try? await fixture.everywhere(command, body, in: namespace)) == [code]
            }
        }

        @Test("The shortest period and the size of payloads are bounded, hot; null brings the default back")
        func bounds() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.done(
                "schedule.create",
                #"{"name":"old","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.lim","delivery":"core"}"#,
                in: "bound")
            let set = try await fixture.administer(
                "namespace.limits",
                #"{"namespace":"bound","min_interval_seconds":60,"max_payload_bytes":100,"actor":"ann"}"#)
            #expect(set["namespace"]?["min_interval_seconds"]?.double == 60)
            #expect(
                set["namespace"]?["schedules"]?.int64 == 1 && set["namespace"]?["commands_per_second"]?.isNull == true)
            let often = Self.body(#""interval","interval_seconds":59"#)
            #expect(await becomes(40404, "schedule.create", often, in: "bound", fixture))
            for (timing, expected) in [
                (#""cron","cron_expression":"*/30 * * * * *""#, "40404 /cron_expression"),
                (#""rrule","rrule":"FREQ=SECONDLY;INTERVAL=30""#, "40404 /rrule"),
                (#""interval","interval_seconds":1"#, "40404 /interval_seconds"),
            ] {
                #expect(try await fixture.refused("schedule.create", Self.body(timing), in: "bound") == expected)
            }
            for timing in [
                #""cron","cron_expression":"* * * * *""#, #""interval","interval_seconds":60"#, #""immediate""#,
            ] { try await fixture.done("schedule.create", Self.body(timing), in: "bound") }
            try await fixture.done("schedule.create", often, in: "elsewhere")
            let large = #","command_payload":"\#(String(repeating: "x", count: 99))""#
            let hourly = #""interval","interval_seconds":3600"#
            #expect(
                try await fixture.refused("schedule.create", Self.body(hourly, large), in: "bound")
                    == "30413 /command_payload")
            let trigger = #"{"name":"old","payload":"\#(String(repeating: "x", count: 99))"}"#
            #expect(try await fixture.refused("schedule.trigger", trigger, in: "bound") == "30413")
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"old","interval_seconds":1}"#, in: "bound")
                    == "40404 /interval_seconds")
            let reset = try await fixture.administer(
                "namespace.limits", #"{"namespace":"bound","min_interval_seconds":null}"#)
            #expect(reset["namespace"]?["min_interval_seconds"]?.isNull == true)
            #expect(reset["namespace"]?["max_payload_bytes"]?.int64 == 100)
            #expect(await becomes(0, "schedule.create", often, in: "bound", fixture))
            // A look, a dry run and a repetition are no changes.
            try await fixture.administer("namespace.limits", #"{"namespace":"bound"}"#)
            try await fixture.administer(
                "namespace.limits", #"{"namespace":"bound","max_schedules":5,"dry_run":true}"#)
            try await fixture.administer("namespace.limits", #"{"namespace":"bound","max_payload_bytes":100}"#)
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.audit_log WHERE action = 'namespace_limits' AND namespace = 'bound'"
                )
                    == 2)
            // Somebody who edits nothing of the timing is not held to a limit that came later.
            try await fixture.administer("namespace.limits", #"{"namespace":"bound","min_interval_seconds":7200}"#)
            #expect(await becomes(40404, "schedule.create", Self.body(hourly), in: "bound", fixture))
            try await fixture.done("schedule.update", #"{"name":"old","priority":1}"#, in: "bound")
        }

        @Test("A namespace that sends too much is told when to ask again, before anything of it is read")
        func rates() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.administer(
                "namespace.limits", #"{"namespace":"rate","commands_per_second":2,"command_burst":4}"#)
            /// The answers to forty bodies at once that are no JSON.
            @Sendable func crowd(_ namespace: String) async throws -> [JSONValue] {
                try await withThrowingTaskGroup(of: JSONValue.self) { tasks in
                    for _ in 0..<40 {
                        tasks.addTask { try await fixture.command("schedule.get", "{", namespace: namespace) }
                    }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
            }
            func codes(_ answers: [JSONValue]) -> [Int64] { answers.map { $0["error"]?["err_code"]?.int64 ?? 0 } }
            #expect(
                await waitUntil(.seconds(5)) {
                    let answers = (try? await crowd("rate")) ?? []
                    let refused = answers.filter { $0["error"]?["err_code"]?.int64 == 40429 }
                    return refused.count >= 25
                        && refused.allSatisfy {
                            let wait = $0["error"]?["retry_after_seconds"]?.double ?? 0
                            return $0["error"]?["code"]?.int64 == 429 && wait > 0 && wait <= 1
                        }
                })
            #expect(try await Set(codes(crowd("free"))) == [10400])
            // The bucket fills again.
            #expect(
                await waitUntil(.seconds(5)) {
                    (try? await fixture.command("schedule.list", "", namespace: "rate"))?["schedules"] != nil
                })
            try await fixture.administer(
                "namespace.limits", #"{"namespace":"rate","commands_per_second":null,"command_burst":null}"#)
            #expect(
                await waitUntil(.seconds(5)) {
                    ((try? await crowd("rate")) ?? []).allSatisfy { $0["error"]?["err_code"]?.int64 == 10400 }
                })
        }

        @Test("64 clients at once end at exactly the limit, and one request_id sent a hundred times makes one schedule")
        func crowds() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.administer("namespace.limits", #"{"namespace":"crowd","max_schedules":100}"#)
            let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
                separator: "/")
            let log = fixture.folder + "/crowd.log"
            let process = try ChildProcess(
                [Tool.python, folder + "/python/crowd.py", await fixture.nats.url, "100"], logPath: log)
            let hasEnded = await process.waitForEnd(.seconds(40))
            #expect(hasEnded && process.hasSucceeded, "\(Filesystem.tail(log))")
            #expect(try await fixture.count(of: "active", in: "crowd") == 100)
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.schedules WHERE namespace = 'crowd' AND name = 'once'")
                    == 1)
        }

        @Test("Namespaces are listed in pages, with their counts and limits")
        func lists() async throws {
            let fixture = try await RuleSystem.running.fixture
            for name in ["list-a", "list-b", "list-c"] {
                try await fixture.administer("namespace.limits", #"{"namespace":"\#(name)","max_schedules":7}"#)
            }
            try await fixture.administer("namespace.limits", #"{"namespace":"list-d","min_interval_seconds":60}"#)
            let limits: [String: Int64] = ["list-a": 7, "list-b": 7, "list-c": 7, "list-d": 1_000_000]
            var names: [String] = []
            var cursor: String?
            repeat {
                let more = cursor.map { #","cursor":"\#($0)""# } ?? ""
                let page = try await fixture.administer("namespace.list", #"{"limit":2\#(more)}"#)
                #expect(page.items("namespaces").count <= 2)
                for view in page.items("namespaces") {
                    let name = view["namespace"]?.string ?? "?"
                    names.append(name)
                    if let most = limits[name] { #expect(view["max_schedules"]?.int64 == most, "\(name)") }
                }
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            #expect(names.filter { $0.hasPrefix("list-") } == limits.keys.sorted())
            #expect(Set(names).count == names.count)
        }

        @Test(
            "Each fault has its code and its place",
            arguments: [
                ("namespace.limits", "{}", "10425 /namespace"),
                ("namespace.limits", #"{"namespace":"_system"}"#, "10426 /namespace"),
                ("namespace.limits", #"{"namespace":"a","max_schedules":-1}"#, "10426 /max_schedules"),
                ("namespace.limits", #"{"namespace":"a","command_burst":3}"#, "10427 /command_burst"),
                ("namespace.limits", #"{"namespace":"a","min_interval_seconds":"1"}"#, "10424 /min_interval_seconds"),
                ("namespace.limits", #"{"namespace":"a","colour":1}"#, "10423 /colour"),
                ("namespace.list", #"{"cursor":"a b"}"#, "10405 /cursor"),
            ])
        func faults(command: String, body: String, expected: String) async throws {
            let fixture = try await RuleSystem.running.fixture
            #expect(
                try await fixture.refused(command, Array(body.utf8), subject: "scheduler.admin.\(command)") == expected)
        }
    }
}
