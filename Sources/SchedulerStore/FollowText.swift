import JSONText
import PostgresClient
import SchedulerCore
import SchedulerWire

/// The column of a schedule that says whom it follows: `after`.
enum FollowText {
    static func value(of rule: FollowRule?) -> PostgresValue {
        guard let rule else { return .null }
        var writer = JSONWriter(capacity: 256)
        writer.value(rule)
        return .json(writer.bytes)
    }

    static func rule(of row: PostgresRow, _ column: Int) throws -> FollowRule? {
        guard let text = try row.jsonOrNil(column) else { return nil }
        guard let rule = BodyReader.followRule(stored: try JSONValue.parse(text)) else {
            throw PostgresError(.decoding, "a schedule's 'after' cannot be read")
        }
        return rule
    }
}
