/// The days on which a rule recurs, a year at a time: what its parts name, on each `INTERVAL`th of its periods.
struct RuleDays {
    private let frequency: RecurrenceRule.Frequency
    private let interval: Int
    private let weekStart: Int
    private let months: UInt16
    /// `BYWEEKNO` as bits: weeks numbered from the start of a year, and from its end.
    private let weeks: (fromStart: UInt64, fromEnd: UInt64)
    private let calendar: CalendarDays?
    /// Where rules shorter than a day step past whole days; nil where every day has a step.
    private let phase: DayPhase?
    private let start: CivilDate
    private let startDay: Int

    /// The parts that a rule leaves out are taken from its start, as RFC 5545 says.
    init(_ rule: RecurrenceRule, startDay: Int, phase: DayPhase?) {
        var rule = rule
        let start = CivilDate(daysSince1970: startDay)
        let weekday = RecurrenceRule.Weekday(ordinal: 0, day: CivilDate.weekday(daysSince1970: startDay))
        let namesNoDay = rule.weekdays.isEmpty && rule.monthDays.isEmpty && rule.yearDays.isEmpty
        switch rule.frequency {
        case .yearly where namesNoDay && !rule.weekNumbers.isEmpty, .weekly where namesNoDay:
            rule.weekdays = [weekday]
        case .yearly where namesNoDay:
            if rule.months == 0 { rule.months = 1 << UInt16(start.month) }
            rule.monthDays = [start.day]
        case .monthly where namesNoDay:
            rule.monthDays = [start.day]
        default: break
        }
        frequency = rule.frequency
        interval = rule.interval
        weekStart = rule.weekStart
        months = rule.months
        weeks = rule.weekNumbers.reduce(into: (0, 0)) { weeks, number in
            if number > 0 { weeks.0 |= 1 << UInt64(number) } else { weeks.1 |= 1 << UInt64(-number) }
        }
        calendar = CalendarDays.of(rule)
        self.phase = phase
        self.start = start
        self.startDay = startDay
    }

    /// Before `BYSETPOS` chooses, and regardless of where the rule begins and ends.
    func days(of year: CalendarYear) -> YearDays {
        guard frequency != .yearly || (year.year - start.year) % interval == 0 else { return YearDays() }
        var days = calendar?.days(of: year) ?? YearDays(0..<year.length)
        if months != 0 { days.formIntersection(self.days(of: year) { months.hasBit($0) }) }
        if weeks.fromStart | weeks.fromEnd != 0 { days.formIntersection(numberedWeeks(of: year)) }
        guard !days.isEmpty, interval > 1 else { return days }
        switch frequency {
        case .yearly: break
        case .monthly:
            let first = year.year * 12 - (start.year * 12 + start.month)
            days.formIntersection(self.days(of: year) { (first + $0) % interval == 0 })
        case .weekly: days.formIntersection(steps(of: year, from: weekBegin(startDay), by: 7))
        case .daily: days.formIntersection(steps(of: year, from: startDay, by: 1))
        case .hourly, .minutely, .secondly:
            if let phase { days.formIntersection(phase.days(of: year)) }
        }
        return days
    }

    /// The period that `BYSETPOS` counts in, as days since 1970.
    func period(holding day: Int) -> Range<Int> {
        switch frequency {
        case .weekly:
            let begin = weekBegin(day)
            return begin..<(begin + 7)
        case .monthly:
            let date = CivilDate(daysSince1970: day)
            let begin = day - date.day + 1
            return begin..<(begin + CivilDate.length(ofMonth: date.month, year: date.year))
        case .yearly:
            let year = CalendarYear(holding: day)
            return year.firstDay..<year.endDay
        default: return day..<(day + 1)
        }
    }

    private func weekBegin(_ day: Int) -> Int {
        day - (CivilDate.weekday(daysSince1970: day) - weekStart + 7) % 7
    }

    private func days(of year: CalendarYear, inMonths isIn: (Int) -> Bool) -> YearDays {
        var days = YearDays()
        for month in 1...12 where isIn(month) { days.insert(year.days(ofMonth: month)) }
        return days
    }

    /// Every `interval`th run of `length` days, counted from one that begins on a day.
    private func steps(of year: CalendarYear, from first: Int, by length: Int) -> YearDays {
        var days = YearDays()
        let stride = interval * length
        // The run that the year begins in may have begun before it.
        var begin = first + floorDivide(year.firstDay - first, stride) * stride
        while begin < year.endDay {
            days.insert(max(begin - year.firstDay, 0)..<max(min(begin + length, year.endDay) - year.firstDay, 0))
            begin += stride
        }
        return days
    }

    /// The weeks that `BYWEEKNO` names. A week belongs to the year that has four days of it or more; the days that it
    /// has in the neighbouring year recur with that year.
    private func numberedWeeks(of year: CalendarYear) -> YearDays {
        var days = YearDays()
        for owner in (year.year - 1)...(year.year + 1) {
            let first = firstWeek(of: owner)
            let count = (firstWeek(of: owner + 1) - first) / 7
            // Of the years beside it one week at most reaches into this one.
            let reaching = owner == year.year ? 0..<count : owner < year.year ? (count - 1)..<count : 0..<1
            for index in reaching where weeks.fromStart.hasBit(index + 1) || weeks.fromEnd.hasBit(count - index) {
                let begin = first + index * 7 - year.firstDay
                guard begin < year.length, begin + 7 > 0 else { continue }
                days.insert(max(begin, 0)..<min(begin + 7, year.length))
            }
        }
        return days
    }

    /// The first day of week 1, the one that 4 January lies in.
    private func firstWeek(of year: Int) -> Int {
        weekBegin(CivilDate(year: year, month: 1, day: 4).daysSince1970)
    }
}

/// On which days a step that does not divide the day falls upon an allowed time: the same ones after `residues.count`
/// days.
struct DayPhase {
    let residues: [Bool]

    func days(of year: CalendarYear) -> YearDays {
        var days = YearDays()
        var residue = year.firstDay % residues.count
        if residue < 0 { residue += residues.count }
        for day in 0..<year.length {
            if residues[residue] { days.insert(day) }
            residue = residue + 1 == residues.count ? 0 : residue + 1
        }
        return days
    }
}
