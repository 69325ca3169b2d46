package import NATSClient

/// Streams of somebody else that take subjects which this service answers. They would answer in its place: whoever asks gets
/// the stream's PubAck for a reply (contract.md §6).
package struct ForeignStreams: Sendable {
    private let api: JetStreamAPI
    private let prefix: String

    package init(_ connection: NATSConnection, prefix: String) {
        api = JetStreamAPI(connection, timeout: .seconds(2))
        self.prefix = prefix
    }

    /// - Returns: a sentence for each; none where NATS does not answer.
    package func find() async -> [String] {
        var sentences: [String] = []
        for filter in ["\(prefix).cmd.>", "\(prefix).admin.>", "$SRV.>"] {
            guard let subject = try? SubjectFilter(filter), let streams = try? await api.streamNames(taking: subject)
            else { continue }
            for stream in streams {
                sentences.append(
                    "the stream \(stream) takes \(filter), and answers in this service's place: change its subjects")
            }
        }
        return sentences
    }
}
