/// The instants a cron expression names, as one bit mask a field: bit *n* stands for the value *n*.
///
/// A pattern knows wall-clock readings only, in seconds since the clock showed 1970-01-01T00:00:00;
/// zones and daylight saving are `ZonedPattern`'s. All masks of times and months have at least one bit, and
/// at least one date matches: the parser sees to both. Every search below ends because of the latter: a
/// pattern without years comes again within 40 of them (29 February on one weekday, over a century that is
/// no leap year), one with years jumps from one to the next.
package struct CronPattern: Hashable, Sendable {
    /// How the two day fields work together.
    enum DayRule: Hashable, Sendable {
        /// The day of the month decides; the weekday field is `*`.
        case monthDays
        /// The weekday decides; the day-of-month field is `*`.
        case weekdays
        /// Either may match: both fields are restricted.
        case either
        /// Both have to match: both fields are restricted, and the weekday begins with `+`.
        case both
    }

    var seconds: UInt64
    var minutes: UInt64
    var hours: UInt32
    /// Bits 1 to 31.
    var monthDays: UInt32
    /// `L` and `L-n`: bit 31 is the last day of a month, bit 31 − *n* the one *n* days before it.
    var lastDays: UInt32
    /// The one day of a `W`: 0 for none, 1 to 31, or ``lastWeekday`` for `LW`.
    var nearestWeekday: UInt8
    /// Bits 1 to 12.
    var months: UInt16
    /// Bits 0 (Sunday) to 6.
    var weekdays: UInt8
    /// `MON#2` and `FRI#L`: seven bits, from Sunday on, for each of the first to the fifth, then for the last.
    var nthWeekdays: UInt64
    var dayRule: DayRule
    /// The years that match, where ``hasYears``.
    var years = YearSet()
    /// Whether the years are restricted; they are not by `*`.
    var hasYears = false

    /// Whether the minute or the hour field begins with `*`, which decides what daylight saving does.
    package internal(set) var isWildcard: Bool

    static let lastWeekday: UInt8 = 32

    /// Whether `L`, `W` or `#` is in it: days that depend on the month's length and first weekday.
    @inline(__always)
    var hasModifiers: Bool { UInt64(lastDays) | UInt64(nearestWeekday) | nthWeekdays != 0 }
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

// MARK: - Wall-clock readings

extension CronPattern {
    /// Beyond every reading that can be asked for: two days after the year 9999.
    static let endOfReadings = Instant.latestSecond + 2 * CivilDate.secondsPerDay
    static let beginningOfReadings = Instant.earliestSecond - 2 * CivilDate.secondsPerDay

    /// No wall clock shows a year of the year field at an instant before this or after ``endOfYears``.
    static let beginningOfYears = -2 * CivilDate.secondsPerDay
    static let endOfYears =
        CivilDate(year: YearSet.range.upperBound + 1, month: 1, day: 3).daysSince1970 * CivilDate.secondsPerDay

    /// The first matching reading in `start..<end`.
    func next(from start: Int, before end: Int = endOfReadings) -> Int? {
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
            guard month.advance(in: self), month.firstDay * CivilDate.secondsPerDay < end else { return nil }
            days = month.days(of: self)
        }
        let found = (month.firstDay + days.lowestBit - 1) * CivilDate.secondsPerDay + firstTime
        return found < end ? found : nil
    }

    /// The last matching reading in `start...end`.
    func previous(from end: Int, notBefore start: Int = beginningOfReadings) -> Int? {
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
            guard month.firstDay * CivilDate.secondsPerDay > start, month.retreat(in: self) else { return nil }
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
            // The last day may lie in a month that is passed over: nothing of it matches.
            guard month.advance(in: self), month.firstDay <= lastDay else {
                return count + matchingDays * timesPerDay
            }
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
