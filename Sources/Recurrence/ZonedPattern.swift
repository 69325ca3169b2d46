/// A cron pattern read on the wall clock of a zone.
///
/// The approach: within a zone's segment (a stretch of constant offset) wall clock and UTC differ by a
/// constant, so an occurrence there is a matching reading. What remains are the seams. Each segment
/// knows its *wall mark*, the furthest reading shown before it began. Readings below the mark are a
/// second pass: where only the first pass counts, the search starts at the mark. Readings between the
/// mark and the segment's first one were jumped over: where a gap is made up, matches among them become
/// one occurrence at the segment's first instant, which may be a matching reading itself.
struct ZonedPattern {
    let pattern: CronPattern
    let zone: ZoneRules
    private let countsFirstPassOnly: Bool
    private let makesUpGaps: Bool

    /// The longest gap that is made up, in seconds. Longer ones, such as the day Samoa left out in 2011,
    /// are a change of date, not of season.
    static let longestMadeUpGap = 3 * 3600

    /// How long a search goes on within a zone's rule for the years to come. Where no year is named, dates and
    /// changes of the clocks depend on a year's first weekday and on whether it is leap; of these 14 kinds each
    /// comes within 40 years of any other. What none of them has no year has.
    static let searchLength = 42 * 366 * CivilDate.secondsPerDay

    /// So long after an instant no wall clock shows again what it showed then: offsets lie within 26 hours of UTC.
    private static let settlingTime = 4 * CivilDate.secondsPerDay

    /// Wall clock and UTC differ by less.
    private static let offsetLimit = 2 * CivilDate.secondsPerDay

    init(_ pattern: CronPattern, zone: ZoneRules, policy: DSTPolicy) {
        self.pattern = pattern
        self.zone = policy == .utc ? .utc : zone
        makesUpGaps = policy == .vixie && !pattern.isWildcard
        countsFirstPassOnly = policy == .skip || makesUpGaps
    }
}

extension ZonedPattern {
    /// The first occurrence at or after a second since 1970.
    ///
    /// A matching reading that lies beyond the segment is not looked for segment by segment: the search goes on
    /// where it is shown. The bound on steps is ``Horizon``: a step or two for each candidate of 42 years, or of as many
    /// as the kinds of a year that are named take.
    func next(from start: Int) -> Int? {
        var start = start
        var segment = zone.segment(at: start)
        var horizon = horizon(from: start)
        // Nothing matches from `searched` up to `reading`, which need not be looked for again.
        var searched = Int.max
        var reading: Int?
        while start <= horizon.end {
            if start > horizon.check, isEnd(&horizon, at: start) { return nil }
            if start == segment.start, makesUp(segment) { return start }
            let wall = max(start + segment.offset, firstReading(segment))
            if wall < searched || wall > reading ?? .max {
                reading = pattern.next(from: wall)
                searched = wall
            }
            if let reading, reading < segment.end + segment.offset { return reading - segment.offset }
            // Only a second pass can show readings that lie behind.
            if segment.end - start > ZonedPattern.settlingTime {
                guard let reading else { return nil }
                let near = reading - ZonedPattern.offsetLimit
                if near > segment.end {
                    segment = zone.segment(after: segment, holding: near)
                    start = segment.start
                    continue
                }
            }
            start = segment.end
            segment = zone.segment(after: segment)
        }
        return nil
    }

