import NATSClient
import SchedulerEngine
import SchedulerWire
import Synchronization

/// Answers `<p>.help`: any instance does, whether it is ready or not.
final class HelpResponder: Sendable {
    private let connection: NATSConnection
    private let statistics: CommandStatistics
    private let prefix: String
    private let subscription = Mutex<NATSCallbackSubscription?>(nil)

    init(connection: NATSConnection, statistics: CommandStatistics, prefix: String) {
        self.connection = connection
        self.statistics = statistics
        self.prefix = prefix
    }

    func subscribe(queue: Subject) throws(NATSError) {
        let filter = try SubjectFilter("\(prefix).\(Help.name)")
        let subscribed = try connection.subscribe(filter, queue: queue) { [weak self] message in
            self?.answer(Array(message.payload), to: String(decoding: message.reply, as: UTF8.self))
        }
        subscription.withLock { $0 = subscribed }
    }

    func cancel() { subscription.withLock { $0 }?.cancel() }

    private func answer(_ request: [UInt8], to reply: String) {
        let begun = MonotonicClock.now()
        let answer = Help(prefix: prefix, now: PostgresClock.machineNow()).answer(request)
        statistics.record(Help.name, nanoseconds: MonotonicClock.now() - begun, error: answer.failure)
        guard let subject = Subject(replyOf: reply, prefix: prefix) else { return }
        var headers = NATSHeaders()
        for header in answer.failure.map(Envelope.headers) ?? [] {
            guard let name = try? HeaderName(header.name) else { continue }
            try? headers.append(name, header.value)
        }
        _ = try? connection.publish(subject, headers: headers, payload: answer.body)
    }
}
