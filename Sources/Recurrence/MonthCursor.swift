/// A month on the calendar, with its first day in days since 1970.
struct MonthCursor {
    private(set) var year: Int
    private(set) var month: Int
    private(set) var firstDay: Int

    init(containing day: Int) {
        let date = CivilDate(daysSince1970: day)
        year = date.year
        month = date.month
        firstDay = day - date.day + 1
    }

    var length: Int { CivilDate.length(ofMonth: month, year: year) }

    @inline(__always)
    func days(of pattern: CronPattern) -> UInt32 {
        pattern.days(ofMonth: month, year: year, firstDay: firstDay)
    }

    /// Moves on to the next month that the pattern's months and years allow; false if there is none.
    mutating func advance(in pattern: CronPattern) -> Bool {
        let isLeap = CivilDate.isLeap(year: year)
        let newYear = firstDay - CivilDate.daysBefore(month: month, isLeap: isLeap)
        if let next = pattern.months.bit(atOrAfter: month + 1), !pattern.hasYears || pattern.years.contains(year) {
            month = next
            firstDay = newYear + CivilDate.daysBefore(month: next, isLeap: isLeap)
            return true
        }
        month = pattern.months.lowestBit
        guard pattern.hasYears else {
            year += 1
            let start = newYear + (isLeap ? 366 : 365)
            firstDay = start + CivilDate.daysBefore(month: month, isLeap: CivilDate.isLeap(year: year))
            return true
        }
        guard let next = pattern.years.first(atOrAfter: year + 1) else { return false }
        year = next
        firstDay = CivilDate(year: next, month: month, day: 1).daysSince1970
        return true
    }

    /// Moves back to the last month before that the pattern's months and years allow; false if there is none.
    mutating func retreat(in pattern: CronPattern) -> Bool {
        let isLeap = CivilDate.isLeap(year: year)
        let newYear = firstDay - CivilDate.daysBefore(month: month, isLeap: isLeap)
        if let last = pattern.months.bit(before: month), !pattern.hasYears || pattern.years.contains(year) {
            month = last
            firstDay = newYear + CivilDate.daysBefore(month: last, isLeap: isLeap)
            return true
        }
        month = pattern.months.highestBit
        guard pattern.hasYears else {
            year -= 1
            let isLeap = CivilDate.isLeap(year: year)
            firstDay = newYear - (isLeap ? 366 : 365) + CivilDate.daysBefore(month: month, isLeap: isLeap)
            return true
        }
        guard let last = pattern.years.last(atOrBefore: year - 1) else { return false }
        year = last
        firstDay = CivilDate(year: last, month: month, day: 1).daysSince1970
        return true
    }
}
