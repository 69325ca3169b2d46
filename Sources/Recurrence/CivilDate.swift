/// A day of the proleptic Gregorian calendar.
///
/// Conversions follow the era arithmetic that counts years from 1 March, so that the leap day is
/// the last of its year and month lengths follow one linear formula (H. Hinnant, "chrono-compatible
/// low-level date algorithms"). Valid for any year that fits; no tables, no loops.
struct CivilDate: Hashable, Sendable {
    var year: Int
    /// 1 to 12.
    var month: Int
    /// 1 to 31.
    var day: Int

    init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// The date `days` days after 1970-01-01.
    init(daysSince1970 days: Int) {
        let shifted = days + CivilDate.daysFromMarchYear0
        let era = floorDivide(shifted, CivilDate.daysPerCycle)
        let dayOfEra = shifted - era * CivilDate.daysPerCycle
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days from 1970-01-01 to this date.
    var daysSince1970: Int {
        let marchYear = month <= 2 ? year - 1 : year
        let era = floorDivide(marchYear, 400)
        let yearOfEra = marchYear - era * 400
        let marchMonth = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * marchMonth + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * CivilDate.daysPerCycle + dayOfEra - CivilDate.daysFromMarchYear0
    }

    /// Days from 0000-03-01 to 1970-01-01.
    private static let daysFromMarchYear0 = 719_468

    /// The calendar repeats after 400 years, weekdays included: 146,097 days are 20,871 weeks.
    static let daysPerCycle = 146_097

    static let secondsPerDay = 86_400
}

extension CivilDate {
    static func isLeap(year: Int) -> Bool {
        year & 3 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    /// The number of days of a month, 28 to 31.
    static func length(ofMonth month: Int, year: Int) -> Int {
        if month == 2 { return isLeap(year: year) ? 29 : 28 }
        // 31 for January, March, May, July, August, October, December: odd up to July, even after it.
        return 30 | (month ^ (month >> 3))
    }

    /// The days of a year before a month: 0, 31, 59 or 60, ….
    static func daysBefore(month: Int, isLeap: Bool) -> Int {
        // As if February had 30 days, less what it lacks.
        (367 * month - 362) / 12 - (month > 2 ? (isLeap ? 1 : 2) : 0)
    }

    /// One of the 14 kinds of a year: its first weekday, and 7 more if it is leap.
    static func kind(ofYear year: Int) -> Int {
        let newYear = CivilDate(year: year, month: 1, day: 1).daysSince1970
        return weekday(daysSince1970: newYear) + (isLeap(year: year) ? 7 : 0)
    }

    /// The weekday of a day since 1970, 0 for Sunday to 6 for Saturday.
    static func weekday(daysSince1970 days: Int) -> Int {
        let shifted = (days + 4) % 7  // 1970-01-01 was a Thursday.
        return shifted < 0 ? shifted + 7 : shifted
    }
}
