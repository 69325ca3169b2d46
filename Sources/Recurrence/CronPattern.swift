/// The instants a cron expression names, as one bit mask a field: bit *n* stands for the value *n*.
///
/// A pattern knows wall-clock readings only, in seconds since the clock showed 1970-01-01T00:00:00;
/// zones and daylight saving are `ZonedPattern`'s. All masks have at least one bit, and at least one
/// date matches: the parser sees to both. Every search below ends because of the latter: a date that
/// exists comes again within eight years, the longest way between two 29 Februaries.
package struct CronPattern: Hashable, Sendable {
    /// How the two day fields work together.
    enum DayRule: Hashable, Sendable {
        /// The day of the month decides; the weekday field is `*`.
        case monthDays
        /// The weekday decides; the day-of-month field is `*`.
        case weekdays
        /// Either may match: both fields are restricted.
        case either
    }

    let seconds: UInt64
    let minutes: UInt64
    let hours: UInt32
    /// Bits 1 to 31.
    let monthDays: UInt32
    /// Bits 1 to 12.
    let months: UInt16
    /// Bits 0 (Sunday) to 6.
    let weekdays: UInt8
    let dayRule: DayRule

    /// Whether the minute or the hour field begins with `*`, which decides what daylight saving does.
    package let isWildcard: Bool
}

// MARK: - Times of a day

extension CronPattern {
    /// The first time of a matching day, in seconds after midnight.
    var firstTime: Int {
        hours.lowestBit * 3600 + minutes.lowestBit * 60 + seconds.lowestBit
    }

    /// The last time of a matching day, in seconds after midnight.
    var lastTime: Int {
        hours.highestBit * 3600 + minutes.highestBit * 60 + seconds.highestBit
    }

    /// How many times a matching day has.
    var timesPerDay: Int {
        hours.nonzeroBitCount * minutes.nonzeroBitCount * seconds.nonzeroBitCount
    }

    /// The first time at or after `time`; all in seconds after midnight.
    func nextTime(from time: Int) -> Int? {
        let hour = time / 3600
        let minute = time / 60 % 60
        if hours.hasBit(hour) {
            if minutes.hasBit(minute), let second = seconds.bit(atOrAfter: time % 60) {
                return time / 60 * 60 + second
            }
            if let minute = minutes.bit(atOrAfter: minute + 1) {
                return hour * 3600 + minute * 60 + seconds.lowestBit
            }
        }
        guard let hour = hours.bit(atOrAfter: hour + 1) else { return nil }
        return hour * 3600 + minutes.lowestBit * 60 + seconds.lowestBit
    }

    /// The last time at or before `time`; all in seconds after midnight.
    func previousTime(from time: Int) -> Int? {
        let hour = time / 3600
        let minute = time / 60 % 60
        if hours.hasBit(hour) {
            if minutes.hasBit(minute), let second = seconds.bit(before: time % 60 + 1) {
                return time / 60 * 60 + second
            }
            if let minute = minutes.bit(before: minute) {
                return hour * 3600 + minute * 60 + seconds.highestBit
            }
        }
        guard let hour = hours.bit(before: hour) else { return nil }
        return hour * 3600 + minutes.highestBit * 60 + seconds.highestBit
    }

    /// How many times lie before `time`, in seconds after midnight.
    func timeCount(before time: Int) -> Int {
        let hour = time / 3600
        let minute = time / 60 % 60
        let perMinute = seconds.nonzeroBitCount
        var count = hours.bitCount(before: hour) * minutes.nonzeroBitCount * perMinute
        if hours.hasBit(hour) {
            count += minutes.bitCount(before: minute) * perMinute
            if minutes.hasBit(minute) { count += seconds.bitCount(before: time % 60) }
        }
        return count
    }
}

// MARK: - Days of a month

extension CronPattern {
    /// The matching days of a month, bits 1 to 31. `firstDay` is its first day in days since 1970.
    @inline(__always)
    func days(ofMonth month: Int, year: Int, firstDay: Int) -> UInt32 {
        guard months.hasBit(month) else { return 0 }
        // Bits 1 to the month's length.
        let allDays = ~(~UInt32(1) << UInt32(truncatingIfNeeded: CivilDate.length(ofMonth: month, year: year))) & ~1
        switch dayRule {
        case .monthDays: return monthDays & allDays
        case .weekdays: return weekdayMask(firstDay: firstDay) & allDays
        case .either: return (monthDays | weekdayMask(firstDay: firstDay)) & allDays
        }
    }

