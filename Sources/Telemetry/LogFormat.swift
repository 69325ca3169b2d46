package import Logging

/// How log lines look (`LOG_FORMAT`).
package enum LogFormat: String, CaseIterable, Sendable {
    /// One JSON object a line.
    case json
    /// For people.
    case text

    /// - Parameter provider: what belongs to every line that is logged at that place.
    package func logger(
        _ label: String, level: Logger.Level, to sink: LineSink = .standardError,
        provider: Logger.MetadataProvider? = nil
    ) -> Logger {
        var logger = Logger(label: label) { label in
            var handler = LineLogHandler(label: label, format: self, sink: sink)
            handler.metadataProvider = provider
            return handler
        }
        logger.logLevel = level
        return logger
    }
}
