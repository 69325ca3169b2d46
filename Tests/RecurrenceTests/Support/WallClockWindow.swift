import Recurrence

/// The minutes of a few days around a transition, with what the wall clock shows at each: the ground for
/// a reference that knows nothing of masks, months or segments.
struct WallClockWindow {
    struct Minute {
        let instant: Instant
        /// Minutes since the wall clock showed 1970-01-01T00:00.
        let wall: Int
    }

    let zone: ZoneRules
    let minutes: [Minute]

    /// Two days before a transition to two days after it. Offsets are whole minutes in the years used.
    init(zone: ZoneRules, around instant: Instant) {
        self.zone = zone
        let day: Int64 = 86_400_000
        minutes = stride(from: -2 * day, to: 2 * day, by: 60_000).map { change in
            let instant = instant.adding(milliseconds: change)
            let wall = instant.milliseconds / 60_000 + Int64(zone.offsetSeconds(at: instant) / 60)
            return Minute(instant: instant, wall: Int(wall))
        }
    }

    /// All occurrences by walking the minutes and comparing what the clock shows now with what it has shown.
    func fires(of cron: RandomCron, policy: DSTPolicy) -> [Instant] {
        var fires: [Instant] = []
        // The clock before the window has shown everything before the window's first reading.
        var unseen = minutes[0].wall
        let isElapsed = policy == .literal || (policy == .vixie && cron.isWildcard)
        for minute in minutes {
            if policy == .utc {
                if matches(cron, wall: Int(minute.instant.milliseconds / 60_000)) { fires.append(minute.instant) }
            } else if isElapsed {
                if matches(cron, wall: minute.wall) { fires.append(minute.instant) }
            } else if minute.wall >= unseen {
                let jumped = minute.wall - unseen
                let isMadeUp =
                    policy == .vixie && jumped <= 180
                    && (unseen..<minute.wall).contains { matches(cron, wall: $0) }
                if isMadeUp || matches(cron, wall: minute.wall) { fires.append(minute.instant) }
                unseen = minute.wall + 1
            }
        }
        return fires
    }

    private func matches(_ cron: RandomCron, wall: Int) -> Bool {
        // Cheap tests first: this runs for every minute of every window.
        guard cron.minutes.contains(wall % 60), cron.hours.contains(wall / 60 % 24) else { return false }
        let days = wall / 1440
        let date = ZoneRules.utc.localTime(at: Instant(milliseconds: Int64(days) * 86_400_000))
        return cron.matches(
            month: date.month, day: date.day, weekday: (days + 4) % 7, hour: wall / 60 % 24, minute: wall % 60)
    }
}
