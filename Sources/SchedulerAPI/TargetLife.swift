import JSONText
package import NATSClient
import PostgresClient
package import SchedulerCore
import SchedulerEngine
import SchedulerWire
import Synchronization

/// Whether anybody takes what is fired at a target: asked of JetStream, for a fifth of a second at most, and remembered
/// for a while. A warning is all that comes of it: who makes the stream after the schedule does nothing wrong.
package final class TargetLife: Sendable {
    /// What JetStream says of one subject.
    package struct Finding: Hashable, Sendable {
        package let target: TargetSubject
        /// The stream that takes the subject; a subject has one at most.
        package let stream: String?
        /// How many consumers it has.
        package let consumers: Int64

        /// What somebody who fires there should know; nil where all is well, or delivery asks no stream.
        package func warning(for delivery: Delivery) -> String? {
            guard delivery == .jetstream else { return nil }
            guard let stream else { return "no stream takes '\(target)': a fire would wait and be tried again" }
            return consumers > 0 ? nil : "stream '\(stream)' takes '\(target)', and has no consumer yet"
        }

        func warnings(of definition: ScheduleDefinition) -> [Warning] {
            guard definition.target == target, let message = warning(for: definition.delivery) else { return [] }
            return [Warning(pointer: "/target_command", message: message)]
        }
    }

    private struct Memory {
        var findings: [String: (finding: Finding, until: Int64)] = [:]
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
    package func finding(of target: TargetSubject) async -> Finding? {
        let subject = target.description
        let now = MonotonicClock.now()
        let (known, isSilent) = memory.withLock { ($0.findings[subject], $0.silentUntil > now) }
        if let known, known.until > now { return known.finding }
        guard !isSilent, connection.isConnected else { return nil }
        guard let finding = try? await ask(target) else {
            memory.withLock { $0.silentUntil = MonotonicClock.now() + Self.silentFor }
            return nil
        }
        memory.withLock { memory in
            if memory.findings.count >= Self.mostFindings { memory.findings = [:] }
            memory.findings[subject] = (finding, now + Self.rememberedFor)
        }
        return finding
    }

    private func ask(_ target: TargetSubject) async throws -> Finding {
        let api = JetStreamAPI(connection, timeout: Self.patience)
        let question = #"{"subject":\#(jsonString(target.description))}"#
        let names = try JSONValue.parse(try await api.request("STREAM.NAMES", body: Array(question.utf8)))
        guard let stream = names["streams"].flatMap({ Array($0.elements).first?.string }) else {
            return Finding(target: target, stream: nil, consumers: 0)
        }
        let info = try JSONValue.parse(try await api.request("STREAM.INFO.\(stream)"))
        return Finding(target: target, stream: stream, consumers: info["state"]?["consumer_count"]?.int64 ?? 0)
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
        guard definition.delivery == .jetstream else { return [] }
        return await life?.finding(of: definition.target)?.warnings(of: definition) ?? []
    }

    /// The life of the target that a request names; nil where it names none. Asked before a transaction begins, so that no
    /// lock is held meanwhile.
    func life(ofTargetIn request: CommandRequest) async -> TargetLife.Finding? {
        guard let text = request.body?["target_command"]?.string, let target = try? TargetSubject(text) else {
            return nil
        }
        return await life?.finding(of: target)
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
            guard !places.isDisjoint(with: ["/target_command", "/command_payload"]) else { throw refusal }
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
