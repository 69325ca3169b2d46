import JSONText
package import NATSClient
import PostgresClient
package import SchedulerCore
import SchedulerEngine
import SchedulerWire
import Synchronization

/// Whether anybody takes what is fired at a target: asked of JetStream, and for requests of the server, for a fifth of a
/// second at most, and remembered for a while. A warning is all that comes of it: who makes the stream, or starts the
/// worker, after the schedule does nothing wrong.
package final class TargetLife: Sendable {
    /// What is known of one subject.
    package struct Finding: Hashable, Sendable {
        package let target: TargetSubject
        /// The stream that takes the subject; a subject has one at most.
        package let stream: String?
        /// How many consumers it has.
        package let consumers: Int64
        /// Whether a client subscribes to it; nil where that was not asked, or cannot be told.
        package let isListenedTo: Bool?

        package init(target: TargetSubject, stream: String?, consumers: Int64, isListenedTo: Bool? = nil) {
            self.target = target
            self.stream = stream
            self.consumers = consumers
            self.isListenedTo = isListenedTo
        }

        /// What somebody who fires there should know; nil where all is well, or nobody can say.
        package func warning(for delivery: Delivery) -> String? {
            switch delivery {
            case .core: nil
            case .jetstream where stream == nil: "no stream takes '\(target)': a fire would wait and be tried again"
            case .jetstream:
                consumers > 0 ? nil : "stream '\(stream ?? "")' takes '\(target)', and has no consumer yet"
            case .request where stream != nil:
                "stream '\(stream ?? "")' takes '\(target)', and would answer in a worker's place: a request would fail"
            case .request:
                isListenedTo == false ? "nobody listens on '\(target)': a request would fail" : nil
            }
        }

        func warnings(of definition: ScheduleDefinition) -> [Warning] {
            guard definition.target == target, let message = warning(for: definition.delivery) else { return [] }
            return [Warning(pointer: "/target_command", message: message)]
        }
    }

    /// A subject, and whether its listeners are asked for.
    private struct Question: Hashable {
        let subject: String
        let isRequest: Bool
    }

    private struct Memory {
        var findings: [Question: (finding: Finding, until: Int64)] = [:]
        /// Until when nobody is asked: JetStream did not answer a moment ago.
        var silentUntil: Int64 = 0
    }

    /// For one of the two questions.
    private static let patience = Duration.milliseconds(100)
    /// Nanoseconds that an answer is remembered, and that nobody is asked after a question without one.
    private static let rememberedFor: Int64 = 10_000_000_000
    private static let silentFor: Int64 = 2_000_000_000
    private static let mostFindings = 2000

    private let connection: NATSConnection
    private let memory = Mutex(Memory())

    package init(_ connection: NATSConnection) { self.connection = connection }

    /// - Returns: nil where JetStream did not answer in time, or there is no connection.
    package func finding(of target: TargetSubject, for delivery: Delivery) async -> Finding? {
        let question = Question(subject: target.description, isRequest: delivery == .request)
        let now = MonotonicClock.now()
        let (known, isSilent) = memory.withLock { ($0.findings[question], $0.silentUntil > now) }
        if let known, known.until > now { return known.finding }
        guard !isSilent, connection.isConnected else { return nil }
        guard let finding = try? await ask(target, isRequest: question.isRequest) else {
            memory.withLock { $0.silentUntil = MonotonicClock.now() + Self.silentFor }
            return nil
        }
        memory.withLock { memory in
            if memory.findings.count >= Self.mostFindings { memory.findings = [:] }
            memory.findings[question] = (finding, now + Self.rememberedFor)
        }
        return finding
    }

    private func ask(_ target: TargetSubject, isRequest: Bool) async throws -> Finding {
        let api = JetStreamAPI(connection, timeout: Self.patience)
        let question = #"{"subject":\#(jsonString(target.description))}"#
        let names = try JSONValue.parse(try await api.request("STREAM.NAMES", body: Array(question.utf8)))
        guard let stream = names["streams"].flatMap({ Array($0.elements).first?.string }) else {
            let isListenedTo = isRequest ? await isListenedTo(target) : nil
            return Finding(target: target, stream: nil, consumers: 0, isListenedTo: isListenedTo)
        }
        let info = try JSONValue.parse(try await api.request("STREAM.INFO.\(stream)"))
        return Finding(target: target, stream: stream, consumers: info["state"]?["consumer_count"]?.int64 ?? 0)
    }

    /// Asks the server, which tells an account of its own connections. To ask the target itself would start a worker.
    ///
    /// Nobody can tell where the servers are several, or where the service's user may not ask: the answer is one server's.
    private func isListenedTo(_ target: TargetSubject) async -> Bool? {
        let question = #"{"filter_subject":\#(jsonString(target.description)),"limit":1}"#
        guard let subject = try? Subject("$SYS.REQ.ACCOUNT.PING.CONNZ"),
            let reply = try? await connection.request(
                subject, payload: Array(question.utf8), timeout: Self.patience),
            let answer = try? JSONValue.parse(reply.payload), let count = answer["data"]?["num_connections"]?.int64
        else { return nil }
        if count > 0 { return true }
        return answer["server"]?["cluster"] == nil ? false : nil
    }
}

