import CPostgres

/// The result of one call: its rows in binary form, and how many rows it touched.
///
/// Owns the memory that libpq gave. Sendable although unchecked: libpq never changes a result once it is handed out,
/// reading one is safe from any thread (manual, 34.20), and nothing here writes to it but `deinit`.
package final class PostgresRows: @unchecked Sendable, RandomAccessCollection {
    let result: OpaquePointer
    let columnTypes: [UInt32]
    package let count: Int
    /// Rows inserted, updated, deleted or selected, as the command's tag tells; 0 for other commands.
    package let affected: Int

    /// Takes over `result`.
    init(_ result: OpaquePointer) {
        self.result = result
        count = Int(PQntuples(result))
        columnTypes = (0..<PQnfields(result)).map { PQftype(result, $0) }
        affected = Self.parseCount(PQcmdTuples(result))
    }

    deinit { PQclear(result) }

    package var columnCount: Int { columnTypes.count }
    package var startIndex: Int { 0 }
    package var endIndex: Int { count }

    package subscript(row: Int) -> PostgresRow {
        precondition(row >= 0 && row < count, "expected a row below \(count), got \(row)")
        return PostgresRow(rows: self, index: Int32(row))
    }

    /// The index of the column named `name`, nil if there is none. Look it up once, not in a loop.
    package func column(named name: String) -> Int? {
        (0..<columnCount).first { PQfname(result, Int32($0)).map { String(cString: $0) } == name }
    }

    private static func parseCount(_ digits: UnsafeMutablePointer<CChar>?) -> Int {
        guard var digits else { return 0 }
        var count = 0
        while digits.pointee >= 48 && digits.pointee <= 57 {
            count = count * 10 + Int(digits.pointee - 48)
            digits += 1
        }
        return count
    }
}

/// One row. Accessors take the column's index and throw `.decoding` if the column is of another type, or NULL where no
/// optional was asked for. Numbers are widened (`int64` reads a `smallint`), never narrowed.
package struct PostgresRow: Sendable {
    let rows: PostgresRows
    let index: Int32

    package func isNull(_ column: Int) -> Bool {
        PQgetisnull(rows.result, index, Int32(column)) == 1
    }

    package func bool(_ column: Int) throws(PostgresError) -> Bool {
        try value(column, .bool, size: 1).load(as: UInt8.self) != 0
    }

    package func int16(_ column: Int) throws(PostgresError) -> Int16 {
        try value(column, .int16, size: 2).bigEndian(Int16.self)
    }

    package func int32(_ column: Int) throws(PostgresError) -> Int32 {
        if type(of: column) == .int16 { return Int32(try int16(column)) }
        return try value(column, .int32, size: 4).bigEndian(Int32.self)
    }

    package func int64(_ column: Int) throws(PostgresError) -> Int64 {
        switch type(of: column) {
        case .int16, .int32: Int64(try int32(column))
        default: try value(column, .int64, size: 8).bigEndian(Int64.self)
        }
    }

    package func float8(_ column: Int) throws(PostgresError) -> Double {
        Double(bitPattern: try value(column, .float8, size: 8).bigEndian(UInt64.self))
    }

    /// Microseconds since 1970-01-01 00:00 UTC; `infinity` is `Int64.max`, `-infinity` is `Int64.min`.
    package func timestamptz(_ column: Int) throws(PostgresError) -> Int64 {
        TimestampEpoch.fromPostgres(try value(column, .timestamptz, size: 8).bigEndian(Int64.self))
    }

    package func uuid(_ column: Int) throws(PostgresError) -> (high: UInt64, low: UInt64) {
        let bytes = try value(column, .uuid, size: 16)
        return (bytes.bigEndian(UInt64.self), (bytes + 8).bigEndian(UInt64.self))
    }

    /// Any type whose binary form is its text: `text`, `varchar`, `name`, `json`, `xml`, an enum.
    package func text(_ column: Int) throws(PostgresError) -> String {
        try withText(column) { String(decoding: $0, as: UTF8.self) }
    }

    /// The bytes of a value of any type as PostgreSQL sends them: for `bytea` the value itself.
    package func bytes(_ column: Int) throws(PostgresError) -> [UInt8] {
        try withBytes(column) { [UInt8]($0) }
    }

    /// The bytes of a `json`, verbatim.
    package func json(_ column: Int) throws(PostgresError) -> [UInt8] {
        try withText(column) { [UInt8]($0) }
    }

    /// Lends the bytes of a value without copying them; they are valid during `body` only.
    package func withBytes<R>(_ column: Int, _ body: (UnsafeRawBufferPointer) -> R) throws(PostgresError) -> R {
        body(try raw(column))
    }

    private func withText<R>(_ column: Int, _ body: (UnsafeRawBufferPointer) -> R) throws(PostgresError) -> R {
        // "char", name, text, json, xml, unknown, bpchar, varchar; from 16384 on types of users, such as enums. The
        // binary form of others (jsonb, numeric) is not their text.
        switch rows.columnTypes[column] {
        case 18, 19, 25, 114, 142, 705, 1042, 1043, 16_384...: break
        default: throw mismatch(column, expected: "text")
        }
        return body(try raw(column))
    }
}

