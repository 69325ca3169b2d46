/// A subject that can be published on: checked once, ready for C.
///
/// libnats writes a subject into the protocol as it stands, so that a space or a line end in it would be a command of
/// its own. This type is the check: printable ASCII (0x21 to 0x7E), no empty token, no wildcard character, at most
/// ``maximumLength`` bytes. NATS itself admits any UTF-8; this module does not, because look-alike letters in an
/// allow-list help attackers only.
package struct Subject: Hashable, Sendable, CustomStringConvertible {
    /// A subject and a reply of this length fit the server's default control line of 4096 bytes together; a longer
    /// line would make the server close the connection.
    package static let maximumLength = 1000

    /// The bytes, ended by NUL.
    let cString: [CChar]

    /// - Throws: `.invalidSubject`.
    package init(_ text: String) throws(NATSError) {
        cString = try SubjectGrammar.checked(text, wildcards: false)
    }

    package var description: String { String(validating: cString.dropLast().map { UInt8(bitPattern: $0) }) }

    /// The length in bytes.
    package var length: Int { cString.count - 1 }

    func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count == length else { return false }
        return cString.withUnsafeBytes { $0.dropLast().elementsEqual(bytes) }
    }
}

/// A subject that can be subscribed to: as ``Subject``, but a whole token may be `*`, and the last one `>`.
package struct SubjectFilter: Hashable, Sendable, CustomStringConvertible {
    let cString: [CChar]

    /// - Throws: `.invalidSubject`.
    package init(_ text: String) throws(NATSError) {
        cString = try SubjectGrammar.checked(text, wildcards: true)
    }

    package var description: String { String(validating: cString.dropLast().map { UInt8(bitPattern: $0) }) }
}

enum SubjectGrammar {
    static func checked(_ text: String, wildcards: Bool) throws(NATSError) -> [CChar] {
        var bytes: [CChar] = []
        bytes.reserveCapacity(text.utf8.count + 1)
        var tokenLength = 0
        var wildcardInToken: UInt8?
        var ended = false
        for byte in text.utf8 {
            guard byte > 0x20, byte < 0x7F else { throw refused("has the byte \(byte), outside printable ASCII", text) }
            if ended { throw refused("has more after the token `>`", text) }
            if byte == UInt8(ascii: ".") {
                if tokenLength == 0 { throw refused("has an empty token", text) }
                ended = wildcardInToken == UInt8(ascii: ">")
                if ended { throw refused("has more after the token `>`", text) }
                tokenLength = 0
                wildcardInToken = nil
            } else {
                let isWildcard = byte == UInt8(ascii: "*") || byte == UInt8(ascii: ">")
                if isWildcard, !wildcards { throw refused("has a wildcard", text) }
                if wildcardInToken != nil || (isWildcard && tokenLength > 0) {
                    throw refused("has a wildcard inside a token", text)
                }
                if isWildcard { wildcardInToken = byte }
                tokenLength += 1
            }
            bytes.append(CChar(bitPattern: byte))
        }
        if tokenLength == 0 { throw refused(bytes.isEmpty ? "is empty" : "has an empty token", text) }
        if bytes.count > Subject.maximumLength { throw refused("has \(bytes.count) bytes", text) }
        bytes.append(0)
        return bytes
    }

    private static func refused(_ complaint: String, _ text: String) -> NATSError {
        NATSError(
            .invalidSubject,
            "A subject must be dot-separated tokens of printable ASCII, at most \(Subject.maximumLength) bytes; this one \(complaint).",
            context: printable(text))
    }

    /// What can go into an error or a log line: no control characters, bounded.
    static func printable(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars.prefix(80) {
            shown.append(scalar.value >= 0x20 && scalar.value < 0x7F ? String(scalar) : "?")
        }
        return shown
    }
}

extension String {
    /// Bytes from the wire: invalid UTF-8 is replaced, never trapped on.
    init(validating bytes: some Collection<UInt8>) {
        self = String(decoding: bytes, as: UTF8.self)
    }
}
