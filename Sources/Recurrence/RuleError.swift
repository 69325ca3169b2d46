/// Why a text is no recurrence rule, precisely enough to point at the place and to mend it.
package struct RuleError: Error, Hashable, Sendable {
    package enum Code: String, Sendable {
        case empty
        /// Over ``RecurrenceRule/maximumLength`` bytes, or more dates than ``RecurrenceRule/maximumDates``.
        case tooLong
        case syntax
        case outOfRange
        /// A part, or a line, that stands there twice.
        case repeated
        /// Part of iCalendar, or of other programs, and not of this one.
        case unsupported
        /// Parts that mean nothing together.
        case conflict
        /// A required part that is not there.
        case missing
        /// No date ever matches, such as 30 February.
        case neverMatches
    }

    package let code: Code

    /// The line or part it happened in, such as `BYDAY`; nil where it concerns the whole text.
    package let part: String?

    /// Bytes from the beginning of the text.
    package let offset: Int

    /// What could have stood there.
    package let expected: String

    /// What did stand there.
    package let found: String

    init(_ code: Code, _ part: String?, at offset: Int, expected: String, found: String) {
        self.code = code
        self.part = part
        self.offset = offset
        self.expected = expected
        self.found = found
    }
}

extension RuleError: CustomStringConvertible {
    /// The sentence for the user, such as "BYHOUR (byte 18) expected a number from 0 to 23, but got `24`."
    package var description: String {
        "\(part ?? "The recurrence rule") (byte \(offset)) expected \(expected), but got \(found)."
    }
}
