/// Why a name was refused: what was expected, in words.
package struct NameError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    /// The name is well formed, and nobody's to use.
    package let isReserved: Bool

    package init(_ description: String, isReserved: Bool = false) {
        self.description = description
        self.isReserved = isReserved
    }
}

/// The creator's identity: the subject token that NATS permissions pin. `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
package struct Namespace: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ text: String) throws(NameError) {
        guard isName(text, maximum: 64, inner: { $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }) else {
            throw NameError(
                "expected a namespace of 1 to 64 letters, digits, '_' or '-', that begins with a letter or digit")
        }
        description = text
    }

    /// Where the service keeps what belongs to no creator; no request can name it.
    package static let administration = Namespace(unchecked: "_system")

    private init(unchecked text: String) { description = text }

    package static func < (left: Namespace, right: Namespace) -> Bool { left.description < right.description }
}

/// A schedule's name, unique in its namespace. `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
package struct ScheduleName: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ text: String) throws(NameError) {
        let isInner: (UInt8) -> Bool = { byte in
            byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
        }
        guard isName(text, maximum: 128, inner: isInner) else {
            throw NameError(
                "expected a name of 1 to 128 letters, digits, '.', '_' or '-', that begins with a letter or digit")
        }
        description = text
    }
}

private func isName(_ text: String, maximum: Int, inner: (UInt8) -> Bool) -> Bool {
    let bytes = text.utf8
    guard let first = bytes.first, bytes.count <= maximum, isLetterOrDigit(first) else { return false }
    return bytes.dropFirst().allSatisfy { isLetterOrDigit($0) || inner($0) }
}

func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"):
        true
    default: false
    }
}

/// A subject that a command may be published on: literal tokens, none of NATS's own.
///
/// Refused whatever the allow-list says (contract.md §6): empty tokens, wildcards, subjects that begin with `$`,
/// `_INBOX`, anything but printable ASCII, more than 255 bytes. The scheduler's own subjects are refused by
/// ``TargetRules``, which knows the prefix.
package struct TargetSubject: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Stands in a definition whose target could not be read; such a definition is neither stored nor fired.
    package static let unread = TargetSubject(unchecked: "_")

    /// Stands in an `absence` that fires no command.
    package static let none = TargetSubject(unchecked: "-")

    private init(unchecked text: String) { description = text }

    package init(_ text: String) throws(NameError) {
        guard !text.isEmpty, text.utf8.count <= 255 else {
            throw NameError("expected a subject of 1 to 255 bytes, got \(text.utf8.count)")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw NameError("expected printable ASCII without spaces in a subject")
        }
        for token in text.split(separator: ".", omittingEmptySubsequences: false) {
            guard !token.isEmpty else { throw NameError("expected no empty token in the subject '\(text)'") }
            guard !token.contains("*"), !token.contains(">") else {
                throw NameError("expected a subject without wildcards, got '\(text)'")
            }
        }
        guard !text.hasPrefix("$") else {
            throw NameError("subjects that begin with '$' belong to NATS, got '\(text)'", isReserved: true)
        }
        guard text != "_INBOX", !text.hasPrefix("_INBOX.") else {
            throw NameError("'_INBOX' subjects are reply inboxes, got '\(text)'", isReserved: true)
        }
        description = text
    }
}

/// A subject with NATS wildcards: `*` stands for one token, a last `>` for one or more.
package struct SubjectPattern: Hashable, Sendable, CustomStringConvertible {
    package let description: String
    private let tokens: [Substring]

    package init(_ text: String) throws(NameError) {
        let tokens = text.split(separator: ".", omittingEmptySubsequences: false)
        for (index, token) in tokens.enumerated() {
            guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw NameError("expected tokens of printable ASCII between dots, got '\(text)'")
            }
            let isWildcard = token == "*" || (token == ">" && index == tokens.count - 1)
            guard isWildcard || !(token.contains("*") || token.contains(">")) else {
                throw NameError("expected '*' as a whole token or '>' as the last one, got '\(text)'")
            }
        }
        description = text
        self.tokens = tokens
    }

    /// Whether it has no wildcard: then it matches itself alone.
    package var isLiteral: Bool { !tokens.contains { $0 == "*" || $0 == ">" } }

    /// The same as a regular expression of PostgreSQL.
    package var regularExpression: String {
        let parts = tokens.map { token in
            switch token {
            case "*": "[^.]+"
            case ">": ".+"
            default: token.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0) : "\\\($0)" }.joined()
            }
        }
        return "^" + parts.joined(separator: "\\.") + "$"
    }

    package func matches(_ subject: String) -> Bool {
        var rest = subject.split(separator: ".", omittingEmptySubsequences: false)[...]
        for token in tokens {
            guard let next = rest.first else { return false }
            if token == ">" { return true }
            guard token == "*" || token == next else { return false }
            rest = rest.dropFirst()
        }
        return rest.isEmpty
    }
}
