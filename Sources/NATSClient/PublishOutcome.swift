/// What became of one JetStream publish.
package enum PublishOutcome: Sendable, Equatable {
    /// Stored. `duplicate`: the stream had this `Nats-Msg-Id` already; `sequence` is that of the first.
    case acknowledged(stream: String, sequence: UInt64, duplicate: Bool)
    /// A PubAck with sequence 0: servers 2.10.14 to 2.10.29 send it for a duplicate that is not stored yet and may
    /// never be. No proof; publish again.
    case unconfirmed(stream: String)
    /// JetStream said no: `code` is an HTTP class, `errCode` JetStream's own number.
    case refused(code: Int, errCode: Int, description: String)
    /// No stream takes the subject, or it has no leader now.
    case noResponders
    /// Something else answered. The first bytes of what it said, at most 256.
    case notAPubAck([UInt8])
    /// No answer in time: unknown whether it is stored.
    case timedOut
    /// The connection broke while the answer was awaited: unknown whether it is stored.
    case connectionLost
    /// The server forbids this user the subject; not stored.
    case notPermitted
    /// Over the stream's `max_msg_size` (10054); not stored.
    case tooLarge

    /// True when another try with the same `Nats-Msg-Id` may succeed and can do no harm.
    package var isUnknown: Bool {
        switch self {
        case .timedOut, .connectionLost, .unconfirmed: true
        default: false
        }
    }
}

/// The outcome of the publish that was given this token.
package struct PublishResolution: Sendable, Equatable {
    package var token: UInt64
    package var outcome: PublishOutcome

    package init(token: UInt64, outcome: PublishOutcome) {
        self.token = token
        self.outcome = outcome
    }
}

/// Reads PubAcks. Keeps the last stream name, so that an acknowledgement allocates nothing.
struct PubAckReader {
    private var streamBytes: [UInt8] = []
    private var stream = ""

    mutating func outcome(of payload: UnsafeRawBufferPointer) -> PublishOutcome {
        var cursor = JSONCursor(payload)
        var named = false
        var sequence: UInt64?
        var duplicate = false
        var refusal: PublishOutcome?
        let isObject = cursor.forEachMember { key, cursor in
            if key.equals("stream") {
                if let name = cursor.stringBytes() {
                    named = true
                    remember(name)
                }
            } else if key.equals("seq") {
                sequence = cursor.unsigned()
            } else if key.equals("duplicate") {
                duplicate = cursor.bool() ?? false
            } else if key.equals("error") {
                refusal = Self.refusal(&cursor)
            }
        }
        if isObject, let refusal { return refusal }
        guard isObject, named, let sequence else { return .notAPubAck(Array(payload.prefix(256))) }
        if sequence == 0 { return .unconfirmed(stream: stream) }
        return .acknowledged(stream: stream, sequence: sequence, duplicate: duplicate)
    }

    private mutating func remember(_ name: UnsafeRawBufferPointer) {
        guard !streamBytes.elementsEqual(name) else { return }
        streamBytes = Array(name)
        stream = String(validating: name)
    }

    private static func refusal(_ cursor: inout JSONCursor) -> PublishOutcome? {
        guard let error = JetStreamRefusal(&cursor) else { return nil }
        if error.errCode == 10_054 { return .tooLarge }
        return .refused(code: error.code, errCode: error.errCode, description: error.description)
    }
}

/// The `error` object of any JetStream reply.
struct JetStreamRefusal: Sendable, Equatable {
    var code = 0
    var errCode = 0
    var description = ""

    init?(_ cursor: inout JSONCursor) {
        var result = (code: 0, errCode: 0, description: "")
        let isObject = cursor.forEachMember { key, cursor in
            if key.equals("code") {
                result.code = Int(clamping: cursor.unsigned() ?? 0)
            } else if key.equals("err_code") {
                result.errCode = Int(clamping: cursor.unsigned() ?? 0)
            } else if key.equals("description") {
                result.description = cursor.string() ?? ""
            }
        }
        guard isObject else { return nil }
        (code, errCode, description) = result
    }
}

extension JetStreamRefusal {
    init(code: Int, errCode: Int, description: String) {
        self.code = code
        self.errCode = errCode
        self.description = description
    }
}
