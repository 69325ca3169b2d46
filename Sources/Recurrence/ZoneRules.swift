/// How a time zone's wall clock relates to UTC, for all time.
///
/// The approach: time is cut into *segments* of constant offset. The file's transitions give the first
/// ones; the footer's rule is written out for one Gregorian cycle of 400 years after them. Calendar,
/// weekdays and rule all repeat with that cycle, so any later instant is moved back by whole cycles and
/// looked up in the same table. Every question is then one binary search in an array of integers.
///
/// Immutable; a reference to share.
package final class ZoneRules: Sendable {
    /// The name it was asked for, such as `Europe/Berlin`.
    package let name: String

    /// Where each segment begins, in seconds since 1970, ascending. The first stands for all time before.
    private let starts: [Int]
    private let types: [LocalTimeType]
    private let offsets: [Int]
    /// For each segment the furthest reading the wall clock had reached when it began (exclusive).
    private let wallMarks: [Int]
    /// The part of the table that repeats; empty at the end of time where nothing does.
    private let cycle: Range<Int>

    /// Reads the bytes of a TZif file of version 2 or later (RFC 9636).
    ///
    /// - Throws: `malformedData` if the file breaks the format, or counts leap seconds.
    package convenience init(name: String, tzif bytes: [UInt8]) throws(ZoneError) {
        do {
            self.init(name: name, file: try ZoneFile(parsing: bytes))
        } catch {
            let message = "Expected the time zone \(name) as a TZif file of version 2 or later, but the data "
            throw ZoneError(.malformedData, zone: name, message: message + error.text + ".")
        }
    }

    /// Coordinated universal time, without any file.
    package static let utc = ZoneRules(
        name: "UTC",
        file: ZoneFile(initialType: LocalTimeType(offset: 0, isDST: false, abbreviation: "UTC")))

    private init(name: String, file: ZoneFile) {
        self.name = name
        let table = SegmentTable(file)
        starts = table.entries.map(\.start)
        types = table.entries.map(\.type)
        offsets = types.map(\.offset)
        cycle = table.cycle
        var marks = [SegmentTable.beginningOfTime - CivilDate.secondsPerDay * 2]
        for index in starts.indices.dropFirst() {
            marks.append(max(marks[index - 1], starts[index] + offsets[index - 1]))
        }
        wallMarks = marks
    }
}

extension ZoneRules: Hashable {
    /// Whether two zones have the same name and keep the same time for ever.
    package static func == (left: ZoneRules, right: ZoneRules) -> Bool {
        left === right
            || (left.name == right.name && left.starts == right.starts && left.types == right.types
                && left.cycle == right.cycle)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(name)
    }
}

// MARK: - Questions

/// A moment at which a zone's offset from UTC changes.
package struct ZoneTransition: Hashable, Sendable {
    package let instant: Instant
    /// Seconds east of UTC before it.
    package let offsetBefore: Int
    /// Seconds east of UTC from it on.
    package let offsetAfter: Int
}

/// The instants at which a wall clock shows one reading.
package enum LocalResolution: Hashable, Sendable {
    case unique(Instant)
    /// The clocks jump over it; `firstValid` is the first instant after the jump.
    case gap(firstValid: Instant)
    /// The clocks show it twice.
    case repeated(first: Instant, second: Instant)
}

extension ZoneRules {
    /// Seconds east of UTC.
    package func offsetSeconds(at instant: Instant) -> Int {
        segment(at: instant.wholeSeconds).offset
    }

    /// What the zone calls its time then, such as `CEST` or `+0545`.
    package func abbreviation(at instant: Instant) -> String {
        types[segment(at: instant.wholeSeconds).index].abbreviation
    }

    /// Whether the zone calls its time then daylight saving time (Dublin does so in winter).
    package func isDST(at instant: Instant) -> Bool {
        types[segment(at: instant.wholeSeconds).index].isDST
    }

    /// What a wall clock shows then.
    package func localTime(at instant: Instant) -> LocalDateTime {
        let seconds = instant.wholeSeconds
        return LocalDateTime(
            wallSeconds: seconds + segment(at: seconds).offset,
            millisecond: Int(instant.milliseconds) - seconds * 1000)
    }

