package import Logging

/// How log lines look (`LOG_FORMAT`).
package enum LogFormat: String, CaseIterable, Sendable {
    /// One JSON object a line.
    case json
    /// For people.
    case text

    package func logger(_ label: String, level: Logger.Level, to sink: LineSink = .standardError) -> Logger {
        var logger = Logger(label: label) { label in
            switch self {
            case .json: JSONLogHandler(label: label, sink: sink)
            case .text: TextLogHandler(label: label, sink: sink)
            }
        }
        logger.logLevel = level
        return logger
    }
}

extension Logger.MetadataValue {
    /// As text, for handlers that know nothing nested.
    var text: String {
        switch self {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
        case .dictionary(let values):
            "{" + values.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ") + "}"
        }
    }
}

/// Sums up the metadata of an event: the handler's, the provider's, the call's; later ones win.
func merged(
    _ own: Logger.Metadata, _ provider: Logger.MetadataProvider?, _ event: LogEvent
) -> [(key: String, value: Logger.MetadataValue)] {
    var metadata = own
    if let provider { metadata.merge(provider.get()) { $1 } }
    if let given = event.metadata { metadata.merge(given) { $1 } }
    if let error = event.error, metadata["error"] == nil { metadata["error"] = "\(error)" }
    return metadata.sorted { $0.key < $1.key }
}
