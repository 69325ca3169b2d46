import LocalServers
import NATSClient
import Synchronization
import Testing

/// A worker that a test plays by hand: it keeps what comes, and answers when it is told to.
final class HandWorker: Sendable {
    private let client: NATSConnection
    private let subscription: NATSSubscription
    private let heard = Mutex<[NATSMessage]>([])

    init(_ filter: String, on client: NATSConnection) async throws {
        self.client = client
        let subscription = try client.subscribe(try SubjectFilter(filter))
        self.subscription = subscription
        Task { [weak self] in
            for await message in subscription { self?.heard.withLock { $0.append(message) } }
        }
        try await client.flush()
    }

    deinit { subscription.cancel() }

    var all: [NATSMessage] { heard.withLock { $0 } }

    /// The message of that number, from 0 on, when it has come.
    func message(_ number: Int) async throws -> NATSMessage {
        #expect(await waitUntil(.seconds(10)) { self.all.count > number }, "message \(number) did not come")
        return try #require(all.dropFirst(number).first)
    }

    /// Replies to a request. - Parameter error: of a micro service.
    func answer(_ message: NATSMessage, _ body: String = "", error: String? = nil) async throws {
        var headers = NATSHeaders()
        if let error { try headers.append("Nats-Service-Error", error) }
        _ = try client.publish(
            try Subject(message.reply ?? "none"), headers: headers, payload: Array(body.utf8))
        try await client.flush()
    }

    /// Reports on an execution.
    func report(_ message: NATSMessage, _ kind: String) async throws {
        var headers = NATSHeaders()
        try headers.append("Scheduler-Fence", message.header("Scheduler-Fence") ?? "0")
        let subject = try Subject("\(message.header("Scheduler-Status-Subject") ?? "none").\(kind)")
        _ = try await client.request(subject, headers: headers, payload: [], timeout: .seconds(5))
    }
}
