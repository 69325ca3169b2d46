import Recurrence

/// The minutes, or the seconds, around a transition, with what the wall clock shows at each: the ground for a
/// reference that knows nothing of masks, months or segments.
struct WallClockWindow {
    let zone: ZoneRules
    /// Seconds between two ticks: 60 or 1.
    let tick: Int
    /// Seconds since 1970 of the first tick.
    let start: Int
    /// What the clock shows at each tick, in ticks since it showed 1970-01-01T00:00.
    let readings: [Int]
    /// The dates of all readings, those that a gap leaves out included.
    private let dates: [WalkedDate]
    /// Days since 1970 of the first date.
    private let firstDay: Int

    /// From `reach` ticks before a transition to as many after it.
    ///
    /// Nil where the clock is not on a whole tick all the time, as it is in the years people schedule in.
    init?(zone: ZoneRules, around instant: Instant, tick: Int, reach: Int) {
        self.zone = zone
        self.tick = tick
        let middle = Int(instant.milliseconds / 1000)
        guard middle % tick == 0 else { return nil }
        start = middle - reach * tick
        var readings: [Int] = []
        for index in 0...(2 * reach) {
            let seconds = start + index * tick
            let shown = seconds + zone.offsetSeconds(at: Instant(milliseconds: Int64(seconds) * 1000))
            guard shown % tick == 0 else { return nil }
            readings.append(shown / tick)
        }
        self.readings = readings
        // No clock is more than 26 hours from UTC, whose readings are asked for too.
        firstDay = start / 86_400 - 2
        let lastDay = (start + 2 * reach * tick) / 86_400 + 2
        dates = (firstDay...lastDay).map { WalkedDate(daysSince1970: $0) }
    }

    /// The instant right before the first tick, and the last tick.
    var bounds: (before: Instant, end: Instant) {
        (instant(of: 0).adding(milliseconds: -1), instant(of: readings.count - 1))
    }

    /// What the clock shows in the middle.
    var middle: (date: WalkedDate, hour: Int) {
        let seconds = readings[readings.count / 2] * tick
        return (WalkedDate(seconds: seconds), seconds / 3600 % 24)
    }

    /// All occurrences under each policy, by walking the ticks and comparing what the clock shows now with what it
    /// has shown.
    func fires(of cron: RandomCron) -> [DSTPolicy: [Instant]] {
        let days = dates.map { cron.matches($0) }
        func matches(_ reading: Int) -> Bool {
            let second = reading * tick
            return cron.minutes[second / 60 % 60] && cron.hours[second / 3600 % 24] && cron.seconds[second % 60]
                && days[second / 86_400 - firstDay]
        }
        var (elapsed, firstPass, madeUp, utc): ([Instant], [Instant], [Instant], [Instant]) = ([], [], [], [])
        // The clock before the window has shown everything before the window's first reading.
        var unseen = readings[0]
        for (index, reading) in readings.enumerated() {
            if matches(start / tick + index) { utc.append(instant(of: index)) }
            let isMatch = matches(reading)
            if isMatch { elapsed.append(instant(of: index)) }
            guard reading >= unseen else { continue }
            let isMadeUp =
                reading > unseen && (reading - unseen) * tick <= 3 * 3600 && (unseen..<reading).contains(where: matches)
            if isMatch { firstPass.append(instant(of: index)) }
            if isMatch || isMadeUp { madeUp.append(instant(of: index)) }
            unseen = reading + 1
        }
        return [.vixie: cron.isWildcard ? elapsed : madeUp, .skip: firstPass, .literal: elapsed, .utc: utc]
    }

    /// For each jump of the clock the matching readings that it leaves out: the first, the last, how many.
    func removed(of cron: RandomCron) -> [(at: Instant, first: Int, last: Int, count: Int)] {
        var removed: [(at: Instant, first: Int, last: Int, count: Int)] = []
        var unseen = readings[0]
        for (index, reading) in readings.enumerated() where reading >= unseen {
            let matching = (unseen..<reading).map { $0 * tick }.filter { cron.matches(shown: $0) }
            if let first = matching.first, let last = matching.last {
                removed.append((instant(of: index), first, last, matching.count))
            }
            unseen = reading + 1
        }
        return removed
    }

    /// What the clock shows at one of the ticks, in seconds, and whether it does so twice.
    func reading(at instant: Instant) -> (seconds: Int, isRepeated: Bool) {
        let reading = readings[(Int(instant.milliseconds / 1000) - start) / tick]
        return (reading * tick, readings.count { $0 == reading } > 1)
    }

    private func instant(of index: Int) -> Instant {
        Instant(milliseconds: Int64(start + index * tick) * 1000)
    }
}
