import NATSClient
import SchedulerCore

/// Core targets: published without a reply, and taken as delivered when the server answers a PING behind them on the
/// same, unbroken connection.
final class PlainDelivery: Sendable {
    private let prompt: NATSConnection
    private let gathered: NATSConnection

    init(prompt: NATSConnection, gathered: NATSConnection) {
        self.prompt = prompt
        self.gathered = gathered
    }

    /// - Returns: the connection's epoch that the message was handed over in.
    func publish(_ message: OutgoingMessage, gathered isGathered: Bool) throws(NATSError) -> ConnectionEpoch {
        let connection = isGathered ? gathered : prompt
        return try connection.publish(message.subject, headers: message.headers, payload: message.payload)
    }

    /// Learns what became of messages published since `epoch`. `done` is called once.
    func confirm(
        _ fires: [Fire], since epoch: ConnectionEpoch, gathered isGathered: Bool,
        done: @escaping @Sendable ([Fire], DispatchOutcome) -> Void
    ) {
        let connection = isGathered ? gathered : prompt
        // Not a child of any task: it ends by itself within its limit, and its word must reach the publisher.
        Task {
            do {
                try await connection.flush(since: epoch, timeout: .seconds(2))
                done(fires, .flushed)
            } catch {
                done(fires, .connectionLost)
            }
        }
    }
}
