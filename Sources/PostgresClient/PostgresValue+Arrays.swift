/// Whole arrays from a sequence of values, nil for NULL.
extension PostgresValue {
    @inlinable
    package static func bools(_ values: some Sequence<Bool?>) -> PostgresValue {
        array(.bool, values) { $0.append($1) }
    }

    @inlinable
    package static func int16s(_ values: some Sequence<Int16?>) -> PostgresValue {
        array(.int16, values) { $0.append($1) }
    }

    @inlinable
    package static func int32s(_ values: some Sequence<Int32?>) -> PostgresValue {
        array(.int32, values) { $0.append($1) }
    }

    @inlinable
    package static func int64s(_ values: some Sequence<Int64?>) -> PostgresValue {
        array(.int64, values) { $0.append($1) }
    }

    @inlinable
    package static func float8s(_ values: some Sequence<Double?>) -> PostgresValue {
        array(.float8, values) { $0.append($1) }
    }

    @inlinable
    package static func texts(_ values: some Sequence<String?>) -> PostgresValue {
        array(.text, values) { $0.append($1) }
    }

    @inlinable
    package static func byteses(_ values: some Sequence<[UInt8]?>) -> PostgresValue {
        array(.bytes, values) { $0.append(bytes: $1) }
    }

    @inlinable
    package static func jsons(_ values: some Sequence<[UInt8]?>) -> PostgresValue {
        array(.json, values) { $0.append(json: $1) }
    }

    @inlinable
    package static func timestamptzs(_ values: some Sequence<Int64?>) -> PostgresValue {
        array(.timestamptz, values) { $0.append(timestamptz: $1) }
    }

    @inlinable
    package static func uuids(_ values: some Sequence<(high: UInt64, low: UInt64)?>) -> PostgresValue {
        array(.uuid, values) { $0.append(uuidHigh: $1.high, low: $1.low) }
    }

    @inlinable @inline(__always)
    static func array<S: Sequence, T>(
        _ element: PostgresArray.Element, _ values: S, append: (inout PostgresArray, T) -> Void
    ) -> PostgresValue where S.Element == T? {
        var array = PostgresArray(of: element, capacity: values.underestimatedCount)
        for value in values {
            if let value { append(&array, value) } else { array.appendNull() }
        }
        return .array(array)
    }
}