    /// The next change of the offset strictly after an instant, nil if there is none up to the year 9999.
    package func nextTransition(after instant: Instant) -> ZoneTransition? {
        var before = segment(at: instant.wholeSeconds)
        // Changes of the name alone are passed over; two in a row do not occur without a real one between
        // them for longer than a file's table.
        for _ in starts.indices {
            guard let at = Instant(seconds: before.end) else { return nil }
            let after = segment(at: before.end)
            if after.offset != before.offset {
                return ZoneTransition(instant: at, offsetBefore: before.offset, offsetAfter: after.offset)
            }
            before = after
        }
        return nil
    }

    /// The instants at which a wall clock shows `local`. Where it leaves the years 0001 to 9999 in UTC the
    /// result is the end of the range.
    package func resolve(_ local: LocalDateTime) -> LocalResolution {
        let wall = local.wallSeconds
        func instant(_ segment: ZoneSegment) -> Instant {
            Instant(milliseconds: Int64(wall - segment.offset) * 1000 + Int64(local.millisecond))
        }
        // No offset exceeds 26 hours, so only segments within two days can show this reading.
        let limit = wall + 2 * CivilDate.secondsPerDay
        var segment = segment(at: wall - 2 * CivilDate.secondsPerDay)
        var first: Instant?
        var afterGap: Int?
        while true {
            if wall >= segment.start + segment.offset && wall < segment.end + segment.offset {
                if let first { return .repeated(first: first, second: instant(segment)) }
                first = instant(segment)
            } else if first == nil, afterGap == nil, wall < segment.start + segment.offset {
                afterGap = segment.start
            }
            guard segment.end <= limit else { break }
            segment = self.segment(at: segment.end)
        }
        if let first { return .unique(first) }
        return .gap(firstValid: Instant(milliseconds: Int64(afterGap ?? limit) * 1000))
    }
}

// MARK: - Segments

/// A stretch of time with one offset. Times are seconds since 1970.
struct ZoneSegment {
    let index: Int
    let start: Int
    /// Exclusive.
    let end: Int
    /// Seconds east of UTC.
    let offset: Int
    /// The furthest reading, exclusive, that the wall clock had reached when this segment began: readings
    /// below it are a second pass, readings between it and the segment's first one were jumped over.
    let wallMark: Int
}

extension ZoneRules {
    /// From here on, in seconds since 1970, nothing but the rule for the years to come decides; without a rule
    /// the clocks are never changed again.
    var startOfRule: Int { cycle.isEmpty ? starts[starts.count - 1] : cycle.lowerBound }

    /// The segment that begins where one ends.
    @inline(__always)
    func segment(after segment: ZoneSegment) -> ZoneSegment {
        let index = segment.index + 1
        guard index < starts.count else { return self.segment(at: segment.end) }
        let shift = segment.start - starts[segment.index]
        return ZoneSegment(
            index: index, start: starts[index] + shift, end: end(of: index) + shift, offset: offsets[index],
            wallMark: wallMarks[index] + shift)
    }

    /// The segment that an instant lies in, which is not before the end of `segment`; quick where it is one of the
    /// next few.
    @inline(__always)
    func segment(after segment: ZoneSegment, holding seconds: Int) -> ZoneSegment {
        var candidate = self.segment(after: segment)
        for _ in 0..<2 {
            if seconds < candidate.end { return candidate }
            candidate = self.segment(after: candidate)
        }
        return seconds < candidate.end ? candidate : self.segment(at: seconds)
    }

    @inline(__always)
    private func end(of index: Int) -> Int {
        index + 1 < starts.count ? starts[index + 1] : cycle.upperBound
    }

    /// The segment that an instant lies in, by binary search.
    func segment(at seconds: Int) -> ZoneSegment {
        var shift = 0
        if seconds >= cycle.upperBound {
            shift = (seconds - cycle.lowerBound) / SegmentTable.cycleLength * SegmentTable.cycleLength
        }
        let wanted = seconds - shift
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) >> 1
            if starts[middle] <= wanted { low = middle } else { high = middle }
        }
        return ZoneSegment(
            index: low, start: starts[low] + shift, end: end(of: low) + shift, offset: offsets[low],
            wallMark: wallMarks[low] + shift)
    }
}
