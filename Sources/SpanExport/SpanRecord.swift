package import Tracing

/// A span that has ended.
package struct SpanRecord: Sendable {
    package var name: String
    package var kind: SpanKind
    package var identity: SpanIdentity
    package var parent: SpanIdentity?
    /// Nanoseconds since 1970.
    package var start: UInt64
    package var end: UInt64
    package var attributes: SpanAttributes
    package var events: [SpanEvent]
    package var links: [SpanLink]
    package var status: SpanStatus?
}
