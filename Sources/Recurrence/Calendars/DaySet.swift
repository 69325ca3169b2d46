/// A set of days: one bit for each day from 1970-01-01 through 2199-12-31, the years that cron knows, and outside of
/// them the weekdays that every week has. 10 KiB, however many holidays were taken out.
package struct DaySet: Hashable, Sendable {
    /// The days that have a bit, by their numbers.
    package static let covered = 0..<CivilDate(year: 2200, month: 1, day: 1).daysSince1970

    /// How far a search goes: where more days in a row than this are missing, there is no next one.
    package static let longestSearch = 800

    private var words: [UInt64]
    private var usual: Weekdays

    /// Every day that falls on one of these weekdays.
    package init(_ weekdays: Weekdays) {
        usual = weekdays
        // Seven words are 64 weeks: what they hold repeats.
        var weeks = [UInt64](repeating: 0, count: 7)
        for number in 0..<448 where weekdays.contains(CalendarDay(number: number).weekday) {
            weeks[number >> 6] |= 1 << UInt64(number & 63)
        }
        words = (0..<(DaySet.covered.count + 63) / 64).map { weeks[$0 % 7] }
    }

    /// Takes days out; those outside of the covered years stay.
    package mutating func remove(_ days: ClosedRange<CalendarDay>) {
        let clamped = (days.lowerBound.number..<(days.upperBound.number + 1)).clamped(to: DaySet.covered)
        for number in clamped { words[number >> 6] &= ~(1 << UInt64(number & 63)) }
    }

    package func contains(_ day: CalendarDay) -> Bool {
        guard DaySet.covered.contains(day.number) else { return usual.contains(day.weekday) }
        return words[day.number >> 6] & (1 << UInt64(day.number & 63)) != 0
    }

    package func intersection(_ other: DaySet) -> DaySet {
        var result = self
        result.usual = usual.intersection(other.usual)
        for index in words.indices { result.words[index] &= other.words[index] }
        return result
    }

    /// The first day of the set at or after one, within ``longestSearch`` days.
    package func first(atOrAfter day: CalendarDay) -> CalendarDay? {
        (0..<DaySet.longestSearch).lazy.map { day.adding(days: $0) }.first(where: contains)
    }

    /// The last day of the set at or before one, within ``longestSearch`` days.
    package func last(atOrBefore day: CalendarDay) -> CalendarDay? {
        (0..<DaySet.longestSearch).lazy.map { day.adding(days: -$0) }.first(where: contains)
    }

    /// The first day after `day` that is not in the set, or ``longestSearch`` days on.
    func endOfRun(from day: CalendarDay) -> CalendarDay {
        var day = day
        for _ in 0..<DaySet.longestSearch where contains(day) { day = day.adding(days: 1) }
        return day
    }

    /// The most days in a row, of the covered years, that the set does not have.
    package var longestAbsence: Int {
        var longest = 0
        var run = 0
        for number in DaySet.covered {
            run = contains(CalendarDay(number: number)) ? 0 : run + 1
            longest = max(longest, run)
        }
        return longest
    }
}
