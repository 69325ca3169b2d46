/// A rule with its start: the readings of a wall clock at which it recurs, in seconds since that clock showed
/// 1970-01-01T00:00:00. Knows no zone.
///
/// The approach: days first, times second. Each year's days are a set of bits (``RuleDays``), a day's times are
/// arithmetic (``RuleTimes``), so a search is a few bit operations in the year that it begins in, and an empty year
/// costs as much as a full one. Nothing is walked from the start: `COUNT` is turned into a last reading once, and an
/// interval is a remainder. The bound on steps is the number of years to 9999.
struct RulePattern {
    /// Whether it recurs within days, and so follows elapsed time where clocks are moved.
    let isWildcard: Bool
    private let days: RuleDays
    private let times: RuleTimes
    /// With `BYSETPOS` on weeks, months or years, which are searched by whole periods.
    private let periods: RulePeriods?
    /// The first reading that may match.
    private let start: Int
    /// The last one, where `COUNT` ends it.
    private var end = RulePattern.endOfReadings
    private let excluded: [Int]
    private let added: [Int]

    /// The last second of the year 9999.
    static let endOfReadings = Instant.latestSecond

    /// - Parameters:
    ///   - start: `DTSTART`. What the rule leaves out is taken from it, and intervals are counted from it.
    ///   - includesStart: whether a rule that matches its start recurs there, and counts it.
    /// - Throws: `neverMatches`.
    init(_ rule: RecurrenceRule, start: Int, includesStart: Bool) throws(RuleError) {
        isWildcard = rule.frequency.isShorterThanDay
        times = RuleTimes(rule, start: start)
        var phase: DayPhase?
        if case .stepped(let steps) = times { phase = steps.phase }
        days = RuleDays(rule, startDay: floorDivide(start, CivilDate.secondsPerDay), phase: phase)
        periods = RulePeriods(rule, days: days, times: times)
        self.start = includesStart ? start : start + 1
        excluded = rule.excluded.readings
        added = rule.added.readings.filter { $0 >= start }
        guard !times.isEmpty, ruleNext(from: self.start, before: end + 1) != nil else {
            throw RuleError(
                .neverMatches, nil, at: 0, expected: "a rule that recurs at least once",
                found: "one that never does up to the year 9999")
        }
        if let count = rule.count { end = reading(number: count) ?? end }
    }
}

extension RulePattern {
    /// The first matching reading in `start..<end`.
    func next(from start: Int, before end: Int) -> Int? {
        var start = start
        // Each turn but the last meets an excluded reading.
        for _ in 0...excluded.count {
            let byRule = ruleNext(from: start, before: end)
            let byDate = added.first { $0 >= start && $0 < end }
            guard let found = [byRule, byDate].compactMap(\.self).min() else { return nil }
            if !excluded.contains(found) { return found }
            start = found + 1
        }
        return nil
    }

    /// The last matching reading in `start...end`.
    func previous(from end: Int, notBefore start: Int) -> Int? {
        var end = end
        for _ in 0...excluded.count {
            let byRule = ruleLast(through: end, notBefore: start)
            let byDate = added.last { $0 >= start && $0 <= end }
            guard let found = [byRule, byDate].compactMap(\.self).max() else { return nil }
            if !excluded.contains(found) { return found }
            end = found - 1
        }
        return nil
    }

    /// How many readings in `start..<end` match.
    func count(from start: Int, before end: Int) -> Int {
        guard start < end else { return 0 }
        func isOfRule(_ reading: Int) -> Bool { ruleNext(from: reading, before: reading + 1) != nil }
        let range = start..<end
        let more = added.count { range.contains($0) && !excluded.contains($0) && !isOfRule($0) }
        let fewer = excluded.count { range.contains($0) && isOfRule($0) }
        return ruleCount(from: start, before: end) + more - fewer
    }
}

// MARK: - The rule alone

