package import Logging

/// A line for people: time, level, message, then the metadata as `key=value`. What a value has of line breaks is told
/// as `\n`, so that one event stays one line.
package struct TextLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level = .info
    private let label: String
    private let sink: LineSink

    package init(label: String, sink: LineSink) {
        self.label = label
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = "\(WallClockText.now()) \(event.level.rawValue) \(label): \(event.message)"
        for (key, value) in merged(metadata, metadataProvider, event) { line += " \(key)=\(value.text)" }
        sink.write(Self.oneLine(line))
    }

    private static func oneLine(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            // A control character could move a terminal's cursor.
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
