// Which days of a month match.
extension CronPattern {
    /// The matching days of a month, bits 1 to 31. `firstDay` is its first day in days since 1970.
    @inline(__always)
    func days(ofMonth month: Int, year: Int, firstDay: Int) -> UInt32 {
        guard months.hasBit(month), !hasYears || years.contains(year) else { return 0 }
        return days(length: CivilDate.length(ofMonth: month, year: year), firstDay: firstDay)
    }

    /// The days that the two day fields choose of a month that has `length` days.
    @inline(__always)
    func days(length: Int, firstDay: Int) -> UInt32 {
        // Bits 1 to the month's length.
        let allDays = ~(~UInt32(1) << UInt32(truncatingIfNeeded: length)) & ~1
        switch dayRule {
        case .monthDays: return monthDayMask(length, firstDay) & allDays
        case .weekdays: return weekdayMask(length, firstDay) & allDays
        case .either: return (monthDayMask(length, firstDay) | weekdayMask(length, firstDay)) & allDays
        case .both: return monthDayMask(length, firstDay) & weekdayMask(length, firstDay) & allDays
        }
    }

    @inline(__always)
    private func monthDayMask(_ length: Int, _ firstDay: Int) -> UInt32 {
        hasModifiers ? monthDays | modifiedMonthDays(length, firstDay) : monthDays
    }

    /// The weekday mask turned so that bit 1 stands for the month's first day, and repeated for five weeks.
    @inline(__always)
    private func weekdayMask(_ length: Int, _ firstDay: Int) -> UInt32 {
        let first = CivilDate.weekday(daysSince1970: firstDay)
        // One bit for each of the five week starts 0, 7, 14, 21, 28.
        let repeated = turn(UInt64(weekdays), to: first) &* 0x1020_4081
        let weekly = UInt32(truncatingIfNeeded: repeated << 1)
        return nthWeekdays == 0 ? weekly : weekly | nthWeekdayMask(length, first)
    }

    /// Seven bits from Sunday on, turned so that bit 0 stands for `weekday`.
    @inline(__always)
    private func turn(_ week: UInt64, to weekday: Int) -> UInt64 {
        let by = UInt64(truncatingIfNeeded: weekday)
        return (week >> by | week << (7 - by)) & 0x7F
    }

    /// `L`, `L-n` and `W`. Bits beyond the month's days may be set.
    private func modifiedMonthDays(_ length: Int, _ firstDay: Int) -> UInt32 {
        var mask = lastDays >> UInt32(truncatingIfNeeded: 31 - length)
        guard nearestWeekday > 0 else { return mask }
        let day = nearestWeekday == CronPattern.lastWeekday ? length : Int(nearestWeekday)
        // A month without that day has none near it either.
        guard day <= length else { return mask }
        switch CivilDate.weekday(daysSince1970: firstDay + day - 1) {
        // Saturday and Sunday go to the neighbour that is a working day, but never out of the month.
        case 6: mask |= 1 << UInt32(day == 1 ? 3 : day - 1)
        case 0: mask |= 1 << UInt32(day == length ? day - 2 : day + 1)
        default: mask |= 1 << UInt32(day)
        }
        return mask
    }

    /// `MON#2` and `FRI#L`, of a month whose first day is `first`.
    private func nthWeekdayMask(_ length: Int, _ first: Int) -> UInt32 {
        var mask: UInt64 = 0
        for week in 0..<5 {
            mask |= turn(nthWeekdays >> UInt64(7 * week) & 0x7F, to: first) << UInt64(7 * week + 1)
        }
        // Of the last seven days each is the last of its weekday.
        let lastWeek = turn(nthWeekdays >> 35 & 0x7F, to: (first + length) % 7)
        mask |= lastWeek << UInt64(length - 6)
        return UInt32(truncatingIfNeeded: mask)
    }
}

// MARK: - Existence

extension CronPattern {
    /// Whether a date matches, were every year allowed: the 14 kinds of a year (its first weekday, leap or not) all
    /// occur among the 28 from 2000 on.
    var hasDates: Bool {
        (2000..<2028).contains { hasDates(inYear: $0) }
    }

    /// Whether a month of that year has a matching day.
    func hasDates(inYear year: Int) -> Bool {
        let newYear = CivilDate(year: year, month: 1, day: 1).daysSince1970
        var rest = months
        while rest != 0 {
            let month = rest.lowestBit
            rest &= rest - 1
            let length = CivilDate.length(ofMonth: month, year: year)
            let firstDay = newYear + CivilDate.daysBefore(month: month, isLeap: CivilDate.isLeap(year: year))
            if days(length: length, firstDay: firstDay) != 0 { return true }
        }
        return false
    }

    /// Whether a date matches in one of the years. A kind of year that was looked at is not looked at again.
    var hasDatesInYears: Bool {
        var seen: UInt16 = 0
        var year = years.first(atOrAfter: YearSet.range.lowerBound)
        while let candidate = year {
            let kind = CivilDate.kind(ofYear: candidate)
            if !seen.hasBit(kind) {
                if hasDates(inYear: candidate) { return true }
                seen |= 1 << UInt16(kind)
                if seen == 1 << 14 - 1 { return false }
            }
            year = years.first(atOrAfter: candidate + 1)
        }
        return false
    }
}
