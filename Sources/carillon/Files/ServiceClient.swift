import JSONText
import NATSClient
import SchedulerCore

/// Asks the running service, as any of its users does.
struct ServiceClient: Sendable {
    /// An answer that says why not.
    struct Refusal: Error, CustomStringConvertible {
        struct Detail {
            let pointer: JSONPointer
            let message: String
        }

        let description: String
        let details: [Detail]

        init(_ error: JSONValue) {
            let code = error["err_code"]?.int64.map { " (\($0))" } ?? ""
            description = (error["description"]?.string ?? "the service refused without a reason") + code
            details = (error["details"].map { Array($0.elements) } ?? []).map { detail in
                Detail(
                    pointer: detail["pointer"]?.string.flatMap(JSONPointer.init) ?? .root,
                    message: detail["message"]?.string ?? "")
            }
        }
    }

    let connection: NATSConnection
    let prefix: String
    private static let timeout = Duration.seconds(10)
    private static let attempts = 3

    init(connection: NATSConnection, prefix: String) {
        self.connection = connection
        self.prefix = prefix
    }

    /// The longest message that the server takes.
    var mostMessageBytes: Int { Int(connection.serverInfo?.maximumPayload ?? 1 << 20) }

    func command(_ command: String, in namespace: Namespace, _ body: [UInt8]) async throws -> JSONValue {
        try await ask("\(prefix).cmd.\(namespace).\(command)", body)
    }

    func administration(_ command: String, _ body: [UInt8]) async throws -> JSONValue {
        try await ask("\(prefix).admin.\(command)", body)
    }

    /// A reply that is lost is asked for again: what is sent here gives the same a second time.
    /// - Throws: `Refusal` where the service says no, `NATSError` where nobody answers.
    private func ask(_ subject: String, _ body: [UInt8]) async throws -> JSONValue {
        var attempt = 1
        while true {
            do {
                let reply = try await connection.request(try Subject(subject), payload: body, timeout: Self.timeout)
                let value = try JSONValue.parse(reply.payload, limits: JSONLimits(maxDepth: 80, maxBytes: 64 << 20))
                if let error = value["error"] { throw Refusal(error) }
                return value
            } catch let error as NATSError
                where attempt < Self.attempts && (error.code == .timeout || error.code == .connectionLost)
            {
                attempt += 1
            }
        }
    }
}
