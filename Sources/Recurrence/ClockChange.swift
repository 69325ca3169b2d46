/// What a change of a zone's clocks did to an occurrence.
package enum ClockChange: String, CaseIterable, Sendable {
    /// The clocks jump over the local time that was meant: the occurrence was moved to the first instant after the jump.
    case gap
    /// The clocks show this local time twice.
    case `repeat`
}

/// Local times that match an expression and that a jump of the clocks leaves out: they are no occurrences.
package struct RemovedTimes: Hashable, Sendable {
    package let transition: ZoneTransition
    /// The first and the last of them; the same where there is one.
    package let first: LocalDateTime
    package let last: LocalDateTime
    package let count: Int
    /// Whether an occurrence at the transition's instant stands for them (`vixie`, of a fixed expression).
    package let isMadeUp: Bool
}

extension RemovedTimes: CustomStringConvertible {
    /// "the clocks leave out 3 local times, 2027-03-28T02:00:00 to 2027-03-28T02:40:00, at 2027-03-28T01:00:00Z".
    package var description: String {
        let times =
            count == 1
            ? "the local time \(first.iso8601)" : "\(count) local times, \(first.iso8601) to \(last.iso8601),"
        return "the clocks leave out \(times) at \(transition.instant.rfc3339)"
    }
}

extension Recurrence {
    /// What a change of the clocks did to an occurrence; nil where nothing was, and for an instant that is none.
    ///
    /// One at the end of a gap that matches by itself was not moved.
    package func clockChange(at occurrence: Instant) -> ClockChange? {
        let seconds = occurrence.wholeSeconds
        guard occurrence.milliseconds == Int64(seconds) * 1000 else { return nil }
        return wallClock?.clockChange(at: seconds)
    }

    /// For each jump of the clocks between two instants the local times that it removes, in order.
    ///
    /// A step for each change of the clocks, at most `limit` results.
    package func removedTimes(after start: Instant, through end: Instant, limit: Int = .max) -> [RemovedTimes] {
        guard let wallClock else { return [] }
        var removed: [RemovedTimes] = []
        var segment = wallClock.zone.segment(at: start.wholeSeconds)
        while removed.count < limit, segment.end <= end.wholeSeconds {
            segment = wallClock.zone.segment(after: segment)
            if let times = wallClock.removedTimes(before: segment) { removed.append(times) }
        }
        return removed
    }

    /// What is read on a wall clock; nil for elapsed time.
    private var wallClock: (any WallClockReader)? {
        switch self {
        case .cron(let pattern, let zone, let policy): ZonedPattern(pattern, zone: zone, policy: policy)
        case .rrule(let rule): rule.readings
        case .interval, .once: nil
        }
    }
}

/// Readings of a zone's wall clock that are occurrences, and what a jump of the clocks does to them.
protocol WallClockReader {
    var zone: ZoneRules { get }
    /// Whether the jump at which a segment begins passes over a match that is made up.
    func makesUp(_ segment: ZoneSegment) -> Bool
    /// The first matching reading in `start..<end`.
    func reading(from start: Int, before end: Int) -> Int?
    /// The last matching reading in `start...end`.
    func reading(upTo end: Int, notBefore start: Int) -> Int?
    func readingCount(from start: Int, before end: Int) -> Int
}

extension ZonedPattern: WallClockReader {
    func reading(from start: Int, before end: Int) -> Int? { pattern.next(from: start, before: end) }
    func reading(upTo end: Int, notBefore start: Int) -> Int? { pattern.previous(from: end, notBefore: start) }
    func readingCount(from start: Int, before end: Int) -> Int { pattern.count(from: start, before: end) }
}

extension ZonedReadings: WallClockReader {
    func reading(from start: Int, before end: Int) -> Int? { pattern.next(from: start, before: end) }
    func reading(upTo end: Int, notBefore start: Int) -> Int? { pattern.previous(from: end, notBefore: start) }
    func readingCount(from start: Int, before end: Int) -> Int { pattern.count(from: start, before: end) }
}

extension WallClockReader {
    func clockChange(at seconds: Int) -> ClockChange? {
        let segment = zone.segment(at: seconds)
        let reading = seconds + segment.offset
        guard self.reading(from: reading, before: reading + 1) != nil else {
            return seconds == segment.start && makesUp(segment) ? .gap : nil
        }
        if reading < segment.wallMark { return .repeat }
        // Shown again by a segment that begins with this reading or an earlier one.
        var later = segment
        while later.end < SegmentTable.endOfTime {
            later = zone.segment(after: later)
            guard later.start + later.offset <= reading else { return nil }
            if reading < later.end + later.offset { return .repeat }
        }
        return nil
    }

    /// What the jump removes at which `segment` begins; nil where there is none, or nothing in it.
    func removedTimes(before segment: ZoneSegment) -> RemovedTimes? {
        let first = segment.start + segment.offset
        guard segment.wallMark < first, segment.start > SegmentTable.beginningOfTime,
            let earliest = reading(from: segment.wallMark, before: first),
            let latest = reading(upTo: first - 1, notBefore: segment.wallMark),
            let instant = Instant(seconds: segment.start)
        else { return nil }
        return RemovedTimes(
            transition: ZoneTransition(
                instant: instant, offsetBefore: zone.segment(at: segment.start - 1).offset,
                offsetAfter: segment.offset),
            first: LocalDateTime(wallSeconds: earliest, millisecond: 0),
            last: LocalDateTime(wallSeconds: latest, millisecond: 0),
            count: readingCount(from: segment.wallMark, before: first), isMadeUp: makesUp(segment))
    }
}
