/// The days of a zone as stretches of time.
///
/// A day begins when its midnight is shown first, or at the first instant after it where the clocks jump over midnight,
/// and ends when the next day begins. So days follow each other without gap or overlap, whatever the clocks do; a day
/// that a zone left out (Apia, 2011-12-30) is empty.
package struct LocalDays: Hashable, Sendable {
    package let zone: ZoneRules

    package init(zone: ZoneRules) { self.zone = zone }

    package func start(of day: CalendarDay) -> Instant { instant(on: day, second: 0) }

    /// The day that an instant lies in.
    package func day(of instant: Instant) -> CalendarDay {
        let local = zone.localTime(at: instant)
        let shown = CalendarDay(number: floorDivide(local.wallSeconds, CivilDate.secondsPerDay))
        // Clocks that go back over midnight show the old date again, in a day that has begun.
        if instant < start(of: shown) { return shown.adding(days: -1) }
        if instant >= start(of: shown.adding(days: 1)) { return shown.adding(days: 1) }
        return shown
    }

    /// When the zone's clock shows a time of a day: in a gap the first valid instant after it, in a repeat the first
    /// pass.
    ///
    /// - Parameter second: since midnight; 86,400 is the next day's midnight.
    package func instant(on day: CalendarDay, second: Int, millisecond: Int = 0) -> Instant {
        let local = LocalDateTime(
            wallSeconds: day.number * CivilDate.secondsPerDay + second, millisecond: millisecond)
        return switch zone.resolve(local) {
        case .unique(let instant), .repeated(first: let instant, second: _), .gap(firstValid: let instant): instant
        }
    }

    /// The time that the clock shows at `instant`, on another day.
    package func sameTime(as instant: Instant, on day: CalendarDay) -> Instant {
        let local = zone.localTime(at: instant)
        return self.instant(
            on: day, second: local.hour * 3600 + local.minute * 60 + local.second, millisecond: local.millisecond)
    }

    /// The first moment after `instant`, and before `end`, at which the clocks go back.
    package func repeatStart(after instant: Instant, before end: Instant) -> Instant? {
        var instant = instant
        while let change = zone.nextTransition(after: instant), change.instant < end {
            if change.offsetAfter < change.offsetBefore { return change.instant }
            instant = change.instant
        }
        return nil
    }
}
