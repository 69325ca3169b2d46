import SchedulerCore
import Synchronization
package import Tracing

/// A backend of swift-distributed-tracing that hands each span on when it has ended.
///
/// Whether a span is recorded is its parent's decision (a sampler "parentbased_always_off"): what comes in a trace that
/// somebody records is recorded, and nothing begins a trace here.
package struct ExportTracer: Tracer {
    private let sink: @Sendable (SpanRecord) -> Void

    /// - Parameter sink: gets each recorded span at its end, on the thread that ends it; it must not block.
    package init(_ sink: @escaping @Sendable (SpanRecord) -> Void) { self.sink = sink }

    package func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> InstrumentationContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> ExportSpan {
        var context = context()
        let parent = context.spanIdentity
        let identity = SpanIdentity(context.nextSpan ?? Self.newSpan(within: parent))
        context.spanIdentity = identity
        context.nextSpan = nil
        let record = SpanRecord(
            name: operationName, kind: kind, identity: identity, parent: parent,
            start: instant().nanosecondsSinceEpoch, end: 0, attributes: [:], events: [], links: [], status: nil)
        return ExportSpan(record, context: context, sink: identity.isSampled ? sink : nil)
    }

    private static func newSpan(within parent: SpanIdentity?) -> TraceContext {
        let span = UInt64.random(in: 1 ... .max)
        if let parent { return parent.context.child(span: span) }
        let trace = UUIDValue(high: .random(in: 1 ... .max), low: .random(in: 1 ... .max))
        return TraceContext(trace: trace, span: span, flags: 0)
    }

    /// What ended is with the sink already.
    package func forceFlush() {}

    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout InstrumentationContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let parent = extractor.extract(key: "traceparent", from: carrier) else { return }
        let state = extractor.extract(key: "tracestate", from: carrier)
        context.spanIdentity = SpanIdentity(traceparent: parent, tracestate: state) ?? context.spanIdentity
    }

    package func inject<Carrier, Inject: Injector>(
        _ context: InstrumentationContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let identity = context.spanIdentity else { return }
        injector.inject(identity.traceparent, forKey: "traceparent", into: &carrier)
        if let state = identity.state { injector.inject(state, forKey: "tracestate", into: &carrier) }
    }
}

/// A span at work. What is said of it after its end is not heard.
package final class ExportSpan: Span {
    package let context: InstrumentationContext
    /// Nil where nobody records it.
    private let sink: (@Sendable (SpanRecord) -> Void)?
    private let state: Mutex<(record: SpanRecord, hasEnded: Bool)>

    fileprivate init(
        _ record: SpanRecord, context: InstrumentationContext, sink: (@Sendable (SpanRecord) -> Void)?
    ) {
        self.context = context
        self.sink = sink
        state = Mutex((record, false))
    }

    package var isRecording: Bool { sink != nil && !state.withLock { $0.hasEnded } }

    package var operationName: String {
        get { state.withLock { $0.record.name } }
        set { change { $0.name = newValue } }
    }

    package var attributes: SpanAttributes {
        get { state.withLock { $0.record.attributes } }
        set { change { $0.attributes = newValue } }
    }

    package func setStatus(_ status: SpanStatus) { change { $0.status = status } }

    package func addEvent(_ event: SpanEvent) { change { $0.events.append(event) } }

    package func addLink(_ link: SpanLink) { change { $0.links.append(link) } }

    package func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        guard isRecording else { return }
        var attributes = attributes
        attributes.set("exception.type", value: .string("\(type(of: error))"))
        attributes.set("exception.message", value: .string("\(error)"))
        let event = SpanEvent(name: "exception", at: instant(), attributes: attributes)
        change { $0.events.append(event) }
    }

    package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        guard let sink else { return }
        let end = instant().nanosecondsSinceEpoch
        let ended = state.withLock { state -> SpanRecord? in
            guard !state.hasEnded else { return nil }
            state.hasEnded = true
            // A clock may have been set back meanwhile.
            state.record.end = max(end, state.record.start)
            return state.record
        }
        if let ended { sink(ended) }
    }

    private func change(_ body: (inout SpanRecord) -> Void) {
        guard sink != nil else { return }
        state.withLock { state in if !state.hasEnded { body(&state.record) } }
    }
}
