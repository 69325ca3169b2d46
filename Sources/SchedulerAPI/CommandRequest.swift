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

    package init(
        namespace: Namespace, noun: String, verb: String, bytes: [UInt8],
        limits: JSONLimits? = nil
    ) throws(WireError) {
        self.namespace = namespace
        self.noun = noun
        self.verb = verb
        self.bytes = bytes
        guard !bytes.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) else {
            body = nil
            return
        }
        do {
            body = try JSONValue.parse(
                bytes, limits: limits ?? JSONLimits(maxDepth: Self.mostDepth, maxBytes: Self.mostBytes))
        } catch { throw WireError(error) }
    }

    /// A body's `request_id`, for logs of what failed.
    static func requestID(of bytes: [UInt8]) -> String? {
        let limits = JSONLimits(maxDepth: mostDepth, maxBytes: mostBytes)
        return (try? JSONValue.parse(bytes, limits: limits))?["request_id"]?.string.map { String($0.prefix(128)) }
    }

    private init(_ request: CommandRequest, bytes: [UInt8], body: JSONValue) {
        (namespace, noun, verb) = (request.namespace, request.noun, request.verb)
        self.bytes = bytes
        self.body = body
    }

    /// The same request with a `request_id`, where its body has none. All else of the body stays as it is, byte by byte.
    func keyed(_ key: String) throws(WireError) -> CommandRequest {
        if let body, !body.isNull, body.kind != .object { return self }
        if let given = body?["request_id"], !given.isNull { return self }
        var writer = JSONWriter(capacity: bytes.count + 256)
        writer.object { writer in
            writer.member("request_id", key)
            guard let body, !body.isNull else { return }
            for member in body.members where member.name != "request_id" {
                writer.name(dynamic: member.name)
                writer.value(member.value)
            }
        }
        let limits = JSONLimits(maxDepth: Self.mostDepth, maxBytes: Self.mostBytes + 1024)
        do {
            return CommandRequest(self, bytes: writer.bytes, body: try JSONValue.parse(writer.bytes, limits: limits))
        } catch { throw WireError(error) }
    }
}

extension TraceContext {
    /// Of a command's headers, whose names have no case.
    init?(_ message: NATSMessage) {
        func values(_ name: String) -> [String] {
            message.headers.filter { $0.name.count == name.count && $0.name.lowercased() == name }.map(\.value)
        }
        self.init(traceparents: values("traceparent"), tracestates: values("tracestate"))
    }
}

/// The tokens of a command's subject.
package struct CommandSubject: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case command(namespace: String)
        case administration
    }

    let kind: Kind
    let noun: String
    let verb: String

    package init(_ kind: Kind, noun: String, verb: String) {
        self.kind = kind
        self.noun = noun
        self.verb = verb
    }

    /// What the catalogue calls it, if it knows it.
    var command: String {
        switch kind {
        case .command: "\(noun).\(verb)"
        case .administration: "admin.\(noun).\(verb)"
        }
    }

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
struct ChangeOptions: Sendable {
    let requestID: String?
    /// Under which the reply is remembered: the `request_id`, or one made of it for a part of the request.
    var key: String?
    let actor: String?
    let reason: String?
    var ifVersion: Int64?
    let isDryRun: Bool

    init(_ body: inout BodyReader) {
        requestID = body.string("request_id", most: 128)
        key = requestID
        actor = body.string("actor", most: 256)
        reason = body.string("reason", most: 1024)
        ifVersion = body.integer("if_version", in: 1...Int64.max)
        isDryRun = body.bool("dry_run") ?? false
        if let requestID, requestID.isEmpty { body.report("request_id", "expected 1 to 128 characters, got none") }
    }

    /// Of a change that the service makes by itself.
    init(actor: String, reason: String) {
        requestID = nil
        self.actor = actor
        self.reason = reason
        ifVersion = nil
        isDryRun = false
    }

    /// Of one part of a request: its reply is remembered under the request's own id and the part's.
    func part(_ name: String) -> ChangeOptions {
        var part = self
        part.key = requestID.map { "\($0)/\(name)" }
        return part
    }
}

/// A reply's members, written under the envelope's type.
typealias ReplyMembers = @Sendable (inout JSONWriter) -> Void
