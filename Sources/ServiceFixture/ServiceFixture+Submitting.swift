package import JSONText
import LocalServers
package import NATSClient

// Durable commands, as a client that does not wait for them sends them.
extension ServiceFixture {
    package static let commandsStream = "SCHEDULER_COMMANDS"

    /// Publishes a submitted command and returns once its stream has it.
    /// - Parameters:
    ///   - command: `<noun>.<verb>`.
    ///   - id: the `Nats-Msg-Id`.
    /// - Returns: its place in the stream.
    @discardableResult
    package func submit(
        _ command: String, _ body: String, in namespace: String = "test", id: String? = nil
    ) async throws -> Int64 {
        try await submit(on: "scheduler.submit.\(namespace).\(command)", Array(body.utf8), id: id)
    }

    /// As above, on any subject.
    @discardableResult
    package func submit(on subject: String, _ body: [UInt8], id: String? = nil) async throws -> Int64 {
        var headers = NATSHeaders()
        if let id { try headers.append(.messageID, id) }
        let reply = try await client.request(
            try Subject(subject), headers: headers, payload: body, timeout: .seconds(5))
        guard let sequence = try JSONValue.parse(reply.payload)["seq"]?.int64 else {
            throw FixtureError(description: "expected a PubAck, got \(String(decoding: reply.payload, as: UTF8.self))")
        }
        return sequence
    }

    /// Messages that wait in the commands stream; nil while it is missing.
    package func submittedWaiting() async throws -> UInt64? {
        try await JetStreamAPI(client).streamInfo(Self.commandsStream)?.messages
    }

    /// Waits until nothing is left in the commands stream.
    package func submittedDrains(within limit: Duration = .seconds(10)) async -> Bool {
        await waitUntil(limit) { (try? await self.submittedWaiting()) == 0 }
    }

    /// The `data` of the outcomes of a namespace's submitted commands, in the order of the commands' stream; each with
    /// its `event` and the event's `id`.
    package func outcomes(in namespace: String) async throws -> [CommandEvent] {
        var events: [CommandEvent] = []
        for kind in ["command_accepted", "command_rejected"] {
            let told = try await messages(of: "SCHEDULER_EVENTS", on: "scheduler.evt.\(namespace).schedule.\(kind).*")
            events += try told.map { try CommandEvent($0) }
        }
        return events.sorted { $0.sequence < $1.sequence }
    }
}

/// The event that told what became of a submitted command.
package struct CommandEvent: Sendable {
    package let id: String
    package let subject: String
    package let isAccepted: Bool
    package let sequence: Int64
    /// `applied`, `repeated`, `rehearsed`, or the `err_code` of its rejection.
    package let outcome: String
    package let event: JSONValue
    package var data: JSONValue? { event["data"] }

    package init(_ message: StoredMessage) throws {
        event = try JSONValue.parse(message.payload)
        id = event["id"]?.string ?? "none"
        subject = message.subject
        isAccepted = event["type"]?.string == "io.carillon.schedule.v1.command_accepted"
        let data = event["data"]
        sequence = data?["stream_sequence"]?.int64 ?? 0
        outcome = data?["effect"]?.string ?? data?["error"]?["err_code"]?.int64.map(String.init) ?? "none"
    }
}
