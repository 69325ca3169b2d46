/// A rule's readings on the wall clock of a zone, as ``ZonedPattern`` has those of a cron pattern, and with the same
/// seams: readings below a segment's wall mark are a second pass, readings between the mark and the segment's first
/// one were jumped over.
///
/// A rule may rest for years, so a search does not go from segment to segment but to where the next reading is shown.
struct ZonedReadings {
    let pattern: RulePattern
    let zone: ZoneRules
    private let countsFirstPassOnly: Bool
    private let makesUpGaps: Bool

    /// The longest gap that is made up, in seconds: semantics as for cron.
    private static let longestMadeUpGap = 3 * 3600

    /// Wall clock and UTC differ by less, in seconds.
    private static let offsetLimit = 2 * CivilDate.secondsPerDay

    init(_ pattern: RulePattern, zone: ZoneRules, policy: DSTPolicy) {
        self.pattern = pattern
        self.zone = zone
        makesUpGaps = policy == .vixie && !pattern.isWildcard
        countsFirstPassOnly = policy == .skip || makesUpGaps
    }

    /// The first occurrence at or after a second since 1970.
    func next(from start: Int) -> Int? {
        var start = max(start, Instant.earliestSecond)
        while start <= Instant.latestSecond {
            let segment = zone.segment(at: start)
            if start == segment.start, makesUp(segment) { return start }
            let first = max(start + segment.offset, firstReading(segment))
            if let found = pattern.next(from: first, before: segment.end + segment.offset) {
                return found - segment.offset
            }
            // The least that a later segment can show; the search goes on where that is shown.
            let least = segment.end + segment.offset - Self.offsetLimit
            guard let near = pattern.next(from: least, before: .max) else { return nil }
            start = max(segment.end, near - Self.offsetLimit)
        }
        return nil
    }

    /// The last occurrence at or before a second since 1970.
    func previous(from end: Int) -> Int? {
        var end = min(end, Instant.latestSecond)
        while end >= Instant.earliestSecond {
            let segment = zone.segment(at: end)
            if let found = pattern.previous(from: end + segment.offset, notBefore: firstReading(segment)) {
                return found - segment.offset
            }
            if makesUp(segment) { return segment.start }
            let greatest = segment.start + segment.offset + Self.offsetLimit
            guard let near = pattern.previous(from: greatest, notBefore: .min) else { return nil }
            end = min(segment.start - 1, near + Self.offsetLimit)
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
    private func firstReading(_ segment: ZoneSegment) -> Int {
        let first = segment.start + segment.offset
        return countsFirstPassOnly ? max(first, segment.wallMark) : first
    }

    /// Whether the jump at which a segment begins passes over a reading that is made up.
    func makesUp(_ segment: ZoneSegment) -> Bool {
        let first = segment.start + segment.offset
        guard makesUpGaps, segment.wallMark < first, first - segment.wallMark <= Self.longestMadeUpGap else {
            return false
        }
        return pattern.next(from: segment.wallMark, before: first) != nil
    }

    /// Whether the first reading after a jump recurs by itself.
    private func isOccurrence(startOf segment: ZoneSegment) -> Bool {
        let first = segment.start + segment.offset
        return pattern.next(from: first, before: first + 1) != nil
    }
}
