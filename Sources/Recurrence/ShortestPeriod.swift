extension Recurrence {
    /// The shortest time between two occurrences, in milliseconds; nil where there is one at most.
    ///
    /// For cron exact for the years from 1970 on, hours that daylight saving shortens included: `30 2,3 * * *`
    /// in New York fires at 03:00 and 03:30 on the day that has no 02:30. Takes up to a millisecond.
    package var shortestPeriodMilliseconds: Int64? {
        switch self {
        case .cron(let pattern, let zone, let policy):
            Int64(ZonedPattern(pattern, zone: zone, policy: policy).shortestPeriod) * 1000
        case .interval(let period, _): max(period, 1)
        case .once: nil
        }
    }
}

extension ZonedPattern {
    /// In seconds. Within a segment distances are those of the wall clock; what the clocks' changes shorten
    /// are the steps over each change, and the step after one that was made up.
    var shortestPeriod: Int {
        var shortest = pattern.shortestDistance
        var segment = zone.segment(at: 0)
        while segment.start < zone.lastListedChange {
            let change = segment.end
            if let before = previous(from: change - 1), let after = next(from: change) {
                shortest = min(shortest, after - before)
                if after == change, let second = next(from: after + 1) { shortest = min(shortest, second - after) }
            }
            segment = zone.segment(at: change)
        }
        return shortest
    }
}

extension CronPattern {
    /// The shortest distance of two matching readings, in seconds. Neighbours lie in one minute, in
    /// neighbouring minutes of an hour, hours of a day, or days: the smallest of each kind is looked at.
    var shortestDistance: Int {
        let minuteSpan = seconds.highestBit - seconds.lowestBit
        let hourSpan = (minutes.highestBit - minutes.lowestBit) * 60 + minuteSpan
        var shortest = shortestDayDistance * CivilDate.secondsPerDay - (lastTime - firstTime)
        if let distance = seconds.smallestBitDistance { shortest = min(shortest, distance) }
        if let distance = minutes.smallestBitDistance { shortest = min(shortest, distance * 60 - minuteSpan) }
        if let distance = hours.smallestBitDistance { shortest = min(shortest, distance * 3600 - hourSpan) }
        return shortest
    }

    /// The fewest days from a matching day to the next, over the 400 years after which the calendar repeats.
    private var shortestDayDistance: Int {
        var month = MonthCursor(containing: 0)
        var shortest = CivilDate.daysPerCycle
        var last: Int?
        // A little more than a cycle, for the step from its last matching day to its first.
        for _ in 0..<(401 * 12) where shortest > 1 {
            let days = month.days(of: self)
            if days != 0 {
                if let last { shortest = min(shortest, month.firstDay + days.lowestBit - last) }
                if let distance = days.smallestBitDistance { shortest = min(shortest, distance) }
                last = month.firstDay + days.highestBit
            }
            month.advance()
        }
        return shortest
    }
}
