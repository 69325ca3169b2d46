extension Recurrence {
    /// The shortest time between two occurrences, in milliseconds; nil where there is one at most.
    ///
    /// For cron exact for the years from 1970 on, hours that daylight saving shortens included: `30 2,3 * * *`
    /// in New York fires at 03:00 and 03:30 on the day that has no 02:30. Takes up to a millisecond.
    package var shortestPeriodMilliseconds: Int64? {
        switch self {
        case .cron(let pattern, let zone, let policy):
            ZonedPattern(pattern, zone: zone, policy: policy).shortestPeriod.map { Int64($0) * 1000 }
        case .interval(let period, _): max(period, 1)
        case .once: nil
        case .rrule(let rule): rule.shortestPeriod.map { Int64($0) * 1000 }
        }
    }
}

extension ZonedPattern {
    /// In seconds; nil where there is one occurrence at most. Within a segment distances are those of the wall
    /// clock; what the clocks' changes shorten are the steps over each change, and the step after one that was
    /// made up.
    var shortestPeriod: Int? {
        var shortest = pattern.shortestDistance
        var segment = zone.segment(at: 0)
        let last = pattern.hasYears ? CronPattern.endOfYears : max(0, zone.startOfRule) + ZonedPattern.searchLength
        while segment.end <= last {
            let change = segment.end
            if let before = previous(from: change - 1), let after = next(from: change) {
                shortest = min(shortest ?? .max, after - before)
                if after == change, let second = next(from: after + 1) {
                    shortest = min(shortest ?? .max, second - after)
                }
            }
            segment = zone.segment(after: segment)
        }
        return shortest
    }
}

extension CronPattern {
    /// The shortest distance of two matching readings, in seconds; nil where only one matches. Neighbours lie in
    /// one minute, in neighbouring minutes of an hour, hours of a day, or days: the smallest of each kind is
    /// looked at.
    var shortestDistance: Int? {
        let minuteSpan = seconds.highestBit - seconds.lowestBit
        let hourSpan = (minutes.highestBit - minutes.lowestBit) * 60 + minuteSpan
        let distances = [
            shortestDayDistance.map { $0 * CivilDate.secondsPerDay - (lastTime - firstTime) },
            seconds.smallestBitDistance, minutes.smallestBitDistance.map { $0 * 60 - minuteSpan },
            hours.smallestBitDistance.map { $0 * 3600 - hourSpan },
        ]
        return distances.compactMap(\.self).min()
    }

    /// The fewest days from a matching day to the next: over the 400 years after which the calendar repeats, or
    /// over the years that are named. Nil where only one day matches.
    private var shortestDayDistance: Int? {
        var month = MonthCursor(containing: 0)
        // A little more than a cycle, for the step from its last matching day to its first.
        let end = CivilDate.daysPerCycle + 366
        var shortest: Int?
        var last: Int?
        while month.firstDay < end, shortest != 1 {
            let days = month.days(of: self)
            if days != 0 {
                if let last { shortest = min(shortest ?? .max, month.firstDay + days.lowestBit - last) }
                if let distance = days.smallestBitDistance { shortest = min(shortest ?? .max, distance) }
                last = month.firstDay + days.highestBit
            }
            guard month.advance(in: self) else { break }
        }
        return shortest
    }
}
