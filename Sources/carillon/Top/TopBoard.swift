import JSONText
import NATSClient
import Synchronization
import Telemetry
import TopView

/// Feeds the model of `carillon top`: asks for the status once a second, listens to the events, and to what becomes of the
/// connection.
final class TopBoard: Sendable {
    private static let timeout = Duration.milliseconds(1500)
    private static let pause = Duration.seconds(1)
    /// Members are asked for each so many times.
    private static let membersEach = 5

    private let client: ServiceClient
    private let model: Mutex<TopModel>

    init(_ client: ServiceClient) {
        self.client = client
        model = Mutex(
            TopModel(
                server: client.connection.serverInfo?.url ?? "NATS", prefix: client.prefix,
                now: WallClockText.instant()))
    }

    /// As it is now.
    var current: TopModel { model.withLock { $0 } }

    /// Listens until the subscription is cancelled.
    func listen() throws(NATSError) -> NATSCallbackSubscription {
        try client.connection.subscribe(try SubjectFilter("\(client.prefix).evt.>")) { [weak self] message in
            guard let self, let event = try? JSONValue.parse(Array(message.payload)) else { return }
            model.withLock { $0.take(event: event, at: WallClockText.instant()) }
        }
    }

    /// Asks until it is cancelled.
    func askOnAndOn() async {
        var round = 0
        while !Task.isCancelled {
            let begun = ContinuousClock.now
            await ask(withMembers: round % Self.membersEach == 0)
            round += 1
            try? await Task.sleep(until: begun + Self.pause, clock: .continuous)
        }
    }

    func ask(withMembers: Bool) async {
        if withMembers, let members = try? await request("system.members") {
            model.withLock { $0.take(members: members) }
        }
        do {
            let status = try await request("system.status")
            model.withLock { $0.take(status: status, at: WallClockText.instant()) }
        } catch {
            let reason = Self.reason(error)
            model.withLock { $0.wasNotAnswered(reason, at: WallClockText.instant()) }
        }
    }

    private func request(_ command: String) async throws -> JSONValue {
        let reply = try await client.connection.request(
            try Subject("\(client.prefix).admin.\(command)"), timeout: Self.timeout)
        return try JSONValue.parse(reply.payload, limits: JSONLimits(maxDepth: 32, maxBytes: 8 << 20))
    }

    private static func reason(_ error: any Error) -> String {
        switch (error as? NATSError)?.code {
        case .noResponders: "no scheduler runs here"
        case .timeout: "no scheduler answered in time"
        default: "\(error)"
        }
    }

    /// Takes what is told of the connection until it is closed, or the task cancelled.
    func follow(_ events: AsyncStream<ConnectionEvent>) async {
        for await event in events {
            let now = WallClockText.instant()
            switch event {
            case .disconnected: model.withLock { $0.connectionWasLost("", at: now) }
            case .linkLost(let reason): model.withLock { $0.connectionWasLost(reason, at: now) }
            case .connected, .reconnected: model.withLock { $0.connectionIsBack() }
            case .permissionViolation(let violation) where violation.operation == .subscribe:
                model.withLock { $0.cannotHear("this user may not listen on \(violation.subject)") }
            case .slowConsumer(_, let dropped):
                model.withLock { $0.cannotHear("\(dropped) were dropped: they come faster than they are read") }
            case .error, .permissionViolation, .lameDuck: break
            case .closed: return
            }
        }
    }
}