    /// The last occurrence at or before a second since 1970.
    func previous(from end: Int) -> Int? {
        let floor = floor(from: end)
        var end = min(end, pattern.hasYears ? CronPattern.endOfYears : end)
        // The last matching reading, where it is known already.
        var reading: Int?
        while end >= floor.earliest {
            let segment = zone.segment(at: end)
            let found = reading ?? pattern.previous(from: end + segment.offset)
            reading = nil
            if let found, found >= firstReading(segment) {
                let instant = found - segment.offset
                return instant >= Instant.earliestSecond ? instant : nil
            }
            if makesUp(segment) { return segment.start }
            var last = segment.start - 1
            if end - segment.start > ZonedPattern.settlingTime {
                guard let found else { return nil }
                let near = found + ZonedPattern.offsetLimit
                if near < segment.start {
                    last = zone.segment(at: near).end - 1
                    reading = found
                }
            }
            // No kind of a year under the zone's rule has an occurrence: only years before the rule may.
            if last < floor.ofRule, last > zone.startOfRule {
                last = zone.startOfRule
                reading = nil
            }
            end = last
        }
        return nil
    }

    /// Where a search ends. After `end` no occurrence can come that has not come before; where years are named, that
    /// may be clear earlier, and is looked at from `check` on.
    private struct Horizon {
        /// Where the search began, or the zone's rule for the years to come does, whichever is later.
        let start: Int
        var check: Int
        let end: Int
    }

    private func horizon(from start: Int) -> Horizon {
        let start = max(start, zone.startOfRule)
        let end = start + ZonedPattern.searchLength
        if pattern.hasYears { return Horizon(start: start, check: end, end: CronPattern.endOfYears) }
        return Horizon(start: start, check: .max, end: min(end, Instant.latestSecond))
    }

    /// Whether a fruitless search up to an instant has seen each kind of year that is named for later.
    private func isEnd(_ horizon: inout Horizon, at instant: Int) -> Bool {
        horizon.check = instant + ZonedPattern.searchLength / 4
        // The years at both ends may have been seen in part only.
        let year = { CivilDate(daysSince1970: floorDivide($0, CivilDate.secondsPerDay)).year }
        let seen = pattern.years.kinds(from: year(horizon.start) + 1, before: year(instant) - 1)
        let later = pattern.years.kinds(from: year(instant) - 1, before: YearSet.range.upperBound + 1)
        return later & ~seen == 0
    }

    /// Before `earliest` nothing occurs; before `ofRule` nothing that the zone's rule for the years to come allows.
    private func floor(from end: Int) -> (earliest: Int, ofRule: Int) {
        if pattern.hasYears { return (CronPattern.beginningOfYears, .min) }
        return (Instant.earliestSecond, end - ZonedPattern.searchLength)
    }

    /// How many occurrences lie in `start..<end`, in seconds since 1970.
    func count(from start: Int, before end: Int) -> Int {
        var start = pattern.hasYears ? max(start, CronPattern.beginningOfYears) : start
        let end = pattern.hasYears ? min(end, CronPattern.endOfYears) : end
        var count = 0
        guard start < end else { return 0 }
        var segment = zone.segment(at: start)
        while start < end {
            let segmentEnd = min(segment.end, end)
            let wall = max(start + segment.offset, firstReading(segment))
            count += pattern.count(from: wall, before: segmentEnd + segment.offset)
            if start == segment.start, makesUp(segment), !isOccurrence(startOf: segment) { count += 1 }
            start = segmentEnd
            if start < end { segment = zone.segment(after: segment) }
        }
        return count
    }

    /// The first reading of a segment that counts.
    @inline(__always)
    private func firstReading(_ segment: ZoneSegment) -> Int {
        let first = segment.start + segment.offset
        return countsFirstPassOnly ? max(first, segment.wallMark) : first
    }

    /// Whether the jump at which a segment begins passes over a match that is made up.
    func makesUp(_ segment: ZoneSegment) -> Bool {
        let first = segment.start + segment.offset
        guard makesUpGaps, segment.wallMark < first, first - segment.wallMark <= ZonedPattern.longestMadeUpGap else {
            return false
        }
        return pattern.next(from: segment.wallMark, before: first) != nil
    }

    /// Whether the first reading after a jump matches by itself.
    private func isOccurrence(startOf segment: ZoneSegment) -> Bool {
        let first = segment.start + segment.offset
        return pattern.next(from: first, before: first + 1) != nil
    }
}
