import NATSClient
import ServiceFixture
import Synchronization

extension ServiceFixture {
    /// A worker that answers everything at once.
    func answer(_ filter: String) throws -> NATSCallbackSubscription {
        let connection = client
        return try connection.subscribe(try SubjectFilter(filter)) { message in
            guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)) else { return }
            _ = try? connection.publish(reply, payload: Array(#"{"ok":true}"#.utf8))
        }
    }
}

/// Requests that a worker keeps until it is told to answer.
final class HeldReplies: Sendable {
    private let inboxes = Mutex<[String]>([])

    var count: Int { inboxes.withLock { $0.count } }

    func hold(_ message: borrowing IncomingMessage) {
        let inbox = String(decoding: message.reply, as: UTF8.self)
        inboxes.withLock { $0.append(inbox) }
    }

    /// Answers the first copy that came.
    func answerFirst(on connection: NATSConnection) {
        guard let inbox = inboxes.withLock({ $0.first }), let reply = try? Subject(inbox) else { return }
        _ = try? connection.publish(reply, payload: Array(#"{"copy":1}"#.utf8))
    }
}
