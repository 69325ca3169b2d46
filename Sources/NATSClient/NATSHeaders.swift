/// A header's name, checked once.
///
/// The grammar is HTTP's `token` without the characters that mean nothing in NATS: `[A-Za-z][A-Za-z0-9_-]*`, at most
/// 128 bytes.
package struct HeaderName: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    let bytes: [UInt8]
    /// Names the server acts upon. They stand before all others, see ``NATSHeaders``.
    let isControl: Bool

    /// - Throws: `.invalidHeader`.
    package init(_ text: String) throws(NATSError) {
        guard let name = HeaderName(checking: text) else {
            throw NATSError(
                .invalidHeader, "A header name must match [A-Za-z][A-Za-z0-9_-]{0,127}; this one does not.",
                context: SubjectGrammar.printable(text))
        }
        self = name
    }

    /// For names in the source code. A literal that is no name is a fault of the program and stops it.
    package init(stringLiteral text: StaticString) {
        let checked = text.withUTF8Buffer { HeaderName(checking: String(validating: $0)) }
        precondition(checked != nil, "not a header name: \(text)")
        self = checked ?? HeaderName(unchecked: [])
    }

    private init?(checking text: String) {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, Self.isLetter(first), bytes.count <= 128 else { return nil }
        for byte in bytes {
            let isOther = (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            guard isOther || Self.isLetter(byte) else { return nil }
        }
        self.init(unchecked: bytes)
    }

    private init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
        isControl = bytes.count >= 5 && zip(bytes, "nats-".utf8).allSatisfy { $0 | 0x20 == $1 }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    package var description: String { String(validating: bytes) }
}

extension HeaderName {
    package static let messageID: HeaderName = "Nats-Msg-Id"
    package static let expectedStream: HeaderName = "Nats-Expected-Stream"
    package static let expectedLastSubjectSequence: HeaderName = "Nats-Expected-Last-Subject-Sequence"
    package static let keyValueOperation: HeaderName = "KV-Operation"
    package static let contentType: HeaderName = "Content-Type"
}

/// The headers of an outgoing message, in the order they are appended, encoded while they are built.
///
/// Order matters: servers up to 2.11.10 look for `Nats-Msg-Id` with a plain text search and give up at the first match
/// that is not a whole name, so that a header `X-Nats-Msg-Id` in front of the real one switches de-duplication off.
/// libnats itself sends headers in the order of its hash table. So this type keeps the order, and demands that names
/// that begin with `Nats-` come first.
///
/// The storage is what libnats is given: all header lines as one "name" up to the last header's value,
///
///     Name: value CR LF Name: value CR LF Name NUL SP value NUL
///     ^ passed as the name                         ^ passed as the value
///
/// libnats writes a name as it stands, so that the lines go out unchanged and in one piece: one allocation in libnats
/// for all headers in place of four for each. That is why every name and value is checked here, and nowhere else.
package struct NATSHeaders: Sendable, Equatable, CustomStringConvertible {
    package static let none = NATSHeaders()

    private(set) var storage: [CChar] = []
    /// The place of the NUL after the last name.
    private(set) var lastNameEnd = 0
    private var hasOrdinary = false

    package init() {}

    /// - Parameter capacity: the bytes all lines will need, to allocate once.
    package init(reservingCapacity capacity: Int) {
        storage.reserveCapacity(capacity)
    }

    package var isEmpty: Bool { storage.isEmpty }

    /// The bytes these headers add to a message, as the server counts them.
    package var encodedLength: Int { storage.isEmpty ? 0 : 10 + storage.count + 3 }

    /// Appends one header line.
    /// - Throws: `.invalidHeader` when the value has a CR, LF or NUL, or when a `Nats-` name comes after others.
    package mutating func append(_ name: HeaderName, _ value: String) throws(NATSError) {
        var value = value
        let accepted = value.withUTF8 { appendChecked(name, UnsafeRawBufferPointer($0)) }
        if !accepted { throw Self.refusedValue(name) }
    }

    /// Appends one header line whose value is given as UTF-8.
    package mutating func append(_ name: HeaderName, utf8 value: UnsafeRawBufferPointer) throws(NATSError) {
        if !appendChecked(name, value) { throw Self.refusedValue(name) }
    }

    private mutating func appendChecked(_ name: HeaderName, _ value: UnsafeRawBufferPointer) -> Bool {
        for byte in value where byte == 0x0D || byte == 0x0A || byte == 0 { return false }
        if name.isControl {
            if hasOrdinary { return false }
        } else {
            hasOrdinary = true
        }
        if !storage.isEmpty {
            storage[lastNameEnd] = CChar(bitPattern: UInt8(ascii: ":"))
            storage[storage.count - 1] = 0x0D
            storage.append(0x0A)
        }
        name.bytes.withUnsafeBytes { storage.append(contentsOf: $0.assumingMemoryBound(to: CChar.self)) }
        lastNameEnd = storage.count
        storage.append(0)
        storage.append(0x20)
        storage.append(contentsOf: value.assumingMemoryBound(to: CChar.self))
        storage.append(0)
        return true
    }

    private static func refusedValue(_ name: HeaderName) -> NATSError {
        NATSError(
            .invalidHeader,
            "A header value must have no CR, LF or NUL, and Nats- headers must come before all others.",
            context: name.description)
    }

    package var description: String {
        String(validating: storage.map { $0 == 0 ? UInt8(ascii: ":") : UInt8(bitPattern: $0) }.dropLast())
    }
}
