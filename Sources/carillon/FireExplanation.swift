import Recurrence

/// The lines of `carillon next --explain`: the expression in words, each fire in UTC and in local time, what a change of
/// the clocks did to it and by which rule, and the local times that a gap removed.
struct FireExplanation {
    let recurrence: Recurrence
    let zone: ZoneRules
    let policy: DSTPolicy

    /// Lines that begin with `#` comment, those with `-` are no fires.
    func lines(after start: Instant, count: Int) -> [String] {
        let fires = recurrence.fires(after: start, count: count)
        var lines = ["# \(recurrence.sentence) (dst_policy \(policy.rawValue))"]
        guard let last = fires.last else { return lines + ["# no fire after \(NextFires.text(start))"] }
        var removed = recurrence.removedTimes(after: start, through: last)[...]
        for fire in fires {
            while let next = removed.first, next.transition.instant < fire {
                lines.append(line(of: next))
                removed.removeFirst()
            }
            if let next = removed.first, next.transition.instant == fire {
                removed.removeFirst()
                // What is made up is told with the fire that stands for it.
                if !next.isMadeUp { lines.append(line(of: next)) }
                lines.append(line(of: fire, standingFor: next.isMadeUp ? next : nil))
            } else {
                lines.append(line(of: fire, standingFor: nil))
            }
        }
        return lines
    }

    private func line(of fire: Instant, standingFor removed: RemovedTimes?) -> String {
        let local = "\(zone.localTime(at: fire).iso8601) \(zone.abbreviation(at: fire))"
        let line = "\(NextFires.text(fire))  \(local)"
        if let removed {
            let meant = recurrence.clockChange(at: fire) == .gap
            let what = meant ? "fires once, at the first instant after the gap" : "this fire stands for it too"
            return "\(line)  gap: \(jump(removed)); \(policy.rawValue): \(what)"
        }
        guard recurrence.clockChange(at: fire) == .repeat,
            case .repeated(let first, let second) = zone.resolve(zone.localTime(at: fire))
        else { return line }
        let isBoth = recurrence.latest(through: first) == first && recurrence.latest(through: second) == second
        let rule = isBoth ? "both passes fire" : "the other pass does not fire"
        return "\(line)  repeat: \(clock(zone.localTime(at: fire))) comes twice, this is the "
            + "\(fire == first ? "first" : "second") pass; \(policy.rawValue): \(rule)"
    }

    private func line(of removed: RemovedTimes) -> String {
        "-                     \(removed.first.iso8601)  gap: \(jump(removed)); \(policy.rawValue): \(reason(removed))"
    }

    /// Why nothing stands for the times that a gap removed.
    private func reason(_ removed: RemovedTimes) -> String {
        let length = removed.transition.offsetAfter - removed.transition.offsetBefore
        switch policy {
        case .vixie where length > 3 * 3600: return "a gap over 3 hours is not made up"
        case .vixie:
            if case .rrule = recurrence { return "a rule of hours, minutes or seconds has no fire there" }
            return "an expression whose minute or hour begins with * has no fire there"
        case .skip, .literal, .utc: return "no fire in a gap"
        }
    }

    /// "the clocks go from 02:00 to 03:00, there is no 02:30".
    private func jump(_ removed: RemovedTimes) -> String {
        let transition = removed.transition
        let after = zone.localTime(at: transition.instant)
        // The reading that the clocks were about to show.
        let before = ZoneRules.utc.localTime(
            at: transition.instant.adding(milliseconds: Int64(transition.offsetBefore) * 1000))
        let isSameDay = (before.year, before.month, before.day) == (after.year, after.month, after.day)
        func name(_ local: LocalDateTime) -> String { isSameDay ? clock(local) : local.iso8601 }
        var times = name(removed.first)
        if removed.count > 1 { times += " to \(name(removed.last)) (\(removed.count) times)" }
        return "the clocks go from \(name(before)) to \(name(after)), there is no \(times)"
    }

    /// `02:30`, with seconds where there are some.
    private func clock(_ local: LocalDateTime) -> String {
        let time = local.iso8601.dropFirst(11)
        return String(time.hasSuffix(":00") ? time.dropLast(3) : time)
    }
}
