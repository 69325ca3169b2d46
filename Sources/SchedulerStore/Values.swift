package import PostgresClient
package import Recurrence
package import SchedulerCore

/// What SQL statements run on: a connection, or a transaction on one.
package protocol StatementRunner: Sendable {
    func query(_ statement: Statement, _ values: [PostgresValue]) async throws(PostgresError) -> PostgresRows
}

extension PostgresTransaction: StatementRunner {}

extension PostgresConnection: StatementRunner {
    package nonisolated func query(
        _ statement: Statement, _ values: [PostgresValue]
    ) async throws(PostgresError) -> PostgresRows {
        try await query(statement, values, deadline: nil)
    }
}

extension PostgresValue {
    static func uuid(_ value: UUIDValue) -> PostgresValue { .uuid(high: value.high, low: value.low) }
    static func id(_ id: some Identifier) -> PostgresValue { .uuid(id.uuid) }

    static func instant(_ instant: Instant) -> PostgresValue { .timestamptz(instant.milliseconds * 1000) }
    static func instant(_ instant: Instant?) -> PostgresValue { .optional(instant) { .instant($0) } }

    static func text(_ text: String?) -> PostgresValue { .optional(text) { .text($0) } }
    static func int64(_ number: Int64?) -> PostgresValue { .optional(number) { .int64($0) } }
    static func int32(_ number: Int32?) -> PostgresValue { .optional(number) { .int32($0) } }
    static func float8(_ number: Double?) -> PostgresValue { .optional(number) { .float8($0) } }

    static func ids(_ ids: some Collection<some Identifier>) -> PostgresValue { uuids(ids, \.uuid) }

    static func uuids<Element>(_ elements: some Collection<Element>, _ uuid: (Element) -> UUIDValue) -> PostgresValue {
        var array = PostgresArray(of: .uuid, capacity: elements.count)
        for element in elements {
            let value = uuid(element)
            array.append(uuidHigh: value.high, low: value.low)
        }
        return .array(array)
    }

    static func uuidsOrNil<Element>(
        _ elements: some Collection<Element>, _ uuid: (Element) -> UUIDValue?
    ) -> PostgresValue {
        var array = PostgresArray(of: .uuid, capacity: elements.count)
        for element in elements {
            if let value = uuid(element) {
                array.append(uuidHigh: value.high, low: value.low)
            } else {
                array.appendNull()
            }
        }
        return .array(array)
    }

    static func int64s<Element>(_ elements: some Collection<Element>, _ number: (Element) -> Int64) -> PostgresValue {
        var array = PostgresArray(of: .int64, capacity: elements.count)
        for element in elements { array.append(number(element)) }
        return .array(array)
    }

    static func int32s<Element>(_ elements: some Collection<Element>, _ number: (Element) -> Int32) -> PostgresValue {
        var array = PostgresArray(of: .int32, capacity: elements.count)
        for element in elements { array.append(number(element)) }
        return .array(array)
    }

    static func instants<Element>(
        _ elements: some Collection<Element>, _ instant: (Element) -> Instant?
    ) -> PostgresValue {
        var array = PostgresArray(of: .timestamptz, capacity: elements.count)
        for element in elements {
            if let instant = instant(element) {
                array.append(timestamptz: instant.milliseconds * 1000)
            } else {
                array.appendNull()
            }
        }
        return .array(array)
    }

    static func bools<Element>(_ elements: some Collection<Element>, _ flag: (Element) -> Bool) -> PostgresValue {
        var array = PostgresArray(of: .bool, capacity: elements.count)
        for element in elements { array.append(flag(element)) }
        return .array(array)
    }

    static func texts<Element>(_ elements: some Collection<Element>, _ text: (Element) -> String?) -> PostgresValue {
        var array = PostgresArray(of: .text, capacity: elements.count)
        for element in elements {
            if let text = text(element) { array.append(text) } else { array.appendNull() }
        }
        return .array(array)
    }
}

extension PostgresRow {
    func uuidValue(_ column: Int) throws(PostgresError) -> UUIDValue {
        let (high, low) = try uuid(column)
        return UUIDValue(high: high, low: low)
    }

    package func scheduleID(_ column: Int) throws(PostgresError) -> ScheduleID { ScheduleID(try uuidValue(column)) }
    package func executionID(_ column: Int) throws(PostgresError) -> ExecutionID { ExecutionID(try uuidValue(column)) }
    package func instanceID(_ column: Int) throws(PostgresError) -> InstanceID { InstanceID(try uuidValue(column)) }

    package func instant(_ column: Int) throws(PostgresError) -> Instant {
        Instant(milliseconds: Self.milliseconds(try timestamptz(column)))
    }

    package func instantOrNil(_ column: Int) throws(PostgresError) -> Instant? {
        try timestamptzOrNil(column).map { Instant(milliseconds: Self.milliseconds($0)) }
    }

    /// Rounds down, before 1970 too, so that an instant never reads later than it was written.
    private static func milliseconds(_ microseconds: Int64) -> Int64 {
        let quotient = microseconds / 1000
        return microseconds % 1000 < 0 ? quotient - 1 : quotient
    }

    /// Reads a column of ours whose values a CHECK bounds.
    func choice<Choice: RawRepresentable>(
        _ column: Int, as type: Choice.Type = Choice.self
    ) throws(PostgresError) -> Choice where Choice.RawValue == String {
        let text = try text(column)
        guard let choice = Choice(rawValue: text) else {
            throw PostgresError(
                .decoding, "expected a \(Choice.self), got '\(text)': is the schema newer than this program?")
        }
        return choice
    }
}
