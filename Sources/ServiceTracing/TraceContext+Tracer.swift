import Recurrence
import SchedulerCore
import Tracing

/// A time of the ledger as spans have it.
struct SpanInstant: TracerInstant {
    let nanosecondsSinceEpoch: UInt64

    init(microseconds: Int64) { nanosecondsSinceEpoch = UInt64(clamping: microseconds) &* 1000 }

    init(_ instant: Instant) { self.init(microseconds: instant.milliseconds * 1000) }

    static func < (left: SpanInstant, right: SpanInstant) -> Bool {
        left.nanosecondsSinceEpoch < right.nanosecondsSinceEpoch
    }
}

/// Headers, as tracers read and write them.
private struct HeaderCarrier: Extractor, Injector {
    func extract(key: String, from headers: [String: String]) -> String? { headers[key] }

    func inject(_ value: String, forKey key: String, into headers: inout [String: String]) { headers[key] = value }
}

extension Tracer {
    /// What a tracer knows a trace by.
    func context(of trace: TraceContext) -> InstrumentationContext {
        var context = InstrumentationContext.topLevel
        var headers = ["traceparent": trace.traceparent]
        headers["tracestate"] = trace.state
        extract(headers, into: &context, using: HeaderCarrier())
        return context
    }

    /// What others know a context by; nil where the tracer does not speak W3C trace context.
    func trace(of context: InstrumentationContext) -> TraceContext? {
        var headers: [String: String] = [:]
        inject(context, into: &headers, using: HeaderCarrier())
        return TraceContext(
            traceparents: headers["traceparent"].map { [$0] } ?? [],
            tracestates: headers["tracestate"].map { [$0] } ?? [])
    }
}
