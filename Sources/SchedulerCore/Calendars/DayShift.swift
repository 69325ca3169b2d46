import Recurrence

/// Moves occurrences to days that a calendar allows.
///
/// A moved occurrence keeps the time that the clock shows, on the next (or the previous) allowed day, but never passes
/// another occurrence: moved on it is due at the latest with the first that comes after it, moved back at the earliest
/// with the last that came before it. That makes the map monotone: of `0 9,17 * * *` both of Saturday's move to Monday
/// at 09:00, not to Monday's 17:00 beyond Sunday's 09:00.
struct DayShift: Sendable {
    /// How far an occurrence is moved at most, in milliseconds: no search for a day goes further.
    static let farthest: Int64 = Int64(DaySet.longestSearch + 2) * 86_400_000

    private let isForward: Bool
    private let days: DaySet
    private let local: LocalDays
    private let source: OccurrenceSource

    /// Nil where the policy moves nothing.
    init?(_ policy: DayShiftPolicy, days: DaySet, zone: ZoneRules, source: OccurrenceSource) {
        guard policy != .none else { return nil }
        isForward = policy == .nextBusinessDay
        self.days = days
        local = LocalDays(zone: zone)
        self.source = source
    }

    /// Where an occurrence is moved to; itself where its day is allowed, and where no allowed day is near.
    func moved(_ occurrence: Instant) -> Instant {
        let day = local.day(of: occurrence)
        guard !days.contains(day) else { return occurrence }
        let target = isForward ? days.first(atOrAfter: day) : days.last(atOrBefore: day)
        guard let target else { return occurrence }
        return isForward ? moved(occurrence, on: day, to: target) : moved(occurrence, on: day, backTo: target)
    }

    /// The smallest of where this one and all later ones would go by the clock alone. Of each day only the first one
    /// counts, and the first after each moment at which the clocks go back.
    private func moved(_ occurrence: Instant, on day: CalendarDay, to target: CalendarDay) -> Instant {
        let blockEnd = local.start(of: target)
        var best = local.sameTime(as: occurrence, on: target)
        if let first = source.next(after: blockEnd.justBefore) { best = min(best, first) }
        var probe = occurrence
        while probe < blockEnd {
            best = min(best, local.sameTime(as: probe, on: target))
            let dayEnd = local.start(of: local.day(of: probe).adding(days: 1))
            if let again = local.repeatStart(after: probe, before: dayEnd),
                let first = source.next(after: again.justBefore), first < dayEnd
            {
                best = min(best, local.sameTime(as: first, on: target))
            }
            guard let next = source.next(after: dayEnd.justBefore) else { break }
            probe = next
        }
        return best
    }

    /// The greatest of where this one and all earlier ones would go by the clock alone.
    private func moved(_ occurrence: Instant, on day: CalendarDay, backTo target: CalendarDay) -> Instant {
        let blockStart = local.start(of: target.adding(days: 1))
        var best = local.sameTime(as: occurrence, on: target)
        if let last = source.latest(through: blockStart.justBefore) { best = max(best, last) }
        var probe = occurrence
        while probe >= blockStart {
            best = max(best, local.sameTime(as: probe, on: target))
            let dayStart = local.start(of: local.day(of: probe))
            if let again = local.repeatStart(after: dayStart, before: probe),
                let last = source.latest(through: again.justBefore), last >= dayStart
            {
                best = max(best, local.sameTime(as: last, on: target))
            }
            guard let previous = source.latest(through: dayStart.justBefore) else { break }
            probe = previous
        }
        return best
    }
}

extension Instant {
    var justBefore: Instant { Instant(milliseconds: milliseconds - 1) }
}
