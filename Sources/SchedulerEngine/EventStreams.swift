package import NATSClient
import SchedulerCore

/// The streams that follow the prefix: made if missing, never changed (contract.md §6).
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

    /// Makes the events stream if it is missing. One that is there must take the events, or nothing would be told.
    package func ensure() async throws {
        if let stream = try await api.streamInfo(names.eventsStream) {
            guard stream.subjects.contains(names.events) else {
                throw EngineError(
                    .stream,
                    "the stream \(names.eventsStream) takes \(stream.subjects), expected \(names.events): delete it, or add the subject"
                )
            }
            return
        }
        _ = try await api.createStream(names.eventsStream, configuration: eventsConfiguration)
    }
}
