/// The types this module encodes and decodes, as their object identifiers in `pg_type`.
package enum PostgresType: UInt32, Sendable {
    case bool = 16
    case bytea = 17
    case int64 = 20
    case int16 = 21
    case int32 = 23
    case text = 25
    case json = 114
    case float8 = 701
    case timestamptz = 1184
    case uuid = 2950
    case boolArray = 1000
    case byteaArray = 1001
    case int16Array = 1005
    case int32Array = 1007
    case textArray = 1009
    case int64Array = 1016
    case float8Array = 1022
    case timestamptzArray = 1185
    case jsonArray = 199
    case uuidArray = 2951
}

/// A named piece of SQL with `$1`, `$2`, … for its values.
///
/// A session prepares it at its first use, in the same round trip, under its name: two statements that share a name
/// must be the same. Without `parameterTypes` PostgreSQL infers the types from the text, so write casts
/// (`$1::bigint`) where the context leaves a choice; a value bound in the binary form of another type is refused.
package struct Statement: Sendable, Hashable {
    package let name: String
    package let sql: String
    package let parameterTypes: [PostgresType]
    /// Says that losing the answer leaves nothing in doubt: such a call never ends in `.commitUnknown`.
    package let isReadOnly: Bool

    package init(_ name: String, _ sql: String, types: [PostgresType] = [], isReadOnly: Bool = false) {
        self.name = name
        self.sql = sql
        self.parameterTypes = types
        self.isReadOnly = isReadOnly
    }

    /// The statement with its values bound, for `pipeline`.
    package func callAsFunction(_ values: PostgresValue...) -> Call {
        Call(self, values)
    }

    package static let begin = Statement("begin", "BEGIN", isReadOnly: true)
    package static let commit = Statement("commit", "COMMIT")
    package static let rollback = Statement("rollback", "ROLLBACK", isReadOnly: true)
}

/// One statement with its values.
package struct Call: Sendable {
    package let statement: Statement
    package let values: [PostgresValue]

    package init(_ statement: Statement, _ values: [PostgresValue] = []) {
        self.statement = statement
        self.values = values
    }
}
