import JSONText
import Logging

/// One event, ready to be written.
struct LogLine {
    let time: String
    let label: String
    let level: Logger.Level
    let message: String
    /// By its keys.
    let metadata: [(key: String, value: Logger.MetadataValue)]

    private static let ownNames: Set<String> = ["time", "level", "logger", "message"]

    /// One JSON object: `time` (RFC 3339 UTC, microseconds), `level`, `logger`, `message`, then the metadata as members
    /// of their own. A metadata key that is one of those four is told with an underscore before it.
    var json: String {
        var writer = JSONWriter(capacity: 256)
        writer.object { writer in
            writer.member("time", time)
            writer.member("level", level.rawValue)
            writer.member("logger", label)
            writer.member("message", message)
            for (key, value) in metadata {
                writer.name(dynamic: Self.ownNames.contains(key) ? "_" + key : key)
                writer.value(value)
            }
        }
        return writer.text
    }

    /// For people: time, level, message, then the metadata as `key=value`. Line breaks are told as `\n`, so that one
    /// event stays one line.
    var text: String {
        var line = "\(time) \(level.rawValue) \(label): \(message)"
        for (key, value) in metadata { line += " \(key)=\(value.text)" }
        return Self.oneLine(line)
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

extension Logger.MetadataValue {
    /// As text, which knows nothing nested.
    fileprivate var text: String {
        switch self {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
        case .dictionary(let values):
            "{" + values.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ") + "}"
        }
    }
}