extension RulePattern {
    private func ruleNext(from first: Int, before bound: Int) -> Int? {
        let first = max(first, start)
        let bound = min(bound, end + 1)
        guard first < bound else { return nil }
        if let periods { return periods.next(from: first, before: bound) }
        var day = floorDivide(first, CivilDate.secondsPerDay)
        var time = first - day * CivilDate.secondsPerDay
        let lastDay = floorDivide(bound - 1, CivilDate.secondsPerDay)
        while day <= lastDay {
            let year = CalendarYear(holding: day)
            let days = self.days.days(of: year)
            var candidate = days.first(from: day - year.firstDay)
            while let found = candidate {
                let foundDay = year.firstDay + found
                if let time = times.first(day: foundDay, from: foundDay == day ? time : 0) {
                    let reading = foundDay * CivilDate.secondsPerDay + time
                    return reading < bound ? reading : nil
                }
                candidate = days.first(from: found + 1)
            }
            day = year.endDay
            time = 0
        }
        return nil
    }

    private func ruleLast(through last: Int, notBefore bound: Int) -> Int? {
        let last = min(last, end)
        let bound = max(bound, start)
        guard last >= bound else { return nil }
        if let periods { return periods.previous(from: last, notBefore: bound) }
        var day = floorDivide(last, CivilDate.secondsPerDay)
        var time = last - day * CivilDate.secondsPerDay
        let firstDay = floorDivide(bound, CivilDate.secondsPerDay)
        while day >= firstDay {
            let year = CalendarYear(holding: day)
            let days = self.days.days(of: year)
            var candidate = days.last(through: day - year.firstDay)
            while let found = candidate {
                let foundDay = year.firstDay + found
                if let time = times.last(day: foundDay, through: foundDay == day ? time : CivilDate.secondsPerDay - 1) {
                    let reading = foundDay * CivilDate.secondsPerDay + time
                    return reading >= bound ? reading : nil
                }
                candidate = days.last(through: found - 1)
            }
            day = year.firstDay - 1
            time = CivilDate.secondsPerDay - 1
        }
        return nil
    }

    private func ruleCount(from first: Int, before bound: Int) -> Int {
        let first = max(first, start)
        let bound = min(bound, end + 1)
        guard first < bound else { return 0 }
        if let periods { return periods.count(from: first, before: bound) }
        let firstDay = floorDivide(first, CivilDate.secondsPerDay)
        let lastDay = floorDivide(bound, CivilDate.secondsPerDay)
        var count = 0
        var year = CalendarYear(holding: firstDay)
        while year.firstDay <= lastDay {
            let days = self.days.days(of: year)
            let range = max(firstDay - year.firstDay, 0)..<min(lastDay - year.firstDay, year.length)
            count += countOfTimes(days, range, year)
            if (0..<year.length).contains(firstDay - year.firstDay), days.contains(firstDay - year.firstDay) {
                count -= times.count(day: firstDay, before: first - firstDay * CivilDate.secondsPerDay)
            }
            if (0..<year.length).contains(lastDay - year.firstDay), days.contains(lastDay - year.firstDay) {
                count += times.count(day: lastDay, before: bound - lastDay * CivilDate.secondsPerDay)
            }
            year = CalendarYear(year.year + 1)
        }
        return count
    }

    /// How many times whole days of a year have.
    private func countOfTimes(_ days: YearDays, _ range: Range<Int>, _ year: CalendarYear) -> Int {
        if let each = times.countOfDay { return days.count(in: range) * each }
        var count = 0
        var day = days.first(from: range.lowerBound)
        while let found = day, found < range.upperBound {
            count += times.count(day: year.firstDay + found, before: CivilDate.secondsPerDay)
            day = days.first(from: found + 1)
        }
        return count
    }

    /// The reading that `number` - 1 others precede, nil if there are fewer.
    private func reading(number: Int) -> Int? {
        var left = number
        var first = start
        var year = CalendarYear(holding: floorDivide(start, CivilDate.secondsPerDay))
        // Whole years first, then single readings of the year that holds it.
        while year.firstDay * CivilDate.secondsPerDay <= RulePattern.endOfReadings {
            let end = year.endDay * CivilDate.secondsPerDay
            let count = ruleCount(from: first, before: end)
            if count >= left { break }
            left -= count
            first = end
            year = CalendarYear(year.year + 1)
        }
        var found: Int?
        while left > 0, let next = ruleNext(from: first, before: RulePattern.endOfReadings + 1) {
            found = next
            first = next + 1
            left -= 1
        }
        return left == 0 ? found : nil
    }
}
