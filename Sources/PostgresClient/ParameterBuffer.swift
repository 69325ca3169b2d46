/// The bound values of one call in the three parallel arrays that libpq takes. One a session, reused for each call:
/// libpq copies what it is given before it returns.
struct ParameterBuffer: ~Copyable {
    private var bytes: UnsafeMutableRawPointer
    private var capacity: Int
    private var used = 0
    private var offsets: [Int] = []
    private var pointers: [UnsafePointer<CChar>?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    init() {
        capacity = 4096
        bytes = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { bytes.deallocate() }

    /// Encodes `values`, then lends their pointers, lengths and formats to `body`, in the order libpq wants them.
    mutating func withEncoded<R>(
        _ values: [PostgresValue],
        _ body: (
            Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        if values.isEmpty { return body(0, nil, nil, nil) }
        used = 0
        offsets.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        for value in values { encode(value) }
        // Only now: encoding may have moved the bytes.
        pointers.removeAll(keepingCapacity: true)
        for offset in offsets {
            pointers.append(offset < 0 ? nil : UnsafePointer((bytes + offset).assumingMemoryBound(to: CChar.self)))
        }
        while formats.count < values.count { formats.append(1) }
        return body(Int32(values.count), pointers, lengths, formats)
    }

    private mutating func encode(_ value: PostgresValue) {
        switch value {
        case .null:
            offsets.append(-1)
            lengths.append(0)
        case .bool(let value): fixed(value ? 1 as UInt8 : 0)
        case .int16(let value): fixed(value.bigEndian)
        case .int32(let value): fixed(value.bigEndian)
        case .int64(let value): fixed(value.bigEndian)
        case .float8(let value): fixed(value.bitPattern.bigEndian)
        case .timestamptz(let value): fixed(TimestampEpoch.toPostgres(value).bigEndian)
        case .uuid(let high, let low):
            let target = reserve(16)
            target.storeBytes(of: high.bigEndian, as: UInt64.self)
            target.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        case .text(var value): value.withUTF8 { raw(UnsafeRawBufferPointer($0)) }
        case .bytes(let value), .json(let value): value.withUnsafeBytes { raw($0) }
        case .array(let array): array.write(to: reserve(array.encodedSize))
        }
    }

    private mutating func fixed<T: BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size).storeBytes(of: value, as: T.self)
    }

    private mutating func raw(_ source: UnsafeRawBufferPointer) {
        let target = reserve(source.count)
        if let base = source.baseAddress { target.copyMemory(from: base, byteCount: source.count) }
    }

    /// Room for a value of `size` bytes; never nil, so that an empty value is not taken for NULL.
    private mutating func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if used + size > capacity { grow(to: used + size) }
        offsets.append(used)
        lengths.append(Int32(size))
        defer { used += size }
        return bytes + used
    }

    private mutating func grow(to size: Int) {
        let larger = max(size, capacity * 2)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: bytes, byteCount: used)
        bytes.deallocate()
        bytes = moved
        capacity = larger
    }
}
