/// JetStream's administration: JSON requests below `$JS.API`, nothing of libnats' own JetStream code.
package struct JetStreamAPI: Sendable {
    package let connection: NATSConnection
    package var timeout: Duration
    /// `$JS.API`, or `$JS.<domain>.API`.
    private let prefix: String

    package init(_ connection: NATSConnection, domain: String? = nil, timeout: Duration = .seconds(5)) {
        self.connection = connection
        self.timeout = timeout
        prefix = domain.map { "$JS.\($0).API." } ?? "$JS.API."
    }

    /// Sends one API request and gives the reply's bytes.
    /// - Parameter operation: what stands after `$JS.API.`, such as `STREAM.INFO.ORDERS`.
    /// - Throws: `.jetStream` for an `error` in the reply, `.streamNotFound` for 10059, `.keyNotFound` for 10037,
    ///   `.conflict` for 10071 and 10164; `.noResponders` when JetStream is off or has no leader; and what
    ///   `NATSConnection.request` throws.
    package func request(_ operation: String, body: [UInt8] = []) async throws(NATSError) -> [UInt8] {
        let subject = try Subject(prefix + operation)
        let reply = try await connection.request(subject, payload: body, timeout: timeout)
        if let refusal = Self.refusal(in: reply.payload) { throw NATSError(refusal, context: operation) }
        return reply.payload
    }

    private static func refusal(in payload: [UInt8]) -> JetStreamRefusal? {
        payload.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            var refusal: JetStreamRefusal?
            cursor.forEachMember { key, cursor in
                if key.equals("error") { refusal = JetStreamRefusal(&cursor) }
            }
            return refusal
        }
    }

    /// - Parameter configuration: the stream's configuration as JSON.
    /// - Throws: as `request`; 10058 when a stream of this name with another configuration exists.
    @discardableResult
    package func createStream(_ name: String, configuration: String) async throws(NATSError) -> StreamInfo {
        let reply = try await request("STREAM.CREATE.\(name)", body: Array(configuration.utf8))
        return try StreamInfo(reply, name: name)
    }

    package func deleteStream(_ name: String) async throws(NATSError) {
        _ = try await request("STREAM.DELETE.\(name)")
    }

    /// nil when there is no such stream.
    package func streamInfo(_ name: String) async throws(NATSError) -> StreamInfo? {
        do throws(NATSError) {
            return try StreamInfo(try await request("STREAM.INFO.\(name)"), name: name)
        } catch {
            if error.code == .streamNotFound { return nil }
            throw error
        }
    }

    /// The message with this sequence, read from the stream's leader.
    /// - Throws: `.keyNotFound` when there is none.
    package func message(in stream: String, sequence: UInt64) async throws(NATSError) -> StoredMessage {
        try await message(in: stream, #"{"seq":\#(sequence)}"#)
    }

    /// The last message on a subject, read from the stream's leader.
    /// - Throws: `.keyNotFound` when there is none.
    package func lastMessage(in stream: String, on subject: Subject) async throws(NATSError) -> StoredMessage {
        try await message(in: stream, #"{"last_by_subj":\#(jsonString(subject.description))}"#)
    }

    /// The last message whose subject matches, read from the stream's leader.
    /// - Throws: `.keyNotFound` when there is none.
    package func lastMessage(
        in stream: String, matching filter: SubjectFilter
    ) async throws(NATSError) -> StoredMessage {
        try await message(in: stream, #"{"last_by_subj":\#(jsonString(filter.description))}"#)
    }

    /// The first message from a sequence on whose subject matches.
    /// - Throws: `.keyNotFound` when there is none.
    package func nextMessage(
        in stream: String, on filter: SubjectFilter, from sequence: UInt64
    ) async throws(NATSError) -> StoredMessage {
        try await message(in: stream, #"{"seq":\#(sequence),"next_by_subj":\#(jsonString(filter.description))}"#)
    }

    /// Takes one message out of a stream; its place stays empty.
    /// - Throws: `.jetStream` where there is none.
    package func deleteMessage(in stream: String, sequence: UInt64) async throws(NATSError) {
        _ = try await request("STREAM.MSG.DELETE.\(stream)", body: Array(#"{"seq":\#(sequence)}"#.utf8))
    }

    /// Never `$JS.API.DIRECT.GET`: replicas answer that, and may be behind.
    private func message(in stream: String, _ body: String) async throws(NATSError) -> StoredMessage {
        let reply = try await request("STREAM.MSG.GET.\(stream)", body: Array(body.utf8))
        return try StoredMessage(reply, context: stream)
    }

    /// What the account may use, and whether JetStream is there at all.
    package func accountInfo() async throws(NATSError) -> JetStreamAccount {
        try JetStreamAccount(try await request("INFO"))
    }
}

/// The parts of `$JS.API.INFO` this program looks at.
package struct JetStreamAccount: Sendable, Equatable {
    package var streams: UInt64 = 0
    package var consumers: UInt64 = 0
    package var storageBytes: UInt64 = 0
    /// What the account may store in files; nil: no limit. Servers with limits by replicas say none here.
    package var storageLimitBytes: UInt64?
    /// 0 before nats-server 2.11, which is 1; 2.12 is 2.
    package var apiLevel: UInt64 = 0

    init(_ reply: [UInt8]) throws(NATSError) {
        let isObject = reply.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            return cursor.forEachMember { key, cursor in
                if key.equals("streams") {
                    streams = cursor.unsigned() ?? 0
                } else if key.equals("consumers") {
                    consumers = cursor.unsigned() ?? 0
                } else if key.equals("storage") {
                    storageBytes = cursor.unsigned() ?? 0
                } else if key.equals("limits") {
                    cursor.forEachMember { key, cursor in
                        guard key.equals("max_storage"), let most = cursor.signed(), most > 0 else { return }
                        storageLimitBytes = UInt64(most)
                    }
                } else if key.equals("api") {
                    cursor.forEachMember { key, cursor in
                        if key.equals("level") { apiLevel = cursor.unsigned() ?? 0 }
                    }
                }
            }
        }
        guard isObject else { throw .malformed("the account's info", "INFO") }
    }
}

/// A JSON string with quotes. For texts that are printable ASCII already, such as subjects and names.
package func jsonString(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

extension NATSError {
    init(_ refusal: JetStreamRefusal, context: String) {
        let code: Code =
            switch refusal.errCode {
            case 10_059: .streamNotFound
            case 10_037: .keyNotFound
            case 10_071, 10_164: .conflict
            default: .jetStream(code: refusal.code, errCode: refusal.errCode)
            }
        self.init(code, "JetStream refused with \(refusal.errCode): \(refusal.description).", context: context)
    }

    static func malformed(_ what: String, _ context: String) -> NATSError {
        NATSError(.malformedReply, "Expected \(what) as JSON; something else came.", context: context)
    }
}
