/// A span of local time that comes back each week, such as Monday to Friday from 08:00 to 18:00.
package struct ExecutionWindow: Hashable, Sendable {
    /// The days on which it begins.
    package let days: Weekdays
    /// Seconds since midnight: 0 to 86,340.
    package let from: Int
    /// Seconds since midnight, exclusive, up to 86,400 (midnight at the day's end). Not later than `from`: on the next
    /// day.
    package let to: Int

    package init(days: Weekdays, from: Int, to: Int) {
        self.days = days
        self.from = from
        self.to = to
    }

    package var endsNextDay: Bool { to <= from }

    /// Reads `08:00`, or `24:00` where a day ends; nil for anything else.
    package static func secondOfDay(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.count == 5, bytes[2] == UInt8(ascii: ":"), let hour = Int(text.prefix(2)),
            let minute = Int(text.suffix(2)), bytes.allSatisfy({ $0 >= 0x30 && $0 <= 0x3A }), hour >= 0,
            (0..<60).contains(minute), hour < 24 || (hour == 24 && minute == 0)
        else { return nil }
        return hour * 3600 + minute * 60
    }

    /// `08:00`.
    package static func text(ofSecond second: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return two(second / 3600) + ":" + two(second / 60 % 60)
    }
}

/// The time that days and windows leave open, as stretches of instants in a zone.
///
/// A window belongs to the day on which it begins, and opens only if that day is in the set; an instant is open if its
/// own day is in the set besides. Both ends of a window are read on the zone's clock: in a gap the first valid instant
/// after it, in a repeat the first pass; one that lies in a gap as a whole does not open that day.
package struct OpenTime: Hashable, Sendable {
    /// From `start` to `end`, which is exclusive.
    package struct Stretch: Hashable, Sendable {
        package let start: Instant
        package let end: Instant
    }

    package let local: LocalDays
    package let days: DaySet?
    /// Empty: the whole day.
    package let windows: [ExecutionWindow]

    package init(zone: ZoneRules, days: DaySet?, windows: [ExecutionWindow]) {
        local = LocalDays(zone: zone)
        self.days = days
        self.windows = windows
    }

    /// The stretch that holds `instant`, else the next one; nil where none follows within ``DaySet/longestSearch`` days.
    package func stretch(atOrAfter instant: Instant) -> Stretch? {
        let today = local.day(of: instant)
        guard !windows.isEmpty else { return wholeDays(from: today) }
        var best: Stretch?
        for offset in -1..<DaySet.longestSearch {
            let day = today.adding(days: offset)
            // A window that begins on a later day cannot begin before one that was found.
            if let best, best.start < local.start(of: day) { return best }
            guard isOpen(day) else { continue }
            for window in windows where window.days.contains(day.weekday) {
                for stretch in stretches(of: window, on: day) where stretch.end > instant {
                    if let best, !stretch.comes(before: best, from: instant) { continue }
                    best = stretch
                }
            }
        }
        return best
    }

    private func isOpen(_ day: CalendarDay) -> Bool { days?.contains(day) ?? true }

    private func wholeDays(from today: CalendarDay) -> Stretch? {
        guard let days else { return Stretch(start: .earliest, end: .latest) }
        guard let first = days.first(atOrAfter: today) else { return nil }
        return Stretch(start: local.start(of: first), end: local.start(of: days.endOfRun(from: first)))
    }

    /// A window over midnight is two stretches, of which the second needs its own day to be open.
    private func stretches(of window: ExecutionWindow, on day: CalendarDay) -> [Stretch] {
        let from = local.instant(on: day, second: window.from)
        guard window.endsNextDay else {
            return [Stretch(from, local.instant(on: day, second: window.to))].compactMap(\.self)
        }
        let next = day.adding(days: 1)
        let midnight = local.start(of: next)
        let evening = Stretch(from, midnight)
        let morning = Stretch(midnight, local.instant(on: next, second: window.to))
        guard isOpen(next) else { return [evening].compactMap(\.self) }
        return [evening, morning].compactMap(\.self)
    }
}

extension OpenTime.Stretch {
    /// Nil where nothing lies between the two.
    fileprivate init?(_ start: Instant, _ end: Instant) {
        guard start < end else { return nil }
        self.init(start: start, end: end)
    }

    /// Of two that overlap, the one that is open sooner, then the one that is open longer.
    fileprivate func comes(before other: OpenTime.Stretch, from instant: Instant) -> Bool {
        let (opens, otherOpens) = (max(start, instant), max(other.start, instant))
        return opens == otherOpens ? end > other.end : opens < otherOpens
    }
}
