/// What became of one request.
package enum RequestOutcome: Sendable, Equatable {
    case answered(RequestReply)
    /// Nobody listens on the subject; nobody has it.
    case noResponders
    /// No reply in time; it may have arrived.
    case timedOut
    /// The connection broke while the reply was awaited; it may have arrived.
    case connectionLost
    /// The server forbids this user the subject; nobody has it.
    case notPermitted
}

/// The outcome of the request that was given this token.
package struct RequestResolution: Sendable, Equatable {
    package let token: UInt64
    package let outcome: RequestOutcome

    package init(token: UInt64, outcome: RequestOutcome) {
        self.token = token
        self.outcome = outcome
    }
}

/// The first reply to a request, as far as it is kept.
package struct RequestReply: Sendable, Hashable {
    /// A longer body is not kept.
    package static let mostBytes = 65_536

    /// The header `Nats-Service-Error` (ADR-32): the reply says that it failed. "" where only `Nats-Service-Error-Code`
    /// came; nil where neither did.
    package let serviceError: String?
    package let serviceErrorCode: String?
    /// Nil where it is longer than ``mostBytes``.
    package let body: [UInt8]?
    /// A stream took the message and acknowledged it: this is no responder's answer.
    package let isPubAck: Bool

    package init(serviceError: String? = nil, serviceErrorCode: String? = nil, body: [UInt8]?, isPubAck: Bool = false) {
        self.serviceError = serviceError
        self.serviceErrorCode = serviceErrorCode
        self.body = body
        self.isPubAck = isPubAck
    }

    init(_ message: borrowing IncomingMessage) {
        let payload = message.payload
        let headers = message.headers
        func value(_ name: String) -> String? { headers.first { $0.name.lowercasedASCII() == name }?.value }
        let code = value("nats-service-error-code")
        let error = value("nats-service-error") ?? (code == nil ? nil : "")
        self.init(
            serviceError: error, serviceErrorCode: code,
            body: payload.count <= Self.mostBytes ? Array(payload) : nil,
            isPubAck: error == nil && PubAckReader.isPubAck(payload))
    }
}

extension PubAckReader {
    /// Whether a reply is a stream's acknowledgement, or its refusal, and not a responder's JSON that has a `stream` too:
    /// nothing stands in it but what JetStream writes.
    static func isPubAck(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload.first == UInt8(ascii: "{"), payload.count <= 4096 else { return false }
        var cursor = JSONCursor(payload)
        var (hasStream, hasSequence, isForeign) = (false, false, false)
        let isObject = cursor.forEachMember { key, cursor in
            if key.equals("stream") {
                hasStream = cursor.stringBytes() != nil
            } else if key.equals("seq") {
                hasSequence = cursor.unsigned() != nil
            } else if !members.contains(where: { key.equals($0) }) {
                isForeign = true
            }
        }
        return isObject && hasStream && hasSequence && !isForeign
    }

    /// Of servers up to 2.15: `val` and `batch` belong to counters and batches.
    private static let members: [StaticString] = ["type", "error", "domain", "duplicate", "val", "batch", "count"]
}
