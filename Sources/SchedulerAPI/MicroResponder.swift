import JSONText
import NATSClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerWire
import Synchronization

/// Answers `$SRV.PING`, `INFO` and `STATS` (ADR-32), so that `nats micro ls` finds every instance.
final class MicroResponder: Sendable {
    private let connection: NATSConnection
    private let statistics: CommandStatistics
    private let service: MicroService
    private let endpoints: [(name: String, endpoint: MicroEndpoint)]
    private let started: String
    private let prefix: String
    private let subscriptions = Mutex<[NATSCallbackSubscription]>([])

    init(connection: NATSConnection, statistics: CommandStatistics, names: SubjectNames, version: String) {
        self.connection = connection
        self.statistics = statistics
        prefix = names.prefix
        var random = SystemRandomNumberGenerator()
        let now = PostgresClock.machineNow()
        started = now.rfc3339
        service = MicroService(
            name: "carillon", id: UUIDValue.version7(at: now, random: &random).hexadecimal, version: version,
            description: "Sends commands at a time, on a rhythm, or when asked", metadata: ["prefix": names.prefix])
        endpoints = Self.endpoints(prefix: names.prefix)
    }

    /// One for each command, and one for help: where they are asked, and which schemas describe what is said there.
    private static func endpoints(prefix: String) -> [(name: String, endpoint: MicroEndpoint)] {
        let commands = CommandCatalogue.all.map { page in
            (
                page.name,
                MicroEndpoint(
                    name: page.name.split(separator: ".").joined(separator: "-"),
                    subject: page.subject(prefix: prefix, namespace: "*"), queueGroup: CommandService.queueGroup,
                    metadata: ["request_schema": page.requestSchema, "reply_schema": page.replySchema])
            )
        }
        let help = MicroEndpoint(
            name: Help.name, subject: "\(prefix).\(Help.name)", queueGroup: CommandService.queueGroup,
            metadata: ["request_schema": Help.requestSchema, "reply_schema": Help.replySchema])
        return commands + [(Help.name, help)]
    }

    /// Subscribes to all nine subjects; each instance answers for itself.
    func subscribe() throws(NATSError) {
        for verb in MicroVerb.allCases {
            for subject in service.subjects(verb) {
                let subscription = try connection.subscribe(try SubjectFilter(subject)) { [weak self] message in
                    self?.answer(verb, to: String(decoding: message.reply, as: UTF8.self))
                }
                subscriptions.withLock { $0.append(subscription) }
            }
        }
    }

    func cancel() {
        let ended = subscriptions.withLock { subscriptions in
            defer { subscriptions = [] }
            return subscriptions
        }
        for subscription in ended { subscription.cancel() }
    }

    private func answer(_ verb: MicroVerb, to reply: String) {
        guard let subject = Subject(replyOf: reply, prefix: prefix) else { return }
        var writer = JSONWriter(capacity: 4096)
        switch verb {
        case .ping: service.writePing(into: &writer)
        case .info: service.writeInfo(endpoints.map(\.endpoint), into: &writer)
        case .stats:
            service.writeStats(
                endpoints.map { ($0.endpoint, statistics.of($0.name)) }, started: started, into: &writer)
        }
        _ = try? connection.publish(subject, payload: writer.bytes)
    }
}
