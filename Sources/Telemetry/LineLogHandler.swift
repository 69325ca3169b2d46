package import Logging

/// Writes each event as one line, in one of the formats.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level = .info
    private let label: String
    private let format: LogFormat
    private let sink: LineSink

    package init(label: String, format: LogFormat, sink: LineSink) {
        self.label = label
        self.format = format
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let line = LogLine(
            time: WallClockText.now(), label: label, level: event.level, message: event.message.description,
            metadata: everything(of: event))
        sink.write(format == .json ? line.json : line.text)
    }

    /// Sums up what belongs to an event: the handler's metadata, the provider's, the call's; later ones win.
    private func everything(of event: LogEvent) -> [(key: String, value: Logger.MetadataValue)] {
        var metadata = metadata
        if let metadataProvider { metadata.merge(metadataProvider.get()) { $1 } }
        if let given = event.metadata { metadata.merge(given) { $1 } }
        if let error = event.error, metadata["error"] == nil { metadata["error"] = "\(error)" }
        return metadata.sorted { $0.key < $1.key }
    }
}
