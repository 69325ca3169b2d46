/// A one-dimensional array parameter, built element by element in the form it takes on the wire.
///
/// Elements are written once, straight into one buffer: a batch of rows becomes one array a column in a single pass,
/// with no array of optionals in between.
///
///     var ids = PostgresArray(of: .uuid, capacity: rows.count)
///     for row in rows { ids.append(uuidHigh: row.id.high, low: row.id.low) }
///
/// Appending another type than the array's is a mistake in the program and stops it.
package struct PostgresArray: Sendable {
    package enum Element: UInt32, Sendable {
        case bool = 16
        case bytes = 17
        case int64 = 20
        case int16 = 21
        case int32 = 23
        case text = 25
        case json = 114
        case float8 = 701
        case timestamptz = 1184
        case uuid = 2950

        @usableFromInline
        var estimatedSize: Int {
            switch self {
            case .bool: 1
            case .int16: 2
            case .int32: 4
            case .int64, .float8, .timestamptz: 8
            case .uuid: 16
            case .bytes, .text, .json: 28
            }
        }
    }

    package let element: Element
    /// Changed by the `append` methods only, as are the three behind it; open to them for inlining alone.
    @usableFromInline var elementCount = 0
    @usableFromInline var hasNull = false
    /// Bytes in use at the front of `storage`: for each element its length as 4 big-endian bytes, then its value.
    @usableFromInline var length = 0
    @usableFromInline var storage: [UInt8]

    package var count: Int { elementCount }

    @inlinable
    package init(of element: Element, capacity: Int = 0) {
        self.element = element
        storage = [UInt8](repeating: 0, count: capacity * (4 + element.estimatedSize))
    }

    @inlinable
    package mutating func appendNull() {
        reserve(4)
        storage.withUnsafeMutableBytes { $0.storeBytes(of: -1, toByteOffset: length, as: Int32.self) }
        length += 4
        elementCount += 1
        hasNull = true
    }

    @inlinable
    package mutating func append(_ value: Bool) {
        expect(.bool)
        appendFixed(value ? 1 as UInt8 : 0)
    }

    @inlinable
    package mutating func append(_ value: Int16) {
        expect(.int16)
        appendFixed(value.bigEndian)
    }

    @inlinable
    package mutating func append(_ value: Int32) {
        expect(.int32)
        appendFixed(value.bigEndian)
    }

    @inlinable
    package mutating func append(_ value: Int64) {
        expect(.int64)
        appendFixed(value.bigEndian)
    }

    @inlinable
    package mutating func append(_ value: Double) {
        expect(.float8)
        appendFixed(value.bitPattern.bigEndian)
    }

    /// Microseconds since 1970-01-01 00:00 UTC.
    @inlinable
    package mutating func append(timestamptz microseconds: Int64) {
        expect(.timestamptz)
        appendFixed(TimestampEpoch.toPostgres(microseconds).bigEndian)
    }

    @inlinable
    package mutating func append(uuidHigh high: UInt64, low: UInt64) {
        expect(.uuid)
        reserve(20)
        storage.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(of: Int32(16).bigEndian, toByteOffset: length, as: Int32.self)
            buffer.storeBytes(of: high.bigEndian, toByteOffset: length + 4, as: UInt64.self)
            buffer.storeBytes(of: low.bigEndian, toByteOffset: length + 12, as: UInt64.self)
        }
        length += 20
        elementCount += 1
    }

    @inlinable
    package mutating func append(_ value: String) {
        expect(.text)
        value.utf8Span.span.withUnsafeBytes { appendRaw($0) }
    }

    @inlinable
    package mutating func append(bytes: [UInt8]) {
        expect(.bytes)
        bytes.withUnsafeBytes { appendRaw($0) }
    }

    @inlinable
    package mutating func append(json: [UInt8]) {
        expect(.json)
        json.withUnsafeBytes { appendRaw($0) }
    }

    @inlinable
    func expect(_ wanted: Element) {
        precondition(element == wanted, "expected an element of type \(element), got \(wanted)")
    }

    @inlinable
    mutating func appendFixed<T: BitwiseCopyable>(_ value: T) {
        let size = MemoryLayout<T>.size
        reserve(4 + size)
        storage.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(of: Int32(size).bigEndian, toByteOffset: length, as: Int32.self)
            buffer.storeBytes(of: value, toByteOffset: length + 4, as: T.self)
        }
        length += 4 + size
        elementCount += 1
    }

    @inlinable
    mutating func appendRaw(_ bytes: UnsafeRawBufferPointer) {
        reserve(4 + bytes.count)
        storage.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(of: Int32(bytes.count).bigEndian, toByteOffset: length, as: Int32.self)
            guard let source = bytes.baseAddress, let target = buffer.baseAddress else { return }
            (target + length + 4).copyMemory(from: source, byteCount: bytes.count)
        }
        length += 4 + bytes.count
        elementCount += 1
    }

    @inlinable
    mutating func reserve(_ size: Int) {
        if length + size > storage.count { grow(size) }
    }

    @usableFromInline
    mutating func grow(_ size: Int) {
        storage.append(contentsOf: repeatElement(0, count: max(storage.count, size, 256)))
    }
}

extension PostgresArray {
    /// The bytes `write(to:)` writes.
    var encodedSize: Int { count == 0 ? 12 : 20 + length }

    /// Writes dimensions (one, or none for an empty array), null flag, element type, count, lower bound 1, elements.
    func write(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: Int32(count == 0 ? 0 : 1).bigEndian, as: Int32.self)
        target.storeBytes(of: Int32(hasNull ? 1 : 0).bigEndian, toByteOffset: 4, as: Int32.self)
        target.storeBytes(of: element.rawValue.bigEndian, toByteOffset: 8, as: UInt32.self)
        guard count > 0 else { return }
        target.storeBytes(of: Int32(count).bigEndian, toByteOffset: 12, as: Int32.self)
        target.storeBytes(of: Int32(1).bigEndian, toByteOffset: 16, as: Int32.self)
        storage.withUnsafeBytes { bytes in
            (target + 20).copyMemory(from: bytes.baseAddress!, byteCount: length)
        }
    }
}
