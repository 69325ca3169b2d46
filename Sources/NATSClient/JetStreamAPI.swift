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

    /// Removes all messages, or those on `subject`.
    package func purgeStream(_ name: String, subject: SubjectFilter? = nil) async throws(NATSError) {
        let body = subject.map { #"{"filter":"\#($0)"}"# } ?? ""
        _ = try await request("STREAM.PURGE.\(name)", body: Array(body.utf8))
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