/// Something that a requester should know, and that hinders nothing.
struct Warning: Hashable, Sendable {
    /// A JSON Pointer into the request.
    let pointer: String
    let message: String
}

extension CommandContext {
    /// What the creator of a definition should know.
    func warnings(of definition: ScheduleDefinition) async -> [Warning] {
        guard definition.delivery != .core, definition.firesCommand else { return [] }
        return await life?.finding(of: definition.target, for: definition.delivery)?.warnings(of: definition) ?? []
    }

    /// The life of the target that a request names; nil where it names none. Asked before a transaction begins, so that no
    /// lock is held meanwhile.
    func life(ofTargetIn request: CommandRequest) async -> TargetLife.Finding? {
        guard let text = request.body?["target_command"]?.string, let target = try? TargetSubject(text) else {
            return nil
        }
        let delivery = request.body?["delivery"]?.string.flatMap(Delivery.init(rawValue:)) ?? .jetstream
        return delivery == .core ? nil : await life?.finding(of: target, for: delivery)
    }

    /// Reads a body; where that ends at the target, once more by the newest allow-list: a command may have allowed it a
    /// moment ago, and another instance have answered that.
    func withNewestRules<Value>(
        _ body: inout BodyReader, _ read: (inout BodyReader) throws -> Value
    ) async throws -> Value {
        let unread = body
        let board = session.compiler.targets
        // By what it was read: the list may be a newer one by the time it is refused.
        let change = board.snapshot.change
        do { return try read(&body) } catch let refusal as WireError {
            let places = Set(refusal.details.map(\.pointer.description))
            guard !places.isDisjoint(with: ["/target_command", "/command_payload", "/event_subject"]) else {
                throw refusal
            }
            try await loadNewestRules()
            guard board.snapshot.change != change else { throw refusal }
            body = unread
            return try read(&body)
        }
    }

    /// Takes over what commands have changed in the allow-list until now.
    func loadNewestRules() async throws {
        try await session.pool.withConnection { try await session.compiler.targets.catchUp(on: $0) }
    }

    func tooLarge(_ bytes: Int, _ most: Int64, for namespace: Namespace) -> String {
        "namespace '\(namespace)' may have payloads of at most \(most) bytes, got \(bytes)"
    }
}

extension JSONWriter {
    /// Nothing where there are none.
    mutating func warnings(_ warnings: [Warning]) {
        if !warnings.isEmpty { warningList(warnings) }
    }

    mutating func warningList(_ warnings: [Warning]) {
        array("warnings") { writer in
            for warning in warnings {
                writer.object { writer in
                    writer.member("pointer", warning.pointer)
                    writer.member("message", warning.message)
                }
            }
        }
    }
}
