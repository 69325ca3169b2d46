/// A recurrence that was understood: one `RRULE` of RFC 5545 and, on lines of their own, `EXDATE` and `RDATE`.
///
/// It says nothing yet of when it begins and in which zone: that is `start_at` and `timezone` of a schedule, which
/// stand in for `DTSTART`. A bare `FREQ=…` is the value of an `RRULE`.
package struct RecurrenceRule: Hashable, Sendable {
    enum Frequency: String, CaseIterable, Sendable {
        case secondly = "SECONDLY"
        case minutely = "MINUTELY"
        case hourly = "HOURLY"
        case daily = "DAILY"
        case weekly = "WEEKLY"
        case monthly = "MONTHLY"
        case yearly = "YEARLY"

        var isShorterThanDay: Bool { self == .secondly || self == .minutely || self == .hourly }
    }

    /// `MO`, or `-1FR`: the last Friday of a month or year.
    struct Weekday: Hashable, Sendable {
        /// 0 for every one.
        let ordinal: Int
        /// 0 for Sunday to 6 for Saturday.
        let day: Int
    }

    /// What `EXDATE` and `RDATE` list, ascending, each once.
    struct Dates: Hashable, Sendable {
        /// Readings of the wall clock, in seconds since it showed 1970-01-01T00:00:00.
        var readings: [Int] = []
        /// Instants (`…Z`), in seconds since 1970.
        var instants: [Int] = []

        var count: Int { readings.count + instants.count }
    }

    /// The text it was parsed from.
    package let text: String

    var frequency = Frequency.daily
    /// 1 to 32,767.
    var interval = 1
    var count: Int?
    /// In seconds since 1970; the last instant that may be an occurrence.
    var until: Int?
    /// 0 for Sunday to 6 for Saturday.
    var weekStart = 1
    /// Bits 1 to 12; 0 where the part is absent, as in the lists below.
    var months: UInt16 = 0
    var weekNumbers: [Int] = []
    var yearDays: [Int] = []
    var monthDays: [Int] = []
    var weekdays: [Weekday] = []
    var hours: UInt32 = 0
    var minutes: UInt64 = 0
    var seconds: UInt64 = 0
    var positions: [Int] = []
    var excluded = Dates()
    var added = Dates()

    /// The longest text that is accepted, in bytes.
    package static let maximumLength = 4096

    /// The most dates that `EXDATE` and `RDATE` may list together.
    package static let maximumDates = 200

    /// The greatest `COUNT`: so many occurrences are counted off when a schedule is made ready.
    package static let maximumCount = 10_000

    /// The greatest `INTERVAL`.
    package static let maximumInterval = 32_767

    /// - Throws: an error that names the part, the byte, what was expected and what came.
    package init(parsing text: String) throws(RuleError) {
        self.init(text: text)
        var parser = RuleParser(rule: self)
        try parser.read(Array(text.utf8))
        self = parser.rule
    }

    private init(text: String) { self.text = text }
}

extension RecurrenceRule: CustomStringConvertible {
    package var description: String { text }
}
