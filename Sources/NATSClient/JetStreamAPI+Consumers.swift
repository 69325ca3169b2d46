// Consumers of a stream, and which streams take a subject.
extension JetStreamAPI {
    /// Makes a durable consumer. One of the same name and configuration is no error.
    /// - Parameter configuration: the consumer's configuration as JSON; it names the consumer as `durable_name`.
    /// - Throws: as `request`; 10100 when a work-queue stream has a consumer already that takes the same subjects.
    package func createConsumer(
        _ name: String, of stream: String, configuration: String
    ) async throws(NATSError) {
        let body = #"{"stream_name":\#(jsonString(stream)),"config":\#(configuration)}"#
        _ = try await request("CONSUMER.DURABLE.CREATE.\(stream).\(name)", body: Array(body.utf8))
    }

    /// A consumer that is gone already is no error.
    package func deleteConsumer(_ name: String, of stream: String) async throws(NATSError) {
        do throws(NATSError) {
            _ = try await request("CONSUMER.DELETE.\(stream).\(name)")
        } catch {
            guard case .jetStream(_, errCode: 10_014) = error.code else { throw error }
        }
    }

    /// The names of a stream's consumers: the first page, as many as the server gives at once.
    package func consumerNames(of stream: String) async throws(NATSError) -> [String] {
        try Self.names("consumers", in: try await request("CONSUMER.NAMES.\(stream)"), stream)
    }

    /// The streams that take messages on a subject, or on some of those that a wildcard stands for.
    package func streamNames(taking subject: SubjectFilter) async throws(NATSError) -> [String] {
        let body = #"{"subject":\#(jsonString(subject.description))}"#
        return try Self.names("streams", in: try await request("STREAM.NAMES", body: Array(body.utf8)), "STREAM.NAMES")
    }

    private static func names(
        _ member: StaticString, in reply: [UInt8], _ context: String
    ) throws(NATSError) -> [String] {
        var names: [String] = []
        let isObject = reply.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            return cursor.forEachMember { key, cursor in
                // Null where there are none.
                guard key.equals(member), cursor.startsArray else { return }
                cursor.forEachElement { cursor in if let name = cursor.string() { names.append(name) } }
            }
        }
        guard isObject else { throw .malformed("a list of names", context) }
        return names
    }
}

extension JSONCursor {
    /// Whether the value that comes next is an array.
    fileprivate var startsArray: Bool { position < bytes.count && bytes[position] == UInt8(ascii: "[") }
}
