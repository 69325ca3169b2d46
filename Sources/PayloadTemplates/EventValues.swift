import JSONText

/// What a template may show of the message that a schedule fires for. Bounded: a message may be as large as it likes.
///
/// It is kept with the execution as JSON, so that whoever publishes the attempt once more renders the same bytes.
package struct EventValues: Hashable, Sendable {
    package struct Header: Hashable, Sendable {
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package var subject = ""
    /// RFC 3339.
    package var time = ""
    package var stream = ""
    /// In its stream; nil where it comes from none.
    package var sequence: Int64?
    /// How many messages the fire stands for: those of a burst.
    package var count: Int64 = 1
    /// As long as it was sent.
    package var bodyBytes = 0
    /// Empty where it is no text, or longer than is kept.
    package var body = ""
    package var headers: [Header] = []

    package init() {}

    /// Bytes of a body as JSON, without the quotes.
    package static let longestBody = 16_384
    package static let longestSubject = 1000
    package static let longestHeader = 1024
    package static let mostHeaders = 16
    /// What marks the kept JSON as a message: no payload that a creator means has it.
    private static let mark = "io.carillon.event"
}

// MARK: - Taking from a message

extension EventValues {
    /// Takes what may be shown of a message.
    package init(subject: String, headers: [(name: String, value: String)], body: [UInt8]) {
        self.init()
        self.subject = Self.fits(subject, Self.longestSubject) ? subject : ""
        bodyBytes = body.count
        if body.count <= Self.longestBody, let text = String(validating: body, as: UTF8.self),
            Self.fits(text, Self.longestBody)
        {
            self.body = text
        }
        for header in headers where self.headers.count < Self.mostHeaders {
            guard Self.isShown(header.name), Self.fits(header.value, Self.longestHeader) else { continue }
            self.headers.append(Header(name: header.name, value: header.value))
        }
    }

    /// Those of NATS, of its buckets and of the scheduler say how a message was carried; credentials are nobody's to
    /// hand on.
    private static func isShown(_ name: String) -> Bool {
        let name = name.lowercased()
        let isOwn = ["nats-", "kv-", "scheduler-"].contains { name.hasPrefix($0) }
        return !isOwn && !["authorization", "proxy-authorization", "cookie", "set-cookie"].contains(name)
            && !name.isEmpty && name.utf8.count <= 64
    }

    private static func fits(_ text: String, _ most: Int) -> Bool {
        text.utf8.count <= most && JSONWriter.bytes(of: text).count - 2 <= most
    }
}

// MARK: - As it is kept

extension EventValues {
    package var json: [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.object { writer in
            writer.name(dynamic: Self.mark)
            writer.object { writer in
                writer.member("subject", subject)
                writer.member("time", time)
                writer.member("stream", stream)
                writer.member("sequence", ifPresent: sequence)
                writer.member("count", count)
                writer.member("body_bytes", bodyBytes)
                writer.member("body", body)
                writer.name("headers")
                writer.array { writer in
                    for header in headers {
                        writer.object { writer in
                            writer.member("name", header.name)
                            writer.member("value", header.value)
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    /// Nil for what is no message that was kept.
    package init?(json: [UInt8]) {
        guard let text = try? JSONValue.parse(json), let value = text[Self.mark], text.count == 1 else { return nil }
        self.init()
        subject = value["subject"]?.string ?? ""
        time = value["time"]?.string ?? ""
        stream = value["stream"]?.string ?? ""
        sequence = value["sequence"]?.int64
        count = value["count"]?.int64 ?? 1
        bodyBytes = value["body_bytes"]?.int64.map { Int($0) } ?? 0
        body = value["body"]?.string ?? ""
        headers = (value["headers"].map { Array($0.elements) } ?? []).map {
            Header(name: $0["name"]?.string ?? "", value: $0["value"]?.string ?? "")
        }
    }
}

// MARK: - In a template

/// What a template of an `event` schedule may use besides: `event.<name>`, and `event.header.<name>`.
enum EventVariable: String, CaseIterable {
    case subject
    case time
    case stream
    case sequence
    case count
    case bodyBytes = "body_bytes"
    case body

    /// What a name in a template says first.
    static let prefix = "event"
    static let header = "header"

    /// Whether a template may use a name; `event.header.<name>` is known whatever the header.
    static func isKnown(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.first == Substring(prefix) else { return false }
        if parts.count == 3 { return parts[1] == Substring(header) && !parts[2].isEmpty }
        return parts.count == 2 && EventVariable(rawValue: String(parts[1])) != nil
    }

    /// The most bytes that a message can have there; nil for a name that is none of an event's.
    static func mostBytes(of name: String) -> Int? {
        guard isKnown(name) else { return nil }
        switch EventVariable(rawValue: String(name.dropFirst(prefix.utf8.count + 1))) {
        case .subject: return EventValues.longestSubject
        case .time: return 36
        case .stream: return 512
        case .sequence, .count, .bodyBytes: return 20
        case .body: return EventValues.longestBody
        case nil: return EventValues.longestHeader
        }
    }

    func text(of values: EventValues) -> String {
        switch self {
        case .subject: values.subject
        case .time: values.time
        case .stream: values.stream
        case .sequence: values.sequence.map(String.init) ?? ""
        case .count: String(values.count)
        case .bodyBytes: String(values.bodyBytes)
        case .body: values.body
        }
    }
}
