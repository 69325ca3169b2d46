package import JSONText
package import SchedulerCore

/// The attributes of one event, written as structured CloudEvents 1.0 JSON.
package struct CloudEvent: Sendable, Equatable {
    /// The media type of a structured event.
    package static let contentType = "application/cloudevents+json"

    /// The same for every publication of the same event; `Nats-Msg-Id` too.
    package var id: String
    /// `/carillon/<group>`: stable, not of one process.
    package var source: String
    package var type: EventType
    /// The schedule's id; `_` where there is none.
    package var subject: String
    /// When it happened, RFC 3339 UTC with microseconds.
    package var time: String
    /// `sequence(fence:step:)`: orders the events of one schedule, which the stream's order does not.
    package var sequence: String
    package var correlationID: String?
    package var causationID: String?
    /// W3C trace context, as CloudEvents' extension for distributed tracing has it.
    package var trace: TraceContext?

    package init(
        id: String, source: String, type: EventType, subject: String, time: String, sequence: String,
        correlationID: String? = nil, causationID: String? = nil, trace: TraceContext? = nil
    ) {
        self.id = id
        self.source = source
        self.type = type
        self.subject = subject
        self.time = time
        self.sequence = sequence
        self.correlationID = correlationID
        self.causationID = causationID
        self.trace = trace
    }

    /// Writes the event; `data` writes the members of its `data` object.
    package func write<Failure>(
        into writer: inout JSONWriter, data: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        writer.beginObject()
        writer.member("specversion", "1.0")
        writer.member("id", id)
        writer.member("source", source)
        writer.member("type", type.description)
        writer.member("subject", subject)
        writer.member("time", time)
        writer.member("datacontenttype", "application/json")
        writer.member("dataschema", type.dataSchema)
        writer.member("sequence", sequence)
        writer.member("correlationid", ifPresent: correlationID)
        writer.member("causationid", ifPresent: causationID)
        if let trace {
            writer.member("traceparent", trace.traceparent)
            writer.member("tracestate", ifPresent: trace.state)
        }
        try writer.object("data", data)
        writer.endObject()
    }

    /// `<20-digit fence>.<4-digit step>`, so that comparing texts compares fences, then steps.
    ///
    /// - Parameters:
    ///   - fence: the fence of the attempt, not negative.
    ///   - step: the place among the events of that fence, 0 to 9999; a larger one stays 9999, for a fifth digit
    ///     would sort before it.
    package static func sequence(fence: Int64, step: Int) -> String {
        String(unsafeUninitializedCapacity: 25) { buffer in
            putDigits(UInt64(max(fence, 0)), width: 20, into: buffer, at: 0)
            buffer[20] = UInt8(ascii: ".")
            putDigits(UInt64(min(max(step, 0), 9999)), width: 4, into: buffer, at: 21)
            return 25
        }
    }

    private static func putDigits(
        _ value: UInt64, width: Int, into buffer: UnsafeMutableBufferPointer<UInt8>, at start: Int
    ) {
        var rest = value
        for position in stride(from: start + width - 1, through: start, by: -1) {
            buffer[position] = UInt8(truncatingIfNeeded: rest % 10) + UInt8(ascii: "0")
            rest /= 10
        }
    }
}
