/// Why a text was refused as JSON, and where.
package struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case tooLarge
        case tooDeep
        case byteOrderMark
        case unexpectedEnd
        case unexpectedByte
        case trailingBytes
        case invalidNumber
        case invalidEscape
        case loneSurrogate
        case controlCharacter
        case invalidUTF8
        case duplicateName
    }

    package let code: Code
    /// What was expected and what came, without the place.
    package let message: String
    /// The offset of the first byte that is wrong, from 0.
    package let offset: Int
    /// The JSON Pointer of the value that was being read; "" is the document itself. It ends early
    /// before a name of over 256 bytes and beyond 1 KiB, so that a hostile text cannot make its error as large as itself.
    package let pointer: String

    package var description: String {
        let place = pointer.isEmpty ? "" : " in \(pointer)"
        return "\(message) at byte \(offset)\(place)"
    }
}

/// How much of a text the parser is willing to read.
package struct JSONLimits: Sendable, Equatable {
    /// The largest text that a document can index: its offsets and counts are 28 bits wide.
    package static let largestText = (1 << 28) - 1

    /// Containers inside one another; a scalar document has depth 0, `[]` has 1.
    package var maxDepth: Int
    /// The length of the whole text in bytes, at most `largestText`.
    package var maxBytes: Int

    package init(maxDepth: Int = 32, maxBytes: Int = 8 << 20) {
        self.maxDepth = maxDepth
        self.maxBytes = min(maxBytes, Self.largestText)
    }
}
