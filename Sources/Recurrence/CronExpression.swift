/// A cron text that was understood.
///
/// Five fields (`minute hour day-of-month month day-of-week`) or six (a leading `second`), after the Open
/// Cron Pattern Specification; a nickname such as `@daily`; or `@every` with a duration.
package struct CronExpression: Hashable, Sendable {
    package enum Form: Hashable, Sendable {
        /// Fields, or a nickname for them.
        case pattern(CronPattern)
        /// `@every`: an interval of that many milliseconds, at least 100.
        case every(milliseconds: Int64)
    }

    /// The text it was parsed from.
    package let text: String

    package let form: Form

    /// The longest text that is accepted, in bytes.
    package static let maximumLength = 256

    /// The most list items that are accepted, in all fields together.
    package static let maximumItems = 64

    /// - Throws: an error that names the field, the byte, what was expected and what came; also
    ///   `neverMatches` for dates that no calendar has.
    package init(parsing text: String) throws(CronError) {
        let bytes = Array(text.utf8)
        guard bytes.count <= CronExpression.maximumLength else {
            throw CronError(
                code: .tooLong, field: nil, offset: CronExpression.maximumLength,
                expected: "at most \(CronExpression.maximumLength) bytes", found: "\(bytes.count)", suggestion: nil)
        }
        let words = CronWord.split(bytes)
        guard let first = words.first else {
            throw CronError(
                code: .empty, field: nil, offset: 0, expected: "five or six fields", found: "an empty text",
                suggestion: "0 * * * *")
        }
        self.text = text
        if first.bytes.first == UInt8(ascii: "@") {
            form = try CronNickname.form(of: words)
        } else {
            form = .pattern(try CronPattern(fields: words))
        }
    }
}

extension CronExpression: CustomStringConvertible {
    package var description: String { text }
}

/// A run of bytes between blanks, and where it begins in the expression.
struct CronWord {
    let bytes: ArraySlice<UInt8>

    var offset: Int { bytes.startIndex }
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Splits at spaces and tabs.
    static func split(_ bytes: [UInt8]) -> [CronWord] {
        bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map { CronWord(bytes: $0) }
    }
}
