package import JSONText
import NATSClient
package import SchedulerCore
package import SchedulerWire

/// A command as it came in: who says so, what, and with which body.
package struct CommandRequest: Sendable {
    /// The longest body that is read: the payload's bound and what stands around it.
    static let mostBytes = 1 << 20
    static let mostDepth = 32

    package let namespace: Namespace
    package let noun: String
    package let verb: String
    package let body: JSONValue?
    package let bytes: [UInt8]

    package init(namespace: Namespace, noun: String, verb: String, bytes: [UInt8]) throws(WireError) {
        self.namespace = namespace
        self.noun = noun
        self.verb = verb
        self.bytes = bytes
        guard !bytes.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) else {
            body = nil
            return
        }
        do {
            body = try JSONValue.parse(bytes, limits: JSONLimits(maxDepth: Self.mostDepth, maxBytes: Self.mostBytes))
        } catch { throw WireError(error) }
    }
}

/// The tokens of a command's subject.
struct CommandSubject: Hashable {
    enum Kind: Hashable {
        case command(namespace: String)
        case administration
    }

    let kind: Kind
    let noun: String
    let verb: String

    /// `<p>.cmd.<namespace>.<noun>.<verb>` or `<p>.admin.<noun>.<verb>`; nil for anything else.
    init?(_ subject: String, prefix: String) {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if tokens.count == 5, tokens[0] == prefix, tokens[1] == "cmd" {
            kind = .command(namespace: tokens[2])
            (noun, verb) = (tokens[3], tokens[4])
        } else if tokens.count == 4, tokens[0] == prefix, tokens[1] == "admin" {
            kind = .administration
            (noun, verb) = (tokens[2], tokens[3])
        } else {
            return nil
        }
    }
}

/// The options that any changing command takes in its body (contract.md §2).
struct ChangeOptions {
    let requestID: String?
    let actor: String?
    let reason: String?
    let ifVersion: Int64?
    let isDryRun: Bool

    init(_ body: inout BodyReader) {
        requestID = body.string("request_id", most: 128)
        actor = body.string("actor", most: 256)
        reason = body.string("reason", most: 1024)
        ifVersion = body.integer("if_version", in: 1...Int64.max)
        isDryRun = body.bool("dry_run") ?? false
        if let requestID, requestID.isEmpty { body.report("request_id", "expected 1 to 128 characters, got none") }
    }
}

/// A reply's members, written under the envelope's type.
typealias ReplyMembers = @Sendable (inout JSONWriter) -> Void
