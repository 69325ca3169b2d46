import JSONText
import SchedulerCore

/// Ordered pairs of strings as a JSON object, for the columns that hold headers and metadata.
enum PairsText {
    static func encode(_ pairs: [UserHeader]) -> [UInt8] {
        guard !pairs.isEmpty else { return Array("{}".utf8) }
        var writer = JSONWriter(capacity: 256)
        writer.object { writer in
            for pair in pairs {
                writer.name(dynamic: pair.name)
                writer.value(pair.value)
            }
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(JSONError) -> [UserHeader] {
        guard bytes.count > 2 else { return [] }
        return try JSONValue.parse(bytes).members.map { UserHeader(name: $0.name, value: $0.value.string ?? "") }
    }
}
