import NATSClient
import SchedulerCore

/// Core targets: published without a reply, and taken as delivered when the server answers a PING behind them on the
/// same, unbroken connection.
///
/// Only a connection that broke in between makes a second publish: then nobody knows. A server that is slow to answer
/// has what was written to it, or will read it: it is asked again, and the messages are not doubled. libnats ends a
/// connection whose server is silent for too long, so the asking ends.
final class PlainDelivery: Sendable {
    /// How long one PING is waited for.
    private static let patience = Duration.seconds(2)

    private let prompt: NATSConnection
    private let gathered: NATSConnection
    private let isStopped = Flag()

    init(prompt: NATSConnection, gathered: NATSConnection) {
        self.prompt = prompt
        self.gathered = gathered
    }

    /// Nobody waits for a word any more.
    func stop() { isStopped.signal() }

    /// - Returns: the connection's epoch that the message was handed over in.
    func publish(_ message: OutgoingMessage, gathered isGathered: Bool) throws(NATSError) -> ConnectionEpoch {
        let connection = isGathered ? gathered : prompt
        return try connection.publish(message.subject, headers: message.headers, payload: message.payload)
    }

    /// Learns what became of messages published since `epoch`. `done` is called once, unless it is stopped.
    func confirm(
        _ fires: [Fire], since epoch: ConnectionEpoch, gathered isGathered: Bool,
        done: @escaping @Sendable ([Fire], DispatchOutcome) -> Void
    ) {
        let connection = isGathered ? gathered : prompt
        // Not a child of any task: it ends by itself with the connection, and its word must reach the publisher.
        Task {
            while !isStopped.isSet {
                do throws(NATSError) {
                    try await connection.flush(since: epoch, timeout: Self.patience)
                    return done(fires, .flushed)
                } catch {
                    if error.code != .timeout { return done(fires, .connectionLost) }
                }
            }
        }
    }
}
