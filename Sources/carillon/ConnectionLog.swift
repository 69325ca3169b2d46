import Logging
import NATSClient
import SchedulerEngine
import ServiceLifecycle
import Synchronization

/// What the log says of the connections to NATS. They are several and share their fate: each thing is told once.
struct ConnectionNews {
    struct Line: Equatable {
        var level: Logger.Level
        var message: String
        var metadata: [String: String] = [:]
    }

    /// Reasons that are remembered as told; beyond it nothing new is told until all are connected again.
    private static let most = 100

    private var down: Set<String> = []
    private var told: Set<String> = []

    /// - Parameter connection: its name.
    /// - Returns: nil where there is nothing to say, or it was said.
    mutating func heard(_ event: ConnectionEvent, on connection: String) -> Line? {
        switch event {
        case .connected, .reconnected:
            guard down.remove(connection) != nil, down.isEmpty else { return nil }
            told = []
            return Line(level: .notice, message: "connected to NATS again")
        case .disconnected, .linkLost:
            let isFirst = down.isEmpty
            down.insert(connection)
            return isFirst ? Line(level: .warning, message: "the connection to NATS is lost") : nil
        case .error(let text):
            // What stands in brackets names the connection.
            let reason = String(text.prefix { $0 != "(" && $0 != "[" })
            guard isNews(reason) else { return nil }
            let message = down.contains(connection) ? "there is no connection to NATS" : "NATS reports an error"
            return Line(level: .warning, message: message, metadata: ["reason": text])
        case .permissionViolation(let violation):
            let operation = violation.operation == .publish ? "publish" : "subscribe"
            guard isNews("\(operation) \(violation.subject)") else { return nil }
            return Line(
                level: .error, message: "NATS does not permit this instance what it does",
                metadata: ["operation": operation, "subject": violation.subject])
        case .slowConsumer(let subject, let dropped):
            guard isNews("slow \(subject)") else { return nil }
            return Line(
                level: .warning, message: "messages were dropped because they were not read in time",
                metadata: ["subject": subject, "dropped": "\(dropped)"])
        case .lameDuck: return Line(level: .notice, message: "the NATS server is about to stop")
        case .closed: return nil
        }
    }

    private mutating func isNews(_ reason: String) -> Bool { told.count < Self.most && told.insert(reason).inserted }
}

/// Tells the log what becomes of the connections to NATS, as long as they are open.
struct ConnectionLog: Service {
    private final class Shared: Sendable {
        let news = Mutex(ConnectionNews())
    }

    private let streams: [(name: String, events: AsyncStream<ConnectionEvent>)]
    private let logger: Logger

    init(links: Session.Links, logger: Logger) {
        streams = links.all.map { ($0.name, $0.connection.eventStream()) }
        self.logger = logger
    }

    func run() async {
        let (shared, logger) = (Shared(), logger)
        await withTaskGroup(of: Void.self) { tasks in
            for (name, events) in streams {
                tasks.addTask {
                    for await event in events {
                        guard let line = shared.news.withLock({ $0.heard(event, on: name) }) else { continue }
                        let metadata = line.metadata.mapValues { Logger.MetadataValue.string($0) }
                        logger.log(
                            level: line.level, "\(line.message)",
                            metadata: metadata.merging(["connection": "\(name)"]) { $1 })
                    }
                }
            }
        }
    }
}
