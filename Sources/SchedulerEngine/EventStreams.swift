package import NATSClient
import SchedulerCore

/// The streams that follow the prefix and take what this service tells: made if missing, never changed (contract.md §6).
package struct EventStreams: Sendable {
    private let api: JetStreamAPI
    private let names: SubjectNames
    private let replicas: Int

    package init(_ connection: NATSConnection, names: SubjectNames, replicas: Int) {
        api = JetStreamAPI(connection)
        self.names = names
        self.replicas = replicas
    }

    /// 7 days, 10 GiB, the oldest first; duplicates are known for 2 minutes.
    private var eventsConfiguration: String {
        """
        {"name":"\(names.eventsStream)","subjects":["\(names.events)"],"retention":"limits","storage":"file",\
        "discard":"old","max_age":604800000000000,"max_bytes":10737418240,"duplicate_window":120000000000,\
        "num_replicas":\(replicas)}
        """
    }

    /// 30 days: the time in which an operator looks, and may send again what gave up.
    private var deadLettersConfiguration: String {
        """
        {"name":"\(names.deadLetterStream)","subjects":["\(names.deadLetters)"],"retention":"limits","storage":"file",\
        "discard":"old","max_age":2592000000000000,"duplicate_window":120000000000,"num_replicas":\(replicas)}
        """
    }

    /// Makes the streams of events and of dead letters if they are missing. One that is there must take what belongs to
    /// it, or nothing would be told.
    package func ensure() async throws {
        try await ensure(names.eventsStream, taking: names.events, eventsConfiguration)
        try await ensure(names.deadLetterStream, taking: names.deadLetters, deadLettersConfiguration)
    }

    private func ensure(_ name: String, taking subject: String, _ configuration: String) async throws {
        if let stream = try await api.streamInfo(name) {
            guard stream.subjects.contains(subject) else {
                throw EngineError(
                    .stream,
                    "the stream \(name) takes \(stream.subjects), expected \(subject): delete it, or add the subject")
            }
            return
        }
        _ = try await api.createStream(name, configuration: configuration)
    }
}
