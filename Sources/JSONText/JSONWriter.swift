/// Writes one JSON text after another into one growing buffer.
///
/// Commas are set by the writer; nothing else of the structure is checked, so the caller writes a name before each
/// value in an object and none in an array, and gives names of one object once. The buffer is plain memory that the
/// writer owns: `reset()` starts a new text without giving it up, so a loop that keeps its writer allocates nothing.
///
///     var writer = JSONWriter()
///     writer.object { writer in
///         writer.member("name", "nightly")
///         writer.member("count", 3)
///         writer.array("tags") { $0.value("a") }
///     }
package struct JSONWriter: ~Copyable {
    // A pointer of its own instead of [UInt8]: an append is one capacity check and a store, without Array's check for
    // a unique owner, which is most of what a short value costs. `count <= capacity`, and the first `count` bytes are
    // initialised.
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var count = 0
    private var needsComma = false

    /// - Parameter capacity: how many bytes to make room for; the buffer grows when more are written.
    package init(capacity: Int = 1024) {
        self.capacity = max(capacity, 64)
        base = .allocate(capacity: self.capacity)
    }

    deinit {
        base.deallocate()
    }

    /// A copy of what was written.
    package var bytes: [UInt8] {
        [UInt8](UnsafeBufferPointer(start: base, count: count))
    }

    /// What was written, as text.
    package var text: String {
        String(decoding: UnsafeBufferPointer(start: base, count: count), as: UTF8.self)
    }

    /// Lends what was written, without a copy.
    package borrowing func withBytes<Result, Failure>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// Forgets what was written and keeps the memory.
    package mutating func reset() {
        count = 0
        needsComma = false
    }
}

// MARK: - Containers

extension JSONWriter {
    package mutating func beginObject() { begin(UInt8(ascii: "{")) }
    package mutating func endObject() { end(UInt8(ascii: "}")) }
    package mutating func beginArray() { begin(UInt8(ascii: "[")) }
    package mutating func endArray() { end(UInt8(ascii: "]")) }

    package mutating func object<Failure>(
        _ members: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        beginObject()
        try members(&self)
        endObject()
    }

    package mutating func array<Failure>(
        _ elements: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        beginArray()
        try elements(&self)
        endArray()
    }

    package mutating func object<Failure>(
        _ name: StaticString, _ members: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.name(name)
        try object(members)
    }

    package mutating func array<Failure>(
        _ name: StaticString, _ elements: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.name(name)
        try array(elements)
    }

    private mutating func begin(_ bracket: UInt8) {
        separate(reserving: 1)
        put(bracket)
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        reserve(1)
        put(bracket)
        needsComma = true
    }
}

// MARK: - Names

