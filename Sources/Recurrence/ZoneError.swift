/// Why a time zone cannot be used.
package struct ZoneError: Error, Hashable, Sendable {
    package enum Code: String, Sendable {
        /// The text is no zone name: empty, too long, or with characters that no name has.
        case invalidName
        /// An abbreviation such as `EST`, which says neither a place nor its rules.
        case abbreviation
        /// No zone has this name.
        case unknownZone
        /// The system's data for a known zone is missing or cannot be read.
        case unavailable
        /// The data is no TZif file that follows RFC 9636.
        case malformedData
    }

    package let code: Code

    /// A sentence: what was expected, what came, and what to write instead where that is known.
    package let message: String

    /// The name as it was given.
    package let zone: String

    package init(_ code: Code, zone: String, message: String) {
        self.code = code
        self.zone = zone
        self.message = message
    }
}

extension ZoneError: CustomStringConvertible {
    package var description: String { message }
}
