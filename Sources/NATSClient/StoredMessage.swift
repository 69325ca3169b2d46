/// A message as a stream holds it.
package struct StoredMessage: Sendable, Equatable {
    package var subject: String
    package var sequence: UInt64
    package var payload: [UInt8]
    /// The header block as stored, `NATS/1.0` line included; empty without headers.
    package var headerBlock: [UInt8]
    /// RFC 3339, by the server's clock.
    package var time: String

    init(_ reply: [UInt8], context: String) throws(NATSError) {
        var subject: String?
        var sequence: UInt64?
        var data: [UInt8]? = []
        var block: [UInt8]? = []
        var time = ""
        let isObject = reply.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            return cursor.forEachMember { key, cursor in
                guard key.equals("message") else { return }
                cursor.forEachMember { key, cursor in
                    if key.equals("subject") {
                        subject = cursor.string()
                    } else if key.equals("seq") {
                        sequence = cursor.unsigned()
                    } else if key.equals("data") {
                        data = cursor.stringBytes().flatMap(Base64.decoded)
                    } else if key.equals("hdrs") {
                        block = cursor.stringBytes().flatMap(Base64.decoded)
                    } else if key.equals("time") {
                        time = cursor.string() ?? ""
                    }
                }
            }
        }
        guard isObject, let subject, let sequence, let data, let block else {
            throw .malformed("a stored message", context)
        }
        self.subject = subject
        self.sequence = sequence
        self.time = time
        payload = data
        headerBlock = block
    }

    /// The first value of a header, its name compared without regard to case.
    package func header(_ name: String) -> String? {
        let wanted = name.lowercasedASCII()
        for line in headerBlock.split(separator: 0x0A) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            guard String(validating: line[..<colon]).lowercasedASCII() == wanted else { continue }
            let value = line[(colon + 1)...].drop { $0 == 0x20 }
            return String(validating: value.last == 0x0D ? value.dropLast() : value)
        }
        return nil
    }
}

/// Standard base64 with padding, as Go's encoder writes it.
enum Base64 {
    static func decoded(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count.isMultiple(of: 4) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var group: UInt32 = 0
        for (place, byte) in text.enumerated() {
            let isPadding = byte == UInt8(ascii: "=")
            if isPadding, place < text.count - 2 { return nil }
            guard let value = isPadding ? 0 : Self.value(byte) else { return nil }
            group = group << 6 | UInt32(value)
            if place % 4 == 3 {
                for shift in [16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: group >> shift)) }
                group = 0
            }
        }
        bytes.removeLast(text.suffix(2).count { $0 == UInt8(ascii: "=") })
        return bytes
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
