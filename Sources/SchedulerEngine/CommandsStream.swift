package import NATSClient

/// The stream that keeps submitted commands and workers' reports while no scheduler runs: made if missing, never changed
/// (contract.md §6).
package struct CommandsStream: Sendable {
    private let api: JetStreamAPI
    private let names: SubjectNames
    private let replicas: Int

    package init(_ connection: NATSConnection, names: SubjectNames, replicas: Int) {
        api = JetStreamAPI(connection)
        self.names = names
        self.replicas = replicas
    }

    private var subjects: [String] { [names.submitted] + names.reports }

    /// A million messages: who submits into a full stream is told so. A bound in bytes would have the server set as much
    /// aside, which it may not have.
    private var configuration: String {
        let subjects = subjects.map(jsonString).joined(separator: ",")
        return """
            {"name":"\(names.commandsStream)","subjects":[\(subjects)],"retention":"workqueue","storage":"file",\
            "discard":"new","max_msgs":1000000,"duplicate_window":120000000000,"num_replicas":\(replicas)}
            """
    }

    /// Makes the stream if it is missing.
    /// - Throws: `.stream`, naming it, for one that is not as it must be, and for another stream that takes its
    ///   subjects; what JetStream refuses.
    package func ensure() async throws -> StreamInfo {
        if let stream = try await api.streamInfo(names.commandsStream) { return try checked(stream) }
        do {
            return try await api.createStream(names.commandsStream, configuration: configuration)
        } catch {
            // Another instance may have been quicker.
            if let stream = try await api.streamInfo(names.commandsStream) { return try checked(stream) }
            let others = try await api.streamNames(taking: SubjectFilter(names.submitted))
            guard others.isEmpty else {
                throw EngineError(
                    .stream,
                    "the stream \(others.joined(separator: ", ")) takes \(names.submitted), which \(names.commandsStream) must take: delete it, or change its subjects"
                )
            }
            throw EngineError(.stream, "the stream \(names.commandsStream) cannot be made: \(error)")
        }
    }

    private func checked(_ stream: StreamInfo) throws(EngineError) -> StreamInfo {
        let missing = subjects.filter { !stream.subjects.contains($0) }
        guard missing.isEmpty else {
            throw EngineError(
                .stream,
                "the stream \(names.commandsStream) takes \(stream.subjects), expected \(missing.joined(separator: ", ")) too: delete it, or add the subject"
            )
        }
        guard stream.retention == "workqueue", stream.storage == "file", stream.discard == "new" else {
            throw EngineError(
                .stream,
                "the stream \(names.commandsStream) has retention \(stream.retention), storage \(stream.storage) and discard \(stream.discard), expected workqueue, file and new: delete it"
            )
        }
        return stream
    }

    /// Messages that wait in it; nil where it is missing.
    package func pending() async throws(NATSError) -> UInt64? {
        var api = api
        api.timeout = .seconds(1)
        return try await api.streamInfo(names.commandsStream)?.messages
    }
}
