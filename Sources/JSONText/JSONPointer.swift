/// A JSON Pointer (RFC 6901): names one value inside a document.
package struct JSONPointer: Sendable, Hashable, CustomStringConvertible {
    /// The escaped text: "" for the whole document, else "/" before each token.
    package private(set) var description: String

    /// The pointer to the whole document.
    package static let root = JSONPointer()

    package init() {
        description = ""
    }

    /// Reads a pointer's text; `nil` when it neither is empty nor begins with "/", or has a "~" that is no `~0` or `~1`.
    package init?(_ text: String) {
        guard text.isEmpty || text.utf8.first == UInt8(ascii: "/") else { return nil }
        var afterTilde = false
        for byte in text.utf8 {
            if afterTilde, byte != UInt8(ascii: "0"), byte != UInt8(ascii: "1") { return nil }
            afterTilde = byte == UInt8(ascii: "~")
        }
        if afterTilde { return nil }
        description = text
    }

    package func appending(_ name: String) -> JSONPointer {
        var pointer = self
        pointer.description += "/" + Self.escape(name)
        return pointer
    }

    package func appending(_ index: Int) -> JSONPointer {
        var pointer = self
        pointer.description += "/\(index)"
        return pointer
    }

    /// The names and indices on the way, unescaped.
    package var tokens: [String] {
        description.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .dropFirst()
            .map { Self.unescape(Substring($0)) }
    }

    /// `~` becomes `~0` and `/` becomes `~1`.
    package static func escape(_ token: String) -> String {
        guard token.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else { return token }
        var bytes: [UInt8] = []
        for byte in token.utf8 {
            switch byte {
            case UInt8(ascii: "~"): bytes += [byte, UInt8(ascii: "0")]
            case UInt8(ascii: "/"): bytes += [UInt8(ascii: "~"), UInt8(ascii: "1")]
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func unescape(_ token: Substring) -> String {
        var bytes: [UInt8] = []
        var afterTilde = false
        for byte in token.utf8 {
            if afterTilde {
                bytes.append(byte == UInt8(ascii: "1") ? UInt8(ascii: "/") : UInt8(ascii: "~"))
                afterTilde = false
            } else if byte == UInt8(ascii: "~") {
                afterTilde = true
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