    /// The weekday mask turned so that bit 1 stands for the month's first day, and repeated for five weeks.
    @inline(__always)
    private func weekdayMask(firstDay: Int) -> UInt32 {
        let first = UInt64(truncatingIfNeeded: CivilDate.weekday(daysSince1970: firstDay))
        let week = UInt64(weekdays)
        let turned = (week >> first | week << (7 - first)) & 0x7F
        // One bit for each of the five week starts 0, 7, 14, 21, 28.
        let repeated = turned &* 0x1020_4081
        return UInt32(truncatingIfNeeded: repeated << 1)
    }
}

// MARK: - Wall-clock readings

extension CronPattern {
    /// The first matching reading in `start..<end`.
    func next(from start: Int, before end: Int) -> Int? {
        guard start < end else { return nil }
        let day = floorDivide(start, CivilDate.secondsPerDay)
        var month = MonthCursor(containing: day)
        var days = month.days(of: self)
        let dayOfMonth = day - month.firstDay + 1
        if days.hasBit(dayOfMonth), let time = nextTime(from: start - day * CivilDate.secondsPerDay) {
            let found = day * CivilDate.secondsPerDay + time
            return found < end ? found : nil
        }
        days = days.bits(atOrAfter: dayOfMonth + 1)
        while days == 0 {
            month.advance()
            guard month.firstDay * CivilDate.secondsPerDay < end else { return nil }
            days = month.days(of: self)
        }
        let found = (month.firstDay + days.lowestBit - 1) * CivilDate.secondsPerDay + firstTime
        return found < end ? found : nil
    }

    /// The last matching reading in `start...end`.
    func previous(from end: Int, notBefore start: Int) -> Int? {
        guard start <= end else { return nil }
        let day = floorDivide(end, CivilDate.secondsPerDay)
        var month = MonthCursor(containing: day)
        var days = month.days(of: self)
        let dayOfMonth = day - month.firstDay + 1
        if days.hasBit(dayOfMonth), let time = previousTime(from: end - day * CivilDate.secondsPerDay) {
            let found = day * CivilDate.secondsPerDay + time
            return found >= start ? found : nil
        }
        days = days.bits(before: dayOfMonth)
        while days == 0 {
            guard month.firstDay * CivilDate.secondsPerDay > start else { return nil }
            month.retreat()
            days = month.days(of: self)
        }
        let found = (month.firstDay + days.highestBit - 1) * CivilDate.secondsPerDay + lastTime
        return found >= start ? found : nil
    }

    /// How many readings in `start..<end` match: matching days times the times of a day, less the parts of
    /// the first and the last day that lie outside.
    func count(from start: Int, before end: Int) -> Int {
        guard start < end else { return 0 }
        let firstDay = floorDivide(start, CivilDate.secondsPerDay)
        let lastDay = floorDivide(end, CivilDate.secondsPerDay)
        var month = MonthCursor(containing: firstDay)
        var days = month.days(of: self)
        var count = 0
        let firstDayOfMonth = firstDay - month.firstDay + 1
        if days.hasBit(firstDayOfMonth) {
            count -= timeCount(before: start - firstDay * CivilDate.secondsPerDay)
        }
        days = days.bits(atOrAfter: firstDayOfMonth)
        var matchingDays = 0
        while month.firstDay + month.length <= lastDay {
            matchingDays += days.nonzeroBitCount
            month.advance()
            days = month.days(of: self)
        }
        let lastDayOfMonth = lastDay - month.firstDay + 1
        matchingDays += days.bits(before: lastDayOfMonth).nonzeroBitCount
        if days.hasBit(lastDayOfMonth) {
            count += timeCount(before: end - lastDay * CivilDate.secondsPerDay)
        }
        return count + matchingDays * timesPerDay
    }
}

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

    func days(of pattern: CronPattern) -> UInt32 {
        pattern.days(ofMonth: month, year: year, firstDay: firstDay)
    }

    mutating func advance() {
        firstDay += length
        month += 1
        if month > 12 {
            month = 1
            year += 1
        }
    }

    mutating func retreat() {
        month -= 1
        if month < 1 {
            month = 12
            year -= 1
        }
        firstDay -= length
    }
}
