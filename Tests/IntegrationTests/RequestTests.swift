import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    @Suite("Requests, and replies as outcomes", .serialized, .timeLimit(.minutes(1))) struct RequestTests {
        struct Case: Sendable, CustomTestStringConvertible {
            let name: String
            var target = ""
            var fields = #","completion":"reply""#
            /// State, attempt, reason and last outcome.
            let row: String
            var result: String?
            let events: [String]

            var testDescription: String { name }
        }

        private static let dead = ["execution failed", "execution dead"]

        static let cases = [
            Case(
                name: "good", row: "succeeded 1", result: "got",
                events: ["execution delivered", "execution succeeded"]),
            Case(
                name: "plain", row: "succeeded 1", result: #""OK""#,
                events: ["execution delivered", "execution succeeded"]),
            Case(
                name: "fatal", row: "dead 1 no funds (402) failed", events: ["execution delivered"] + dead),
            Case(
                name: "later", row: "succeeded 2 failed", result: #""at last""#,
                events: [
                    "execution delivered", "execution failed", "execution retrying", "execution delivered",
                    "execution succeeded",
                ]),
            Case(
                name: "fails", fields: #","completion":"reply","max_retries":1,"retry_delay_seconds":0.05"#,
                row: "dead 2 always (500) failed",
                events: ["execution delivered", "execution failed", "execution retrying", "execution delivered"] + dead),
            Case(
                name: "silent", fields: #","completion":"reply","max_retries":0,"run_timeout_seconds":0.3"#,
                row: "dead 1 no reply came within the run time-out timed_out",
                events: ["execution timed_out", "execution dead"]),
            // Nobody can know whether it ran: no further attempt, whatever the retries.
            Case(
                name: "once", target: "demo.worker.silent",
                fields: #","completion":"reply","guarantee":"at_most_once","run_timeout_seconds":0.3"#,
                row: "dead 1 uncertain uncertain", events: ["execution dead"]),
            Case(
                name: "nobody", fields: #","completion":"reply","max_retries":0"#,
                row: "dead 1 no_responders failed", events: dead),
            Case(
                name: "unheard", fields: #","max_retries":0"#, row: "dead 1 no_responders failed", events: dead),
            Case(
                name: "stored", target: "demo.js.request", row: "dead 1 target_is_a_stream failed", events: dead),
            // The reply only says that somebody has it.
            Case(
                name: "taken", target: "demo.worker.fails", fields: "", row: "delivered 1",
                events: ["execution delivered"]),
        ]

        private static func body(_ item: Case) -> String {
            let target = item.target.isEmpty ? "demo.worker.\(item.name)" : item.target
            return """
                {"name":"\(item.name)","schedule_type":"immediate","target_command":"\(target)","delivery":"request",\
                "command_payload":{"n": 1.50}\(item.fields)}
                """
        }

        @Test("Workers of another client decide how executions end")
        func replies() async throws {
            let fixture = try await SharedSystem.running.fixture
            let workers = try Workers(url: await fixture.nats.url, in: fixture.folder)
            #expect(await waitUntil(.seconds(15)) { workers.isReady }, "\(workers.log)")
            var ids: [String: String] = [:]
            for item in Self.cases {
                ids[item.name] = try await fixture.done("schedule.create", Self.body(item), in: "asked").id
            }
            let open = """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'asked' AND e.finished_at IS NOT NULL
                """
            #expect(await fixture.waits(.seconds(20), until: open, is: Int64(Self.cases.count)))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.owed_messages", is: 0))
            for item in Self.cases { try await check(item, ids[item.name] ?? "none", fixture) }
            let stored = try await fixture.messages(of: "DEMO").filter { $0.subject == "demo.js.request" }
            #expect(stored.count == 1)
            let left = "SELECT count(*) FROM scheduler.runs r JOIN scheduler.schedules s ON s.id = r.schedule_id"
            #expect(await fixture.waits(until: left + " WHERE s.namespace = 'asked'", is: 0))
            #expect(await workers.stop())
        }

        private func check(_ item: Case, _ id: String, _ fixture: ServiceFixture) async throws {
            let row = try await fixture.rows(
                """
                SELECT concat_ws(' ', e.state, e.attempt, e.reason, e.last_outcome), e.result::text, e.id::text
                FROM scheduler.executions e WHERE e.schedule_id = '\(id)'
                """)
            #expect(row.map { $0[0] } == [item.row], "\(item.name)")
            let result = row.first?[1]
            if item.name == "good" {
                let value = try JSONValue.parse(result ?? "null")
                #expect(value["got"].map { String(decoding: $0.bytes, as: UTF8.self) } == #"{"n": 1.5}"#)
                #expect(value["execution"]?.string == row.first?[2] && value["attempt"]?.string == "1")
            } else {
                #expect(result == item.result, "\(item.name)")
            }
            var events: [String] = []
            let isTold = await waitUntil(.seconds(5)) {
                events = ((try? await fixture.events(of: id)) ?? []).filter { $0.hasPrefix("execution") }
                return events.count >= item.events.count
            }
            #expect(isTold && events == item.events, "\(item.name): \(events)")
        }

        @Test("A creator is told that nobody listens, and that a stream would answer; the target is not asked")
        func warns() async throws {
            let fixture = try await SharedSystem.running.fixture
            let asked = try FiredMessages("demo.listened", on: fixture.client)
            try await fixture.client.flush()
            let expected: [(String, String, String?)] = [
                ("demo.unheard.of", "request", "nobody listens on 'demo.unheard.of': a request would fail"),
                ("demo.listened", "request", nil), ("demo.unheard.of", "core", nil),
                (
                    "demo.js.warned", "request",
                    "stream 'DEMO' takes 'demo.js.warned', and would answer in a worker's place: a request would fail"
                ),
            ]
            for (target, delivery, warning) in expected {
                let body =
                    #"{"schedule_type":"interval","interval_seconds":3600,"target_command":"\#(target)","delivery":"\#(delivery)"}"#
                let reply = try await fixture.done("schedule.validate", body, in: "warned")
                let told = reply.items("warnings").filter { $0["pointer"]?.string == "/target_command" }
                #expect(told.map { $0["message"]?.string } == (warning.map { [$0] } ?? []), "\(target) \(delivery)")
            }
            #expect(asked.count == 0)
            asked.cancel()
        }
    }
}

/// The workers of `python/workers.py`.
private struct Workers {
    private let process: ChildProcess
    private let path: String

    init(url: String, in folder: String) throws {
        path = folder + "/workers.log"
        let script = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        process = try ChildProcess([Tool.python, script + "/python/workers.py", url], logPath: path)
    }

    var log: String { Filesystem.tail(path) }
    var isReady: Bool { log.contains("ready") }

    func stop() async -> Bool {
        process.signal(15)
        return await process.waitForEnd(.seconds(5))
    }
}
