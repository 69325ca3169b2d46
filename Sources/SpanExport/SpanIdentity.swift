package import SchedulerCore
package import Tracing

/// Which span of which trace something is, and whether another process said so.
@dynamicMemberLookup
package struct SpanIdentity: Hashable, Sendable {
    package let context: TraceContext
    /// It came from another process.
    package let isRemote: Bool

    package init(_ context: TraceContext, isRemote: Bool = false) {
        self.context = context
        self.isRemote = isRemote
    }

    /// Of another process's headers; nil for what is no trace context.
    package init?(traceparent: String, tracestate: String?) {
        let states = tracestate.map { [$0] } ?? []
        guard let context = TraceContext(traceparents: [traceparent], tracestates: states) else { return nil }
        self.init(context, isRemote: true)
    }

    package subscript<Value>(dynamicMember member: KeyPath<TraceContext, Value>) -> Value { context[keyPath: member] }
}

extension InstrumentationContext {
    private enum IdentityKey: InstrumentationContextKey {
        typealias Value = SpanIdentity
        static var nameOverride: String? { "span-identity" }
    }

    private enum NextSpanKey: InstrumentationContextKey {
        typealias Value = TraceContext
        static var nameOverride: String? { "next-span" }
    }

    /// The span that is at work, or that asked for this.
    package var spanIdentity: SpanIdentity? {
        get { self[IdentityKey.self] }
        set { self[IdentityKey.self] = newValue }
    }

    /// What the next span is, where it is known before: somebody was told it already. Of the trace of ``spanIdentity``.
    package var nextSpan: TraceContext? {
        get { self[NextSpanKey.self] }
        set { self[NextSpanKey.self] = newValue }
    }
}
