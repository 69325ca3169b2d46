import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// Spans of a real system, as a collector got them: who makes which, and whose children they are.
    @Suite("Spans", .serialized, .timeLimit(.minutes(1))) struct SpanTests {
        private static let space = "spans"
        private static let span = "00f067aa0ba902b7"

        /// A trace of one test's own.
        private struct Sent {
            let id = String((0..<32).map { _ in "0123456789abcdef".randomElement() ?? "0" })
            let collector: SpanCollector
            let fixture: ServiceFixture

            init() async throws {
                let system = try await SharedSystem.running
                (collector, fixture) = (system.collector, system.fixture)
            }

            func headers(_ flags: String = "01") throws -> NATSHeaders {
                var headers = NATSHeaders()
                try headers.append("traceparent", "00-\(id)-\(SpanTests.span)-\(flags)")
                return headers
            }

            @discardableResult
            func command(_ name: String, _ body: String, flags: String = "01") async throws -> JSONValue {
                let reply = try await fixture.client.request(
                    try Subject("scheduler.cmd.\(SpanTests.space).\(name)"), headers: try headers(flags),
                    payload: Array(body.utf8), timeout: .seconds(5))
                return try JSONValue.parse(reply.payload)
            }

            /// Its spans, when there are so many.
            func spans(_ count: Int) async throws -> [JSONValue] {
                var found: [JSONValue] = []
                _ = await waitUntil(.seconds(15)) {
                    let requests = collector.requests.filter { $0.contains(id) }.compactMap { try? JSONValue.parse($0) }
                    found = requests.flatMap { $0.items("spans") }.filter { $0["trace"]?.string == id }
                    return found.count >= count
                }
                try #require(found.count == count, "\(found.map { String(decoding: $0.bytes, as: UTF8.self) })")
                #expect(!collector.requests.contains { $0.contains(#""error":"#) })
                return found
            }
        }

        private static func named(_ name: String, _ spans: [JSONValue]) throws -> JSONValue {
            try #require(spans.first { $0["name"]?.string == name }, "\(name)")
        }

        private static func text(_ span: JSONValue, _ attribute: String) -> String? {
            span["attributes"]?[attribute]?.string
        }

        @Test("A publish is its trigger's child, that its sender's, and the message carries the publish's id")
        func publishes() async throws {
            let sent = try await Sent()
            let body =
                #"{"name":"seen","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.seen"}"#
            try await sent.command("schedule.create", body, flags: "00")
            let fired = try FiredMessages("demo.js.seen", on: sent.fixture.client)
            let reply = try await sent.command("schedule.trigger", #"{"name":"seen"}"#)
            let execution = try #require(reply["execution"]?["id"]?.string)
            try await sent.command("schedule.trigger", #"{"name":"nobody"}"#)
            #expect(await waitUntil(.seconds(10)) { fired.count == 1 })
            let spans = try await sent.spans(3)
            let triggers = spans.filter { $0["name"]?.string == "process schedule.trigger" }
            #expect(triggers.count == 2 && triggers.allSatisfy { $0["parent"]?.string == Self.span })
            #expect(triggers.allSatisfy { $0["kind"]?.string == "SPAN_KIND_SERVER" && $0["flags"]?.int64 == 0x301 })
            #expect(triggers.compactMap { Self.text($0, "error.type") } == ["20404"])
            let publish = try Self.named("publish demo.js.seen", spans)
            let trigger = try #require(triggers.first { Self.text($0, "error.type") == nil })
            #expect(publish["parent"]?.string == trigger["id"]?.string && publish["failed"]?.bool == false)
            #expect(publish["kind"]?.string == "SPAN_KIND_PRODUCER")
            #expect(Self.text(publish, "carillon.execution_id") == execution)
            #expect(
                Self.text(publish, "carillon.ack_stream") == "DEMO"
                    && Self.text(publish, "carillon.trigger") == "manual")
            #expect(Self.text(publish, "messaging.destination.name") == "demo.js.seen")
            let messages = try await sent.fixture.messages(of: "DEMO", on: "demo.js.seen")
            #expect(
                messages.map { $0.header("traceparent") } == ["00-\(sent.id)-\(publish["id"]?.string ?? "")-01"])
            // The command ends when the fire is written down, and the fire goes out then.
            let (began, ended) = (Int64(publish["start"]?.string ?? "") ?? 0, Int64(publish["end"]?.string ?? "") ?? 0)
            #expect(began > 0 && ended >= began)
            #expect(publish["resource"]?["service.name"]?.string == "carillon")
            try await sent.fixture.done("schedule.delete", #"{"name":"seen"}"#, in: Self.space)
        }

        @Test("Of a schedule in shadow no publish is told: there was none")
        func shadows() async throws {
            let sent = try await Sent()
            for (name, fields) in [("unseen", #","shadow":true"#), ("shown", "")] {
                let body = """
                    {"name":"\(name)","schedule_type":"interval","interval_seconds":86400,"delivery":"core",\
                    "target_command":"demo.spans.\(name)"\(fields)}
                    """
                let id = try await sent.fixture.done("schedule.create", body, in: Self.space).id
                try await sent.command("schedule.trigger", #"{"name":"\#(name)"}"#)
                #expect(await sent.fixture.waits(until: Integration.rows(id, "state <> 'claimed'"), is: 1))
            }
            let names = try await sent.spans(3).compactMap { $0["name"]?.string }.sorted()
            #expect(names == ["process schedule.trigger", "process schedule.trigger", "publish demo.spans.shown"])
            for name in ["unseen", "shown"] {
                try await sent.fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: Self.space)
            }
        }

        @Test("A failed attempt and a further one are siblings; what is submitted is a consumer's; a report ends a run")
        func triesAgain() async throws {
            let sent = try await Sent()
            let asked = try await HandWorker("demo.spans.asked", on: sent.fixture.client)
            let reports = try await HandWorker("demo.spans.reports", on: sent.fixture.client)
            for (name, more) in [
                ("asked", #""delivery":"request","completion":"reply","max_retries":1,"retry_delay_seconds":0.1"#),
                ("reports", #""delivery":"core","completion":"report","max_retries":0"#),
            ] {
                let body = """
                    {"name":"\(name)","schedule_type":"interval","interval_seconds":86400,\
                    "target_command":"demo.spans.\(name)",\(more)}
                    """
                try await sent.fixture.done("schedule.create", body, in: Self.space)
            }
            try sent.fixture.client.publish(
                try Subject("scheduler.submit.\(Self.space).schedule.trigger"), headers: try sent.headers(),
                payload: Array(#"{"name":"asked"}"#.utf8))
            try await asked.answer(try await asked.message(0), error: "once more")
            try await asked.answer(try await asked.message(1), "{}")
            try await sent.command("schedule.trigger", #"{"name":"reports"}"#)
            let message = try await reports.message(0)
            try await reports.report(message, "started")
            try await reports.report(message, "succeeded")
            let spans = try await sent.spans(6)
            let submitted = try #require(spans.first { $0["kind"]?.string == "SPAN_KIND_CONSUMER" })
            #expect(submitted["name"]?.string == "process schedule.trigger" && submitted["parent"]?.string == Self.span)
            let tries = spans.filter { $0["name"]?.string == "publish demo.spans.asked" }
            #expect(tries.count == 2 && tries.allSatisfy { $0["parent"]?.string == submitted["id"]?.string })
            #expect(Set(tries.compactMap { $0["id"]?.string }).count == 2)
            #expect(Set(tries.map { Self.text($0, "carillon.outcome") }) == ["failed", "succeeded"])
            #expect(tries.filter { $0["failed"]?.bool == true }.map { Self.text($0, "carillon.outcome") } == ["failed"])
            let publish = try Self.named("publish demo.spans.reports", spans)
            let run = try Self.named("run demo.spans.reports", spans)
            #expect(run["parent"]?.string == publish["id"]?.string && run["kind"]?.string == "SPAN_KIND_INTERNAL")
            #expect(Self.text(run, "carillon.outcome") == "succeeded" && run["failed"]?.bool == false)
            #expect(message.header("traceparent")?.contains(publish["id"]?.string ?? "none") == true)
            for name in ["asked", "reports"] {
                try await sent.fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: Self.space)
            }
        }

        @Test("Over HTTP it is the same; what nobody records makes none")
        func overHTTP() async throws {
            let sent = try await Sent()
            let address = try #require(HTTPFace.address(of: try await SharedSystem.running.instance))
            let script = """
                import sys, urllib.request
                for flags in ("00", "01"):
                    urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/api/v1/schedules", headers={
                        "Authorization": "Bearer root-token", "Scheduler-Namespace": "spans",
                        "traceparent": f"00-{sys.argv[2]}-00f067aa0ba902b7-{flags}"}), timeout=10)
                """
            try await Tool.run(Tool.python, ["-c", script, address, sent.id], in: sent.fixture.folder)
            let only = try #require(try await sent.spans(1).first)
            #expect(only["name"]?.string == "process schedule.list" && only["parent"]?.string == Self.span)
            #expect(
                Self.text(only, "network.protocol.name") == "http"
                    && Self.text(only, "carillon.namespace") == Self.space)
        }
    }
}
