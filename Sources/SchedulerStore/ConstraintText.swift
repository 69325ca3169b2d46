import JSONText
import PostgresClient
import SchedulerCore
import SchedulerWire

/// The columns of a schedule that say which of its occurrences fire: `only_on, not_on, day_shift, windows, outside`.
enum ConstraintText {
    static func values(of constraint: FireConstraint) -> [PostgresValue] {
        var windows = PostgresValue.null
        if !constraint.windows.isEmpty {
            var writer = JSONWriter(capacity: 256)
            writer.windows(constraint.windows)
            windows = .json(writer.bytes)
        }
        return [
            .text(constraint.onlyOn?.description), .text(constraint.notOn?.description),
            .text(constraint.shift.rawValue), windows, .text(constraint.outside.rawValue),
        ]
    }

    /// - Parameter first: the column of `only_on`.
    static func constraint(of row: PostgresRow, from first: Int) throws -> FireConstraint {
        var constraint = FireConstraint()
        constraint.onlyOn = try row.textOrNil(first).map { try CalendarName($0) }
        constraint.notOn = try row.textOrNil(first + 1).map { try CalendarName($0) }
        constraint.shift = try row.choice(first + 2)
        if let text = try row.jsonOrNil(first + 3) {
            guard let windows = BodyReader.windows(stored: try JSONValue.parse(text)) else {
                throw PostgresError(.decoding, "a schedule's windows cannot be read")
            }
            constraint.windows = windows
        }
        constraint.outside = try row.choice(first + 4)
        return constraint
    }
}