extension PostgresRow {
    package func int32OrNil(_ column: Int) throws(PostgresError) -> Int32? {
        isNull(column) ? nil : try int32(column)
    }

    package func int64OrNil(_ column: Int) throws(PostgresError) -> Int64? {
        isNull(column) ? nil : try int64(column)
    }

    package func float8OrNil(_ column: Int) throws(PostgresError) -> Double? {
        isNull(column) ? nil : try float8(column)
    }

    package func timestamptzOrNil(_ column: Int) throws(PostgresError) -> Int64? {
        isNull(column) ? nil : try timestamptz(column)
    }

    package func uuidOrNil(_ column: Int) throws(PostgresError) -> (high: UInt64, low: UInt64)? {
        isNull(column) ? nil : try uuid(column)
    }

    package func textOrNil(_ column: Int) throws(PostgresError) -> String? {
        isNull(column) ? nil : try text(column)
    }

    package func bytesOrNil(_ column: Int) throws(PostgresError) -> [UInt8]? {
        isNull(column) ? nil : try bytes(column)
    }

    package func jsonOrNil(_ column: Int) throws(PostgresError) -> [UInt8]? {
        isNull(column) ? nil : try json(column)
    }
}

// MARK: - Access to the raw value

extension PostgresRow {
    func type(of column: Int) -> PostgresType? {
        PostgresType(rawValue: rows.columnTypes[column])
    }

    func raw(_ column: Int) throws(PostgresError) -> UnsafeRawBufferPointer {
        precondition(
            column >= 0 && column < rows.columnTypes.count,
            "expected a column below \(rows.columnTypes.count), got \(column)")
        let length = PQgetlength(rows.result, index, Int32(column))
        if length == 0 && isNull(column) { throw mismatch(column, expected: "a value") }
        return UnsafeRawBufferPointer(start: PQgetvalue(rows.result, index, Int32(column)), count: Int(length))
    }

    private func value(
        _ column: Int, _ type: PostgresType, size: Int
    ) throws(PostgresError) -> UnsafeRawPointer {
        guard rows.columnTypes[column] == type.rawValue else { throw mismatch(column, expected: "\(type)") }
        let bytes = try raw(column)
        guard bytes.count == size, let base = bytes.baseAddress else {
            throw mismatch(column, expected: "\(size) bytes")
        }
        return base
    }

    func mismatch(_ column: Int, expected: String) -> PostgresError {
        let name = PQfname(rows.result, Int32(column)).map { String(cString: $0) } ?? "?"
        let came =
            isNull(column) ? "NULL" : type(of: column).map { "\($0)" } ?? "type \(rows.columnTypes[column])"
        return PostgresError(
            .decoding, "expected \(expected) in column \(column) (\(name)) of row \(index), got \(came)")
    }
}

extension UnsafeRawPointer {
    @inline(__always)
    func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T {
        T(bigEndian: loadUnaligned(as: type))
    }
}
