import JSONText
package import Logging

/// One JSON object a line: `time` (RFC 3339 UTC, microseconds), `level`, `logger`, `message`, then the metadata as
/// members of their own. A metadata key that is one of those four is told with an underscore before it.
package struct JSONLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level = .info
    private let label: String
    private let sink: LineSink
    private static let ownNames: Set<String> = ["time", "level", "logger", "message"]

    package init(label: String, sink: LineSink) {
        self.label = label
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var writer = JSONWriter(capacity: 256)
        writer.object { writer in
            writer.member("time", WallClockText.now())
            writer.member("level", event.level.rawValue)
            writer.member("logger", label)
            writer.member("message", event.message.description)
            for (key, value) in merged(metadata, metadataProvider, event) {
                writer.name(dynamic: Self.ownNames.contains(key) ? "_" + key : key)
                writer.value(value)
            }
        }
        sink.write(writer.text)
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ value: Logger.MetadataValue) {
        switch value {
        case .string(let text): self.value(text)
        case .stringConvertible(let other): self.value(other.description)
        case .array(let values):
            array { writer in
                for value in values { writer.value(value) }
            }
        case .dictionary(let values):
            object { writer in
                for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                    writer.name(dynamic: key)
                    writer.value(value)
                }
            }
        }
    }
}
