import JSONText
import LocalServers
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing
import Tracing

@testable import SpanExport

/// Spans on their way to a real collector, which reads them with OpenTelemetry's own definitions.
@Suite(.timeLimit(.minutes(1))) struct SpanExporterTests {
    /// Short ones, so that nobody waits long.
    private static let second: Int64 = 100_000_000
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    /// Lines of a log.
    private final class Lines: LogHandler, Sendable {
        let all = Mutex<[String]>([])
        var logLevel: Logger.Level {
            get { .info }
            set {}
        }
        var metadata: Logger.Metadata {
            get { [:] }
            set {}
        }
        subscript(metadataKey _: String) -> Logger.Metadata.Value? {
            get { nil }
            set {}
        }
        func log(event: LogEvent) {
            let more = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            all.withLock { $0.append(event.message.description + more.joined()) }
        }
    }

    /// An exporter at work.
    private struct Running {
        let tracer: ExportTracer
        let queue: SpanQueue
        let lines: Lines

        func make(_ names: String..., attributes: SpanAttributes = [:]) {
            var context = InstrumentationContext.topLevel
            context.spanIdentity = SpanIdentity(traceparent: "00-\(trace)-00f067aa0ba902b7-01", tracestate: "a=1")
            for name in names {
                let span = tracer.startSpan(name, context: context, ofKind: .producer)
                span.attributes = attributes
                span.end()
            }
        }
    }

    /// Runs an exporter while `body` does, and ends it in good order.
    private func exporting(
        to endpoint: String, headers: String = "", most: Int = 8192, _ body: (Running) async throws -> Void
    ) async throws -> [String] {
        let lines = Lines()
        let clock: @Sendable () -> Int64 = { Monotonic.nanoseconds }
        let queue = SpanQueue(most: most, clock: clock)
        let exporter = SpanExporter(
            to: try CollectorEndpoint(endpoint, suffix: "v1/traces"), headers: try CollectorHeaders.read(headers),
            resource: SpanResource(attributes: [("service.name", "t")], scope: "tests", version: "1"), queue: queue,
            clock: clock, second: Self.second, logger: Logger(label: "t") { _ in lines })
        let group = ServiceGroup(services: [exporter], logger: Logger(label: "none") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            do { try await body(Running(tracer: exporter.tracer, queue: queue, lines: lines)) } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        return lines.all.withLock { $0 }
    }

    private func requests(_ collector: SpanCollector) throws -> [JSONValue] {
        try collector.requests.map { try JSONValue.parse($0) }
    }

    private func names(_ collector: SpanCollector) throws -> [[String]] {
        try requests(collector).map { ($0["spans"].map { Array($0.elements) } ?? []).compactMap { $0["name"]?.string } }
    }

    @Test("Every kind of attribute, event and link is what OpenTelemetry reads; and the last spans go out at the end")
    func isRead() async throws {
        let collector = try await SpanCollector.start()
        let lines = try await exporting(to: collector.endpoint, headers: "x-key=s%20t") { running in
            running.make(
                "publish a\"b\u{1}é",
                attributes: [
                    "text": "t\n\"", "whole": 42, "real": 0.25, "none": .double(.nan), "yes": true,
                    "texts": .stringArray(["a", "b"]), "wholes": .int64Array([-1, .max]),
                ])
            var context = InstrumentationContext.topLevel
            context.spanIdentity = SpanIdentity(traceparent: "00-\(Self.trace)-00f067aa0ba902b7-01", tracestate: nil)
            let span = running.tracer.startSpan("other", context: context, ofKind: .server)
            span.recordError(CancellationError())
            span.setStatus(SpanStatus(code: .error, message: "m"))
            span.addLink(SpanLink(context: context, attributes: [:]))
            span.end()
        }
        #expect(lines.isEmpty)
        let requests = try requests(collector)
        let only = try #require(requests.first)
        try #require(requests.count == 1 && only["error"] == nil, "\(collector.requests)")
        #expect(only["path"]?.string == "/v1/traces" && only["headers"]?["x-key"]?.string == "s t")
        let spans = try #require(only["spans"]).elements.map { $0 }
        try #require(spans.count == 2)
        #expect(spans[0]["name"]?.string == "publish a\"b\u{1}é" && spans[0]["kind"]?.string == "SPAN_KIND_PRODUCER")
        #expect(spans[0]["parent"]?.string == "00f067aa0ba902b7" && spans[0]["trace"]?.string == Self.trace)
        #expect(spans[0]["state"]?.string == "a=1" && spans[0]["flags"]?.int64 == 0x301)
        #expect(spans[0]["resource"]?["service.name"]?.string == "t" && spans[0]["failed"]?.bool == false)
        let attributes = try #require(spans[0]["attributes"])
        #expect(attributes["text"]?.string == "t\n\"" && attributes["whole"]?.int64 == 42)
        #expect(attributes["real"]?.double == 0.25 && attributes["yes"]?.bool == true)
        #expect(attributes["wholes"]?.elements.map { $0.int64 } == [-1, .max])
        #expect(attributes["texts"]?.elements.map { $0.string } == ["a", "b"])
        #expect(spans[1]["failed"]?.bool == true && spans[1]["kind"]?.string == "SPAN_KIND_SERVER")
        #expect(spans[1]["events"]?.elements.first { _ in true }?["name"]?.string == "exception")
        #expect(spans[1]["links"]?.elements.first { _ in true }?.string == Self.trace)
        await collector.stop()
    }

    @Test("Who asks to be asked later gets the same batch then; who refuses it gets the next")
    func isTriedAgain() async throws {
        let collector = try await SpanCollector.start(
            answers: """
                [{"status":503,"headers":{"Retry-After":"0"}},{"close":true},{},{"status":400},\
                {"body":"{\\"partialSuccess\\":{\\"rejectedSpans\\":\\"9223372036854775807\\"}}"}]
                """)
        let lines = try await exporting(to: collector.endpoint) { running in
            running.make("a", "b")
            #expect(await waitUntil(.seconds(10)) { collector.requests.count == 3 && running.queue.standing == nil })
            #expect(running.queue.dropped == 0)
            running.make("c")
            #expect(await waitUntil(.seconds(10)) { running.queue.dropped == 1 })
            // More than it was given nobody can refuse.
            running.make("d")
            #expect(await waitUntil(.seconds(10)) { running.queue.dropped == 2 })
        }
        #expect(try names(collector) == [["a", "b"], ["a", "b"], ["a", "b"], ["c"], ["d"]])
        let authority = "127.0.0.1:\(collector.port)"
        let failing =
            "the collector takes no spans; they are dropped where they are too many collector=\(authority) reason="
        #expect(
            lines == [
                failing + "it answers 503", "the collector takes spans missing=0", failing + "it answers 400",
                "the collector takes spans missing=2",
            ])
        await collector.stop()
    }

    @Test("A collector that is away costs the spans that have no room, and one line; the rest comes when it is back")
    func isAway() async throws {
        let first = try await SpanCollector.start()
        let port = first.port
        await first.stop()
        var late: SpanCollector?
        let lines = try await exporting(to: "http://127.0.0.1:\(port)", most: 3) { running in
            running.make("1", "2", "3", "4", "5")
            #expect(await waitUntil(.seconds(10)) { !running.lines.all.withLock { $0.isEmpty } })
            // In the queue there is room again for what came while the first were on their way.
            running.make("6")
            let collector = try await SpanCollector.start(port: port)
            late = collector
            #expect(await waitUntil(.seconds(20)) { collector.requests.count == 2 })
        }
        let collector = try #require(late)
        #expect(try names(collector) == [["1", "2", "3"], ["6"]])
        #expect(lines.count == 2 && lines.last == "the collector takes spans missing=2", "\(lines)")
        await collector.stop()
    }

    @Test("The end waits three of its seconds for a collector that does not answer, and no longer")
    func endsInTime() async throws {
        let collector = try await SpanCollector.start(answers: #"[{"delay":30}]"#)
        let lines = try await exporting(to: collector.endpoint) { running in
            running.make("slow")
            #expect(await waitUntil(.seconds(10)) { collector.requests.count == 1 })
            running.make("last")
        }
        #expect(lines.last == "spans are missing at the collector spans=2", "\(lines)")
        #expect(collector.requests.count <= 2)
        await collector.stop()
    }
}

private enum Monotonic {
    static var nanoseconds: Int64 {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
    private static let start = ContinuousClock.now
}
