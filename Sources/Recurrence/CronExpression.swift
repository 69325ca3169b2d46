/// A cron text that was understood.
///
/// Five fields (`minute hour day-of-month month day-of-week`), six (a leading `second`) or seven (a trailing `year`),
/// after the Open Cron Pattern Specification 1.4, and `H`; a nickname such as `@daily`; or `@every` with a duration. In
/// front of any of them `CRON_TZ=` or `TZ=` with a time zone.
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

    /// What `CRON_TZ=` or `TZ=` in front says; whether that zone exists is for the zones' data to say.
    package let timezone: String?

    /// Whether `H` is in it: then it means something else with each key.
    package let usesHash: Bool

    /// The longest text that is accepted, in bytes.
    package static let maximumLength = 256

    /// The most list items that are accepted, in all fields together.
    package static let maximumItems = 64

    /// - Parameter hash: the number that `H` chooses by; nil where `H` is to be refused.
    /// - Throws: an error that names the field, the byte, what was expected and what came; also
    ///   `neverMatches` for dates that no calendar has.
    package init(parsing text: String, hash: UInt64? = nil) throws(CronError) {
        // Before anything is copied: a text of megabytes costs no more than its length.
        guard text.utf8.count <= CronExpression.maximumLength else {
            throw CronError(
                code: .tooLong, field: nil, offset: CronExpression.maximumLength,
                expected: "at most \(CronExpression.maximumLength) bytes", found: "\(text.utf8.count)", suggestion: nil)
        }
        let bytes = Array(text.utf8)
        var words = CronWord.split(bytes)
        timezone = try CronExpression.takeZone(&words)
        guard let first = words.first else {
            throw CronError(
                code: .empty, field: nil, offset: timezone == nil ? 0 : bytes.count, expected: "five to seven fields",
                found: timezone == nil ? "an empty text" : "nothing after the time zone",
                suggestion: timezone == nil ? "0 * * * *" : nil)
        }
        self.text = text
        if first.bytes.first == UInt8(ascii: "@") {
            form = try CronNickname.form(of: words)
            usesHash = false
        } else {
            let parsed = try CronPattern.parse(words, hash: hash)
            form = .pattern(parsed.pattern)
            usesHash = parsed.usesHash
        }
    }

    /// What `CRON_TZ=Zone` or `TZ=Zone` in front of a text says, and the zone's place in bytes; nil without one.
    /// Nothing else of the text is looked at.
    package static func zonePrefix(of text: String) -> (name: String, offset: Int)? {
        guard let zone = CronWord.split(Array(text.utf8)).first?.zone, !zone.isEmpty else { return nil }
        return (String(decoding: zone, as: UTF8.self), zone.startIndex)
    }

    /// Takes `CRON_TZ=Zone` or `TZ=Zone` from the front.
    private static func takeZone(_ words: inout [CronWord]) throws(CronError) -> String? {
        guard let zone = words.first?.zone else { return nil }
        words.removeFirst()
        guard !zone.isEmpty else {
            throw CronError(
                code: .timezone, field: nil, offset: zone.startIndex, expected: "a time zone such as Europe/Berlin",
                found: "nothing after the `=`", suggestion: nil)
        }
        return String(decoding: zone, as: UTF8.self)
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

    /// What follows `CRON_TZ=` or `TZ=`.
    var zone: ArraySlice<UInt8>? {
        guard let sign = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let name = bytes[..<sign]
        return name.elementsEqual("CRON_TZ".utf8) || name.elementsEqual("TZ".utf8) ? bytes[(sign + 1)...] : nil
    }

    /// Splits at spaces and tabs.
    static func split(_ bytes: [UInt8]) -> [CronWord] {
        bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map { CronWord(bytes: $0) }
    }
}
