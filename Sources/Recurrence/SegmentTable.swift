/// A zone's file and footer written out as one list of segments, with the part that repeats for ever.
struct SegmentTable {
    /// Ascending; neighbours differ in type.
    private(set) var entries: [(start: Int, type: LocalTimeType)]
    /// Seconds since 1970; both ends are transitions of the footer's rule, so a shifted copy joins seamlessly.
    private(set) var cycle: Range<Int>

    /// Before and after every instant and every wall-clock reading that can be asked for.
    static let beginningOfTime = -(1 << 42)
    static let endOfTime = 1 << 42

    /// 400 years in seconds.
    static let cycleLength = CivilDate.daysPerCycle * CivilDate.secondsPerDay

    init(_ file: ZoneFile) {
        entries = [(SegmentTable.beginningOfTime, file.initialType)]
        cycle = SegmentTable.endOfTime..<SegmentTable.endOfTime
        for transition in file.transitions {
            append(at: max(transition.at, SegmentTable.beginningOfTime), transition.type)
        }
        guard let footer = file.footer else { return }
        guard footer.daylight != nil else {
            // A rule without changes says what holds after the last transition, and all time if there is none.
            if file.transitions.isEmpty { entries = [(SegmentTable.beginningOfTime, footer.standard)] }
            return
        }
        appendCycle(of: footer, after: file.transitions.last?.at)
    }

    /// The later of two types given for one instant holds; one that changes nothing makes no segment.
    private mutating func append(at start: Int, _ type: LocalTimeType) {
        if entries.last?.start == start { entries.removeLast() }
        if entries.last?.type != type { entries.append((start, type)) }
    }

    /// Writes the rule out for a little over 400 years and marks the cycle.
    ///
    /// The cycle begins at the third change, because the first may still be influenced by the file's own
    /// last segment: what precedes the cycle's first change must equal what precedes its end.
    private mutating func appendCycle(of footer: PosixZone, after last: Int?) {
        let lastYear = last.map { CivilDate(daysSince1970: floorDivide($0, CivilDate.secondsPerDay)).year }
        let firstYear = lastYear ?? 0
        let finalYear = firstYear + 404
        if last == nil { entries = [(SegmentTable.beginningOfTime, footer.standard)] }
        let count = entries.count
        var transitions = (firstYear...finalYear).flatMap { footer.transitions(inYear: $0) }
        // Rule times of up to a week can put one year's last change after the next year's first. At one
        // instant the start of daylight time comes last: that is how a rule says "daylight time all year".
        transitions.sort { ($0.at, $0.type.isDST ? 1 : 0) < ($1.at, $1.type.isDST ? 1 : 0) }
        // The final year ends with June: a change on New Year's Day needs the other year's change beside it.
        let end = CivilDate(year: finalYear, month: 7, day: 1).daysSince1970 * CivilDate.secondsPerDay
        for transition in transitions where transition.at > last ?? .min && transition.at < end {
            append(at: transition.at, transition.type)
        }
        guard entries.count > count + 3 else { return }
        let start = entries[count + 2].start
        cycle = start..<(start + SegmentTable.cycleLength)
        entries.removeAll { $0.start >= cycle.upperBound }
    }
}