extension JSONWriter {
    /// Writes a member's name as it stands: it must hold nothing that JSON escapes.
    package mutating func name(_ name: StaticString) {
        let length = name.utf8CodeUnitCount
        separate(reserving: length + 3)
        put(UInt8(ascii: "\""))
        put(UnsafeBufferPointer(start: name.utf8Start, count: length))
        put(UInt8(ascii: "\""))
        put(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Writes a member's name, escaped.
    package mutating func name(dynamic name: String) {
        value(name)
        reserve(1)
        put(UInt8(ascii: ":"))
        needsComma = false
    }

    package mutating func member(_ name: StaticString, _ value: String) {
        self.name(name)
        self.value(value)
    }

    package mutating func member(_ name: StaticString, _ value: some FixedWidthInteger) {
        self.name(name)
        self.value(value)
    }

    package mutating func member(_ name: StaticString, _ value: Double) {
        self.name(name)
        self.value(value)
    }

    package mutating func member(_ name: StaticString, _ value: Bool) {
        self.name(name)
        self.value(value)
    }

    package mutating func member(_ name: StaticString, _ value: JSONValue) {
        self.name(name)
        self.value(value)
    }

    /// A member whose value is already JSON.
    package mutating func member(_ name: StaticString, raw bytes: some Sequence<UInt8>) {
        self.name(name)
        raw(bytes)
    }

    package mutating func nullMember(_ name: StaticString) {
        self.name(name)
        null()
    }

    /// Writes the member only where there is a value.
    package mutating func member(_ name: StaticString, ifPresent value: String?) {
        if let value { member(name, value) }
    }

    /// Writes the member only where there is a value.
    package mutating func member(_ name: StaticString, ifPresent value: (some FixedWidthInteger)?) {
        if let value { member(name, value) }
    }

    /// Writes the member only where there is a value.
    package mutating func member(_ name: StaticString, ifPresent value: Double?) {
        if let value { member(name, value) }
    }
}

// MARK: - Values

extension JSONWriter {
    package mutating func null() { literal("null") }

    package mutating func value(_ value: Bool) { literal(value ? "true" : "false") }

    package mutating func value(_ value: String) {
        var value = value
        value.withUTF8 { quote($0) }
    }

    package mutating func value(_ value: some FixedWidthInteger) {
        separate(reserving: 20)
        if let small = Int64(exactly: value) {
            if small < 0 { put(UInt8(ascii: "-")) }
            putDigits(small.magnitude)
        } else {
            put(utf8: value.description)
        }
    }

    /// Writes the shortest text that reads back as the same double. A whole number within ±2^53 is written without
    /// a fraction (`5`, and `0` for -0), and what is no number (NaN, infinity) as `null`, as JSON has none.
    package mutating func value(_ value: Double) {
        guard value.isFinite else { return null() }
        // Not `rounded` or `Int64(exactly:)`: they would make every program that links this module link libm.
        if value.magnitude <= 0x1p53, Double(Int64(value)) == value { return self.value(Int64(value)) }
        separate(reserving: 0)
        put(utf8: value.description)
    }

    /// Writes a parsed value with the bytes it had.
    package mutating func value(_ value: JSONValue) { raw(value.bytes) }

    /// Writes bytes that are one JSON value already.
    package mutating func raw(_ bytes: some Sequence<UInt8>) {
        let contiguous: Void? = bytes.withContiguousStorageIfAvailable { buffer in
            separate(reserving: buffer.count)
            put(buffer)
        }
        if contiguous == nil {
            separate(reserving: 0)
            for byte in bytes {
                reserve(1)
                put(byte)
            }
        }
        needsComma = true
    }
}

// MARK: - The buffer

extension JSONWriter {
    private mutating func literal(_ literal: StaticString) {
        separate(reserving: literal.utf8CodeUnitCount)
        put(UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Sets the comma before a name or a value, and notes that the next one wants one.
    @inline(__always)
    private mutating func separate(reserving length: Int) {
        reserve(length + 1)
        if needsComma { put(UInt8(ascii: ",")) }
        needsComma = true
    }

    @inline(__always)
    private mutating func reserve(_ length: Int) {
        if capacity - count < length { grow(by: length) }
    }

    @inline(never)
    private mutating func grow(by length: Int) {
        let wider = max(capacity * 2, count + length)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: wider)
        moved.initialize(from: base, count: count)
        base.deallocate()
        base = moved
        capacity = wider
    }

    /// Stores one byte for which there is room.
    @inline(__always)
    private mutating func put(_ byte: UInt8) {
        base[count] = byte
        count += 1
    }

    /// Stores bytes for which there is room.
    @inline(__always)
    private mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        (base + count).initialize(from: source, count: bytes.count)
        count += bytes.count
    }

    private mutating func put(utf8 text: String) {
        var text = text
        text.withUTF8 { utf8 in
            reserve(utf8.count)
            put(utf8)
        }
    }

    private mutating func putDigits(_ value: UInt64) {
        var length = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            length += 1
        }
        rest = value
        for position in stride(from: count + length - 1, through: count, by: -1) {
            base[position] = UInt8(truncatingIfNeeded: rest % 10) + UInt8(ascii: "0")
            rest /= 10
        }
        count += length
    }

    /// Writes a string in quotes. Runs that need no escape, mostly the whole string, are found eight bytes at a time
    /// and copied at once.
    private mutating func quote(_ text: UnsafeBufferPointer<UInt8>) {
        separate(reserving: text.count + 2)
        put(UInt8(ascii: "\""))
        var start = 0
        while true {
            let end = PlainRun.end(of: text, from: start)
            // Escapes before this run have eaten of what was reserved; 8 covers one more escape and the quote.
            reserve(end - start + 8)
            put(UnsafeBufferPointer(rebasing: text[start..<end]))
            if end == text.count { break }
            escape(text[end])
            start = end + 1
        }
        put(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        put(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): put(byte)
        case 0x08: put(UInt8(ascii: "b"))
        case 0x09: put(UInt8(ascii: "t"))
        case 0x0A: put(UInt8(ascii: "n"))
        case 0x0C: put(UInt8(ascii: "f"))
        case 0x0D: put(UInt8(ascii: "r"))
        default:
            for digit in ["u", "0", "0"] as [Unicode.Scalar] { put(UInt8(ascii: digit)) }
            put(UInt8(ascii: byte < 0x10 ? "0" : "1"))
            let low = byte & 15
            put(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        }
    }
}
