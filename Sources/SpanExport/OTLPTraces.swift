import JSONText
import SchedulerCore
import Tracing

/// Who made the spans.
package struct SpanResource: Sendable {
    package var attributes: [(name: String, value: String)]
    /// The program that made them, and its version.
    package var scope: String
    package var version: String

    package init(attributes: [(name: String, value: String)], scope: String, version: String) {
        self.attributes = attributes
        self.scope = scope
        self.version = version
    }
}

/// Spans as OTLP's JSON has them (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): protobuf's JSON, but
/// ids in hexadecimal; numbers of 64 bits are texts, enumerations are numbers.
package enum OTLPTraces {
    /// The body of one request, an `ExportTraceServiceRequest`.
    package static func request(_ spans: [SpanRecord], of resource: SpanResource) -> [UInt8] {
        var writer = JSONWriter(capacity: 512 + spans.count * 1024)
        writer.object { writer in
            writer.array("resourceSpans") { writer in
                writer.object { writer in
                    writer.object("resource") { writer in
                        writer.array("attributes") { writer in
                            for (name, value) in resource.attributes { attribute(name, .string(value), &writer) }
                        }
                    }
                    writer.array("scopeSpans") { writer in
                        writer.object { writer in
                            writer.object("scope") { writer in
                                writer.member("name", resource.scope)
                                writer.member("version", resource.version)
                            }
                            writer.array("spans") { writer in for record in spans { span(record, &writer) } }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func span(_ record: SpanRecord, _ writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("traceId", record.identity.traceID)
            writer.member("spanId", record.identity.spanID)
            writer.member("traceState", ifPresent: record.identity.state)
            writer.member("parentSpanId", ifPresent: record.parent?.spanID)
            writer.member("flags", flags(record))
            writer.member("name", record.name)
            writer.member("kind", number(of: record.kind))
            writer.member("startTimeUnixNano", String(record.start))
            writer.member("endTimeUnixNano", String(record.end))
            attributes(record.attributes, &writer)
            if !record.events.isEmpty {
                writer.array("events") { writer in for item in record.events { event(item, &writer) } }
            }
            if !record.links.isEmpty {
                writer.array("links") { writer in for item in record.links { link(item, &writer) } }
            }
            if let status = record.status {
                writer.object("status") { writer in
                    writer.member("message", ifPresent: status.message)
                    writer.member("code", status.code == .error ? 2 : 1)
                }
            }
        }
    }

    /// The W3C flags, and whether the parent is of another process: bit 8 says that bit 9 says it.
    private static func flags(_ record: SpanRecord) -> UInt32 {
        UInt32(record.identity.flags) | 0x100 | (record.parent?.isRemote == true ? 0x200 : 0)
    }

    private static func number(of kind: SpanKind) -> Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }

    private static func event(_ event: SpanEvent, _ writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("timeUnixNano", String(event.nanosecondsSinceEpoch))
            writer.member("name", event.name)
            attributes(event.attributes, &writer)
        }
    }

    private static func link(_ link: SpanLink, _ writer: inout JSONWriter) {
        guard let identity = link.context.spanIdentity else { return }
        writer.object { writer in
            writer.member("traceId", identity.traceID)
            writer.member("spanId", identity.spanID)
            writer.member("traceState", ifPresent: identity.state)
            attributes(link.attributes, &writer)
        }
    }

    /// By their names, so that the same span is the same bytes.
    private static func attributes(_ attributes: SpanAttributes, _ writer: inout JSONWriter) {
        guard !attributes.isEmpty else { return }
        var all: [(name: String, value: SpanAttribute)] = []
        func add(_ name: String, _ value: SpanAttribute) { all.append((name, value)) }
        attributes.forEach(add)
        all.sort { $0.name < $1.name }
        writer.array("attributes") { writer in for (name, value) in all { attribute(name, value, &writer) } }
    }

    private static func attribute(_ name: String, _ value: SpanAttribute, _ writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("key", name)
            writer.name("value")
            any(value, &writer)
        }
    }

    private static func any(_ value: SpanAttribute, _ writer: inout JSONWriter) {
        writer.object { writer in
            switch value {
            case .int32(let number): writer.member("intValue", String(number))
            case .int64(let number): writer.member("intValue", String(number))
            case .double(let number): double(number, &writer)
            case .bool(let flag): writer.member("boolValue", flag)
            case .string(let text): writer.member("stringValue", text)
            case .stringConvertible(let value): writer.member("stringValue", "\(value)")
            default:
                writer.object("arrayValue") { writer in
                    writer.array("values") { writer in for element in elements(of: value) { any(element, &writer) } }
                }
            }
        }
    }

    private static func elements(of value: SpanAttribute) -> [SpanAttribute] {
        switch value {
        case .int32Array(let numbers): numbers.map { .int32($0) }
        case .int64Array(let numbers): numbers.map { .int64($0) }
        case .doubleArray(let numbers): numbers.map { .double($0) }
        case .boolArray(let flags): flags.map { .bool($0) }
        case .stringArray(let texts): texts.map { .string($0) }
        case .stringConvertibleArray(let values): values.map { .string("\($0)") }
        default: []
        }
    }

    /// JSON has no words for what is no number; protobuf's JSON has.
    private static func double(_ number: Double, _ writer: inout JSONWriter) {
        if number.isFinite {
            writer.member("doubleValue", number)
        } else {
            writer.member("doubleValue", number.isNaN ? "NaN" : number > 0 ? "Infinity" : "-Infinity")
        }
    }
}
