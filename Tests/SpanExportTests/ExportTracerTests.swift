import SchedulerCore
import Synchronization
import Testing
import Tracing

@testable import SpanExport

/// Which spans are recorded, and as whose children.
@Suite struct ExportTracerTests {
    private static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    /// A tracer, and what it handed on.
    private final class Recorded: Sendable {
        let spans = Mutex<[SpanRecord]>([])
        var all: [SpanRecord] { spans.withLock { $0 } }
        var tracer: ExportTracer { ExportTracer { [self] span in spans.withLock { $0.append(span) } } }
    }

    private struct Headers: Extractor, Injector {
        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
    }

    private func context(_ headers: [String: String], _ tracer: ExportTracer) -> InstrumentationContext {
        var context = InstrumentationContext.topLevel
        tracer.extract(headers, into: &context, using: Headers())
        return context
    }

    @Test func aChildOfARecordedSpanIsRecordedAndItsChildToo() throws {
        let recorded = Recorded()
        let tracer = recorded.tracer
        let context = context(["traceparent": Self.parent, "tracestate": "a=1"], tracer)
        tracer.withSpan("outer", context: context, ofKind: .server) { outer in
            outer.attributes.set("n", value: 1)
            tracer.withSpan("inner") { _ in }
        }
        let all = recorded.all
        try #require(all.map(\.name) == ["inner", "outer"])
        #expect(all.allSatisfy { $0.identity.traceID == "4bf92f3577b34da6a3ce929d0e0e4736" && $0.identity.flags == 1 })
        #expect(all[1].parent?.spanID == "00f067aa0ba902b7" && all[1].parent?.isRemote == true)
        #expect(all[0].parent == all[1].identity && all[0].parent?.isRemote == false)
        #expect(all.allSatisfy { $0.identity.state == "a=1" && $0.end >= $0.start })
        #expect(all[1].kind == .server && all[1].attributes.get("n") == 1)
        var headers: [String: String] = [:]
        var inner = InstrumentationContext.topLevel
        inner.spanIdentity = all[0].identity
        tracer.inject(inner, into: &headers, using: Headers())
        #expect(headers["traceparent"] == all[0].identity.traceparent && headers["tracestate"] == "a=1")
    }

    @Test(arguments: [
        [:], ["traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"],
        ["traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"], ["traceparent": "nonsense"],
    ]) func nothingElseIs(headers: [String: String]) {
        let recorded = Recorded()
        let tracer = recorded.tracer
        tracer.withSpan("outer", context: context(headers, tracer)) { span in
            #expect(!span.isRecording)
            span.attributes.set("n", value: 1)
            span.recordError(CancellationError())
        }
        #expect(recorded.all.isEmpty)
    }

    @Test func theNextSpanHasTheIdThatIsKnownAndTheOneAfterDoesNot() throws {
        let recorded = Recorded()
        let tracer = recorded.tracer
        var context = context(["traceparent": Self.parent], tracer)
        context.nextSpan = context.spanIdentity?.context.child(span: 0xAB)
        tracer.withSpan("outer", context: context) { _ in tracer.withSpan("inner") { _ in } }
        #expect(recorded.all.last?.identity.spanID == "00000000000000ab")
        #expect(recorded.all.first?.identity.spanID != "00000000000000ab")
    }

    @Test func aSpanEndsOnceAndSaysNothingAfterwards() throws {
        let recorded = Recorded()
        let tracer = recorded.tracer
        let span = tracer.startSpan("one", context: context(["traceparent": Self.parent], tracer))
        span.recordError(CancellationError())
        span.setStatus(SpanStatus(code: .error, message: "m"))
        span.end()
        span.end()
        span.operationName = "two"
        span.addEvent("late")
        let only = try #require(recorded.all.first)
        #expect(recorded.all.count == 1 && only.name == "one" && only.status?.message == "m" && !span.isRecording)
        #expect(only.events.map(\.name) == ["exception"])
    }

    @Test func aFullQueueDropsAndCounts() {
        let queue = SpanQueue(most: 3) { 7 }
        let tracer = ExportTracer { queue.add($0) }
        for _ in 0..<5 { tracer.startSpan("s", context: context(["traceparent": Self.parent], tracer)).end() }
        #expect(queue.standing?.count == 3 && queue.standing?.since == 7 && queue.dropped == 2)
        #expect(queue.take(2).count == 2 && queue.standing?.count == 1)
        queue.drop(2)
        #expect(queue.dropped == 4 && queue.take(9).count == 1 && queue.standing == nil)
    }
}
