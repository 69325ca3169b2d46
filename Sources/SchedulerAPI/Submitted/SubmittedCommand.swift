import JSONText
import NATSClient
import SchedulerCore
import SchedulerWire

/// One message of the commands stream, read: whose command it is, which, and under which key it is done once.
struct SubmittedCommand: Sendable {
    let subject: String
    /// Its place in the stream.
    let sequence: UInt64
    let noun: String?
    let verb: String?
    /// Nil where the subject names none that a creator may have.
    let namespace: Namespace?
    /// What its change is remembered by (contract.md §1): the body's `request_id`, else the `Nats-Msg-Id`, else the
    /// stream's creation time and the sequence.
    let requestID: String
    /// The request, with the key as its `request_id`; or why it can be none.
    let request: Result<CommandRequest, WireError>
    /// Of its headers.
    let trace: TraceContext?

    /// What the body may have as its `request_id`.
    private static let longestKey = 128

    /// Whether its changes take several transactions.
    var isInParts: Bool {
        guard let noun, let verb else { return false }
        return CommandHandlers.isInParts(CommandHandlers.Name(noun: noun, verb: verb))
    }

    /// What the catalogue calls it; nil where it knows no such command.
    var name: String? {
        guard let noun, let verb else { return nil }
        return CommandCatalogue.page(.command, noun: noun, verb: verb)?.name
    }

    /// - Parameter created: the stream's creation time.
    init(_ delivery: PulledMessage, created: String) {
        let message = delivery.message
        subject = message.subject
        trace = TraceContext(message)
        sequence = delivery.streamSequence
        let tokens = message.subject.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let isWhole = tokens.count == 5
        (noun, verb) = isWhole ? (tokens[3], tokens[4]) : (nil, nil)
        namespace = tokens.count > 2 ? try? Namespace(tokens[2]) : nil
        let key = Self.key(message, orElse: "\(created)-\(delivery.streamSequence)")
        do throws(WireError) {
            let request = try Self.read(message, tokens).keyed(key)
            self.request = .success(request)
            requestID = request.body?["request_id"]?.string.flatMap(Self.usable) ?? key
        } catch {
            request = .failure(error)
            requestID = key
        }
    }

    private static func read(_ message: NATSMessage, _ tokens: [String]) throws(WireError) -> CommandRequest {
        guard tokens.count == 5 else {
            throw WireError(.badSubject, "expected <prefix>.submit.<namespace>.<noun>.<verb>, got '\(message.subject)'")
        }
        let namespace: Namespace
        do { namespace = try Namespace(tokens[2]) } catch {
            throw WireError(.badSubject, "\(error), got '\(tokens[2])'")
        }
        guard CommandHandlers.isChanging(CommandHandlers.Name(noun: tokens[3], verb: tokens[4])) else {
            throw WireError(
                .unknownCommand,
                "'\(tokens[3]).\(tokens[4])' is no command that changes something: only those are submitted")
        }
        return try CommandRequest(namespace: namespace, noun: tokens[3], verb: tokens[4], bytes: message.payload)
    }

    private static func key(_ message: NATSMessage, orElse position: String) -> String {
        guard let id = message.header("Nats-Msg-Id"), !id.isEmpty else { return position }
        return usable(id) ?? "sha256:" + Digest.hexadecimal(Digest.sha256(id.utf8))
    }

    private static func usable(_ key: String) -> String? {
        (1...longestKey).contains(key.count) && !key.utf8.contains(0) ? key : nil
    }
}
