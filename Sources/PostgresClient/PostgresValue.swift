/// A value to bind, sent in PostgreSQL's binary format.
package enum PostgresValue: Sendable {
    case null
    case bool(Bool)
    case int16(Int16)
    case int32(Int32)
    case int64(Int64)
    case float8(Double)
    /// Must not hold U+0000: PostgreSQL has no such text (SQLSTATE 22021).
    case text(String)
    case bytes([UInt8])
    /// UTF-8 for a parameter of type `json` or `text`, kept byte for byte. Not for `jsonb`: write `$1::json::jsonb`.
    case json([UInt8])
    case uuid(high: UInt64, low: UInt64)
    /// Microseconds since 1970-01-01 00:00 UTC; `Int64.max` and `.min` are `infinity` and `-infinity`.
    case timestamptz(Int64)
    case array(PostgresArray)
}

extension PostgresValue {
    package static func uuid(_ value: (high: UInt64, low: UInt64)) -> PostgresValue {
        .uuid(high: value.high, low: value.low)
    }

    package static func optional<T>(_ value: T?, _ make: (T) -> PostgresValue) -> PostgresValue {
        value.map(make) ?? .null
    }
}

/// PostgreSQL counts from 2000-01-01, this module from 1970-01-01, both in microseconds.
@usableFromInline
enum TimestampEpoch {
    @usableFromInline static var offset: Int64 { 946_684_800_000_000 }

    /// Saturates: what lies outside of PostgreSQL's range becomes an infinity rather than another time.
    @inlinable
    static func toPostgres(_ microseconds: Int64) -> Int64 {
        if microseconds == .max { return .max }
        let (value, overflow) = microseconds.subtractingReportingOverflow(offset)
        return overflow ? .min : value
    }

    static func fromPostgres(_ value: Int64) -> Int64 {
        if value == .min { return .min }
        let (microseconds, overflow) = value.addingReportingOverflow(offset)
        return overflow ? .max : microseconds
    }
}
