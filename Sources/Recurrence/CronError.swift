/// Why a text is no cron expression, precisely enough to point at the place and to mend it.
package struct CronError: Error, Hashable, Sendable {
    package enum Code: String, Sendable {
        case empty
        /// Over 256 bytes.
        case tooLong
        /// Over 64 list items in all fields together.
        case tooManyItems
        /// Neither five, six nor seven fields.
        case fieldCount
        case syntax
        case outOfRange
        case reversedRange
        /// A step of 0, or one that stands on neither `*` nor a range.
        case step
        /// `L`, `W`, `#`, `H`, `?` or `+` where it has no meaning.
        case modifier
        /// `H` where no key was given to choose a value by.
        case hashKey
        /// Valid in other dialects.
        case unsupported
        case unknownNickname
        /// The duration after `@every`.
        case duration
        /// What follows `CRON_TZ=` or `TZ=`.
        case timezone
        /// No date ever matches, such as 30 February.
        case neverMatches
    }

    package let code: Code

    /// The field it happened in; nil where it concerns the whole expression.
    package let field: CronField?

    /// Bytes from the beginning of the expression.
    package let offset: Int

    /// What could have stood there.
    package let expected: String

    /// What did stand there.
    package let found: String

    /// A spelling that says what was probably meant.
    package let suggestion: String?
}

extension CronError: CustomStringConvertible {
    /// The sentence for the user, such as "The minute field (byte 0) expected a value from 0 to 59, but got `61`."
    package var description: String {
        let place = field.map { "The \($0.name) field" } ?? "The cron expression"
        let advice = suggestion.map { "; write `\($0)`" } ?? ""
        return "\(place) (byte \(offset)) expected \(expected), but got \(found)\(advice)."
    }
}
