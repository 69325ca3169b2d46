/// The readings that `BYSETPOS` chooses of each week, month or year of a rule.
///
/// A period is worked out whole: its days times the times of a day, of which the positions choose by index.
struct RulePeriods {
    private let days: RuleDays
    private let mask: TimeMask
    private let positions: [Int]

    /// Nil for a rule without positions, and for periods of a day or less, whose times are chosen beforehand.
    init?(_ rule: RecurrenceRule, days: RuleDays, times: RuleTimes) {
        guard case .product(let mask) = times, !rule.positions.isEmpty else { return nil }
        self.days = days
        self.mask = mask
        positions = rule.positions
    }

    func next(from first: Int, before bound: Int) -> Int? {
        var day = floorDivide(first, CivilDate.secondsPerDay)
        let lastDay = floorDivide(bound - 1, CivilDate.secondsPerDay)
        while day <= lastDay {
            let year = CalendarYear(holding: day)
            let days = self.days.days(of: year)
            var candidate = days.first(from: day - year.firstDay)
            while let found = candidate {
                let period = self.days.period(holding: year.firstDay + found)
                if let reading = chosen(of: period).first(where: { $0 >= first }) {
                    return reading < bound ? reading : nil
                }
                candidate = days.first(from: period.upperBound - year.firstDay)
            }
            day = year.endDay
        }
        return nil
    }

    func previous(from last: Int, notBefore bound: Int) -> Int? {
        // A chosen day may precede the last one in its own period: the search begins at the period's end.
        var day = days.period(holding: floorDivide(last, CivilDate.secondsPerDay)).upperBound - 1
        let firstDay = floorDivide(bound, CivilDate.secondsPerDay)
        while day >= firstDay {
            let year = CalendarYear(holding: day)
            let days = self.days.days(of: year)
            var candidate = days.last(through: day - year.firstDay)
            while let found = candidate {
                let period = self.days.period(holding: year.firstDay + found)
                if let reading = chosen(of: period).last(where: { $0 <= last }) {
                    return reading >= bound ? reading : nil
                }
                candidate = days.last(through: period.lowerBound - 1 - year.firstDay)
            }
            day = year.firstDay - 1
        }
        return nil
    }

    func count(from first: Int, before bound: Int) -> Int {
        var count = 0
        var first = first
        while let reading = next(from: first, before: bound) {
            let period = days.period(holding: floorDivide(reading, CivilDate.secondsPerDay))
            count += chosen(of: period).count { $0 >= first && $0 < bound }
            first = period.upperBound * CivilDate.secondsPerDay
        }
        return count
    }

    /// The readings of a period, given as days since 1970.
    private func chosen(of period: Range<Int>) -> [Int] {
        let days = recurring(in: period)
        return positions.chosenIndices(of: days.count * mask.count).map {
            days[$0 / mask.count] * CivilDate.secondsPerDay + mask.time(at: $0 % mask.count)
        }
    }

    /// The days of a period on which the rule recurs; a week may lie in two years.
    private func recurring(in period: Range<Int>) -> [Int] {
        var found: [Int] = []
        var begin = period.lowerBound
        while begin < period.upperBound {
            let year = CalendarYear(holding: begin)
            let days = self.days.days(of: year)
            let end = min(period.upperBound, year.endDay)
            var day = days.first(from: begin - year.firstDay)
            while let next = day, year.firstDay + next < end {
                found.append(year.firstDay + next)
                day = days.first(from: next + 1)
            }
            begin = end
        }
        return found
    }
}
