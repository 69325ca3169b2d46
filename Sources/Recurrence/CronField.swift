/// The fields of a cron expression, in the order in which they are written.
package enum CronField: Int, CaseIterable, Hashable, Sendable {
    case second
    case minute
    case hour
    case dayOfMonth
    case month
    case dayOfWeek
    case year
}

extension CronField {
    /// The name used in error sentences.
    package var name: String {
        switch self {
        case .second: "second"
        case .minute: "minute"
        case .hour: "hour"
        case .dayOfMonth: "day-of-month"
        case .month: "month"
        case .dayOfWeek: "day-of-week"
        case .year: "year"
        }
    }

    /// The numbers that may be written; both 0 and 7 are Sunday.
    var values: ClosedRange<Int> {
        switch self {
        case .second, .minute: 0...59
        case .hour: 0...23
        case .dayOfMonth: 1...31
        case .month: 1...12
        case .dayOfWeek: 0...7
        case .year: YearSet.range
        }
    }

    /// The numbers that `*` stands for.
    var everything: ClosedRange<Int> {
        self == .dayOfWeek ? 0...6 : values
    }

    /// The numbers that `H` chooses from: days that every month has.
    var hashed: ClosedRange<Int> {
        self == .dayOfMonth ? 1...28 : everything
    }

    private static let monthNames = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ]
    private static let weekdayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

    /// Names for the numbers from `values.lowerBound` on, each of three letters.
    var valueNames: [String] {
        switch self {
        case .month: CronField.monthNames
        case .dayOfWeek: CronField.weekdayNames
        default: []
        }
    }

    /// The names as one number each, to be found without a text.
    var nameKeys: [UInt32] { self == .month ? CronField.monthKeys : CronField.weekdayKeys }

    private static let monthKeys = monthNames.map { nameKey($0.utf8) }
    private static let weekdayKeys = weekdayNames.map { nameKey($0.utf8) }

    /// Three letters, in any case.
    @inline(__always)
    static func nameKey(_ letters: some Sequence<UInt8>) -> UInt32 {
        letters.reduce(0) { $0 << 8 | UInt32($1 & ~0x20) }
    }

    /// "a value from 0 to 59", for error sentences.
    var expectation: String {
        let names = valueNames
        let named = names.isEmpty ? "" : " or \(names[0]) to \(names[names.count - 1])"
        return "a value from \(values.lowerBound) to \(values.upperBound)\(named)"
    }
}
