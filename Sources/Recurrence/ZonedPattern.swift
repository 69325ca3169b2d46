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

    /// Two changes a year for the 400 years in which calendar and rules repeat, and the changes listed
    /// before: where that many segments hold no occurrence there is none.
    static let maximumSegments = 2000

    init(_ pattern: CronPattern, zone: ZoneRules, policy: DSTPolicy) {
        self.pattern = pattern
        self.zone = policy == .utc ? .utc : zone
        makesUpGaps = policy == .vixie && !pattern.isWildcard
        countsFirstPassOnly = policy == .skip || makesUpGaps
    }
}

extension ZonedPattern {
    /// The first occurrence at or after a second since 1970.
    func next(from start: Int) -> Int? {
        var start = start
        for _ in 0..<ZonedPattern.maximumSegments {
            guard start <= Instant.latestSecond else { return nil }
            let segment = zone.segment(at: start)
            if start == segment.start, makesUp(segment) { return start }
            let wall = max(start + segment.offset, firstReading(segment))
            if let found = pattern.next(from: wall, before: segment.end + segment.offset) {
                return found - segment.offset
            }
            start = segment.end
        }
        return nil
    }

    /// The last occurrence at or before a second since 1970.
    func previous(from end: Int) -> Int? {
        var end = end
        for _ in 0..<ZonedPattern.maximumSegments {
            guard end >= Instant.earliestSecond else { return nil }
            let segment = zone.segment(at: end)
            let earliest = max(firstReading(segment), Instant.earliestSecond + segment.offset)
            if let found = pattern.previous(from: end + segment.offset, notBefore: earliest) {
                return found - segment.offset
            }
            if makesUp(segment) { return segment.start }
            end = segment.start - 1
        }
        return nil
    }

    /// How many occurrences lie in `start..<end`, in seconds since 1970.
    func count(from start: Int, before end: Int) -> Int {
        var start = start
        var count = 0
        while start < end {
            let segment = zone.segment(at: start)
            let segmentEnd = min(segment.end, end)
            let wall = max(start + segment.offset, firstReading(segment))
            count += pattern.count(from: wall, before: segmentEnd + segment.offset)
            if start == segment.start, makesUp(segment), !isOccurrence(startOf: segment) { count += 1 }
            start = segmentEnd
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
    private func makesUp(_ segment: ZoneSegment) -> Bool {
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
