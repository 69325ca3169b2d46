package import Logging

/// How log lines look (`LOG_FORMAT`).
package enum LogFormat: String, CaseIterable, Sendable {
    /// One JSON object a line.
    case json
    /// For people.
    case text

    package func logger(_ label: String, level: Logger.Level, to sink: LineSink = .standardError) -> Logger {
        var logger = Logger(label: label) { LineLogHandler(label: $0, format: self, sink: sink) }
        logger.logLevel = level
        return logger
    }
}
