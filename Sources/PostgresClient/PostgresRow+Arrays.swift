extension PostgresRow {
    package func int64Array(_ column: Int) throws(PostgresError) -> [Int64] {
        try elements(column, .int64) { $0.count == 8 ? $0.baseAddress!.bigEndian(Int64.self) : nil }
    }

    package func uuidArray(_ column: Int) throws(PostgresError) -> [(high: UInt64, low: UInt64)] {
        try elements(column, .uuid) { bytes in
            guard bytes.count == 16, let base = bytes.baseAddress else { return nil }
            return (base.bigEndian(UInt64.self), (base + 8).bigEndian(UInt64.self))
        }
    }

    package func textArray(_ column: Int) throws(PostgresError) -> [String] {
        try elements(column, .text) { String(decoding: $0, as: UTF8.self) }
    }

    /// Reads an array of one dimension (or none) whose elements are `type` and not NULL.
    private func elements<T>(
        _ column: Int, _ type: PostgresType, _ decode: (UnsafeRawBufferPointer) -> T?
    ) throws(PostgresError) -> [T] {
        let bytes = try raw(column)
        guard bytes.count >= 12, let base = bytes.baseAddress else { throw mismatch(column, expected: "an array") }
        guard (base + 8).bigEndian(UInt32.self) == type.rawValue else {
            throw mismatch(column, expected: "an array of \(type)")
        }
        let dimensions = base.bigEndian(Int32.self)
        if dimensions == 0 { return [] }
        guard dimensions == 1, bytes.count >= 20 else { throw mismatch(column, expected: "one dimension") }
        let count = Int((base + 12).bigEndian(Int32.self))
        var elements: [T] = []
        elements.reserveCapacity(count)
        var offset = 20
        for _ in 0..<count {
            guard offset + 4 <= bytes.count else { throw mismatch(column, expected: "\(count) elements") }
            let length = Int((base + offset).bigEndian(Int32.self))
            offset += 4
            guard length >= 0, offset + length <= bytes.count else {
                throw mismatch(column, expected: "elements that are not NULL")
            }
            guard let element = decode(UnsafeRawBufferPointer(start: base + offset, count: length)) else {
                throw mismatch(column, expected: "elements of the size of \(type)")
            }
            elements.append(element)
            offset += length
        }
        return elements
    }
}
