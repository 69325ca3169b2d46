import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Synchronization
import Testing

extension Integration {
    /// W3C trace context, from commands to fired messages and events.
    @Suite("Trace context", .serialized, .timeLimit(.minutes(1))) struct TraceTests {
        private static let space = "traces"
        private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        private static let span = "00f067aa0ba902b7"
        private static let parent = "00-\(trace)-\(span)-01"
        private static let state = "rojo=1,congo=t61rcWkgMzE"

        private func send(
            _ command: String, _ body: String, _ headers: [(HeaderName, String)], as kind: String = "cmd",
            on fixture: ServiceFixture
        ) async throws -> JSONValue {
            var block = NATSHeaders()
            for (name, value) in headers { try block.append(name, value) }
            let subject = try Subject("scheduler.\(kind).\(Self.space).\(command)")
            guard kind == "cmd" else {
                try fixture.client.publish(subject, headers: block, payload: Array(body.utf8))
                return try JSONValue.parse("null")
            }
            let reply = try await fixture.client.request(
                subject, headers: block, payload: Array(body.utf8), timeout: .seconds(5))
            let text = try JSONValue.parse(reply.payload)
            try #require(text["error"] == nil, "\(String(decoding: reply.payload, as: UTF8.self))")
            return text
        }

        private static let traced: [(HeaderName, String)] = [
            ("traceparent", parent), ("Tracestate", "rojo=1 ,congo=t61rcWkgMzE"),
        ]

        /// The message of an execution that a stream took.
        private func fired(_ id: String, _ fixture: ServiceFixture) async throws -> StoredMessage {
            var found: StoredMessage?
            _ = await waitUntil(.seconds(10)) {
                let messages = (try? await fixture.messages(of: "DEMO")) ?? []
                found = messages.first { $0.header("Scheduler-Execution-Id") == id }
                return found != nil
            }
            return try #require(found)
        }

        /// A schedule's event.
        private func event(
            _ type: String, of schedule: String, _ execution: String? = nil, on fixture: ServiceFixture
        ) async throws -> JSONValue {
            var found: JSONValue?
            _ = await waitUntil(.seconds(10)) {
                for message in (try? await fixture.eventMessages(of: schedule)) ?? []
                where message.subject.contains(".\(type).") {
                    guard let event = try? JSONValue.parse(message.payload) else { continue }
                    if execution == nil || event["data"]?["execution_id"]?.string == execution { found = event }
                }
                return found != nil
            }
            return try #require(found, "\(type)")
        }

        private func isOfTrace(_ parent: String?, otherThan spans: [String] = []) -> Bool {
            let parts = (parent ?? "").split(separator: "-").map(String.init)
            return parts.count == 4 && parts[1] == Self.trace && parts[2] != Self.span && !spans.contains(parts[2])
                && parts[3] == "01"
        }

        @Test("A command's trace goes on in what it changes and in what it fires")
        func goesOn() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body =
                #"{"name":"traced","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.traced"}"#
            let schedule = try await send("schedule.create", body, Self.traced, on: fixture).id
            let created = try await event("created", of: schedule, on: fixture)
            #expect(isOfTrace(created["traceparent"]?.string))
            #expect(created["tracestate"]?.string == Self.state)
            let reply = try await send("schedule.trigger", #"{"name":"traced"}"#, Self.traced, on: fixture)
            let execution = try #require(reply["execution"]?["id"]?.string)
            let message = try await fired(execution, fixture)
            #expect(isOfTrace(message.header("traceparent")))
            #expect(message.header("tracestate") == Self.state)
            let delivered = try await event("delivered", of: schedule, execution, on: fixture)
            #expect(delivered["traceparent"]?.string == message.header("traceparent"))
            #expect(delivered["tracestate"]?.string == Self.state)
            // It is a change's, not a schedule's: the next command is of no trace.
            let plain = try await send("schedule.trigger", #"{"name":"traced"}"#, [], on: fixture)
            let own = try #require(plain["execution"]?["id"]?.string)
            let digits = String(own.filter { $0 != "-" })
            let parent = try await fired(own, fixture).header("traceparent")
            #expect(parent?.hasPrefix("00-\(digits)-") == true)
            #expect(try await event("delivered", of: schedule, own, on: fixture)["traceparent"] == nil)
            try await fixture.done("schedule.delete", #"{"name":"traced"}"#, in: Self.space)
        }

        @Test(
            "A bad trace context is none, and never an error",
            arguments: [
                [("traceparent", "00-\(trace)-\(span)")], [("traceparent", "00-\(trace)-0000000000000000-01")],
                [("traceparent", parent), ("TraceParent", parent)], [("tracestate", state)],
            ])
        func ignores(headers: [(String, String)]) async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{"name":"untraced","schedule_type":"immediate","target_command":"demo.js.untraced"}"#
            let named = try headers.map { (try HeaderName($0.0), $0.1) }
            let schedule = try await send("schedule.put", body, named, on: fixture).id
            #expect(try await event("created", of: schedule, on: fixture)["traceparent"] == nil)
            let delivered = try await event("delivered", of: schedule, on: fixture)
            let execution = try #require(delivered["data"]?["execution_id"]?.string)
            let message = try await fired(execution, fixture)
            let digits = String(execution.filter { $0 != "-" })
            #expect(message.header("traceparent")?.hasPrefix("00-\(digits)-") == true)
            #expect(message.header("tracestate") == nil)
        }

        @Test("A trace is kept by what waits, by what is tried again, and by what was submitted")
        func isKept() async throws {
            let fixture = try await SharedSystem.running.fixture
            let heard = Mutex<[(attempt: String, parent: String, state: String)]>([])
            let client = fixture.client
            let worker = try client.subscribe(try SubjectFilter("demo.traced.work")) { message in
                let attempt = message.header("Scheduler-Attempt") ?? ""
                let reply = String(decoding: message.reply, as: UTF8.self)
                heard.withLock {
                    $0.append((attempt, message.header("traceparent") ?? "", message.header("tracestate") ?? ""))
                }
                var headers = NATSHeaders()
                if attempt == "1" { try? headers.append("Nats-Service-Error", "once more") }
                guard let subject = try? Subject(reply) else { return }
                _ = try? client.publish(subject, headers: headers, payload: Array("{}".utf8))
            }
            defer { worker.cancel() }
            let body = """
                {"name":"kept","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.traced.work",\
                "delivery":"request","completion":"reply","max_retries":1,"retry_delay_seconds":1,\
                "overlap_policy":"buffer"}
                """
            let schedule = try await send("schedule.create", body, [], on: fixture).id
            // The second waits for the place of the first, which fails once.
            for kind in ["cmd", "submit"] {
                _ = try await send("schedule.trigger", #"{"name":"kept"}"#, Self.traced, as: kind, on: fixture)
            }
            let ended =
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(schedule)' AND state = 'succeeded'"
            #expect(await fixture.waits(.seconds(20), until: ended, is: 2))
            let all = heard.withLock { $0 }
            #expect(all.map(\.attempt) == ["1", "2", "1", "2"])
            #expect(all.allSatisfy { isOfTrace($0.parent) && $0.state == Self.state }, "\(all)")
            #expect(Set(all.map(\.parent)).count == 4, "each attempt is a span")
            let retrying = try await event("retrying", of: schedule, on: fixture)
            #expect(isOfTrace(retrying["traceparent"]?.string))
            #expect(isOfTrace(try await event("command_accepted", of: schedule, on: fixture)["traceparent"]?.string))
            try await fixture.done("schedule.delete", #"{"name":"kept"}"#, in: Self.space)
        }
    }
}
