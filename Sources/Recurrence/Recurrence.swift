/// When a schedule is due: a set of instants, answered by pure arithmetic.
///
/// All questions are total: any instant is a valid argument, and each ends after a bounded number of
/// steps. Occurrences lie in the years 0001 to 9999.
package enum Recurrence: Hashable, Sendable {
    /// The readings of a zone's wall clock that match a pattern, at whole seconds.
    case cron(CronPattern, zone: ZoneRules, policy: DSTPolicy)

    /// `anchor`, and every whole number of periods after it: elapsed time, which no zone changes. The
    /// period is positive; a smaller one counts as 1.
    case interval(periodMilliseconds: Int64, anchor: Instant)

    case once(Instant)

    /// A rule of RFC 5545 that has begun, at whole seconds.
    case rrule(ZonedRule)

    /// What a cron text says. `zone` and `policy` concern its fields, `anchor` an `@every`.
    package init(_ expression: CronExpression, zone: ZoneRules, policy: DSTPolicy = .vixie, anchor: Instant) {
        switch expression.form {
        case .pattern(let pattern): self = .cron(pattern, zone: zone, policy: policy)
        case .every(let milliseconds): self = .interval(periodMilliseconds: milliseconds, anchor: anchor)
        }
    }
}

extension Recurrence {
    /// The first occurrence strictly later than an instant, nil if there is none.
    package func next(after instant: Instant) -> Instant? {
        switch self {
        case .cron(let pattern, let zone, let policy):
            ZonedPattern(pattern, zone: zone, policy: policy).next(from: instant.wholeSeconds + 1)
                .flatMap { Instant(seconds: $0) }
        case .interval(let period, let anchor):
            IntervalSeries(period: period, anchor: anchor).next(after: instant)
        case .once(let occurrence):
            occurrence > instant ? occurrence : nil
        case .rrule(let rule):
            rule.next(from: instant.wholeSeconds + 1).flatMap { Instant(seconds: $0) }
        }
    }

    /// The last occurrence at or before an instant, nil if there is none.
    package func latest(through instant: Instant) -> Instant? {
        switch self {
        case .cron(let pattern, let zone, let policy):
            ZonedPattern(pattern, zone: zone, policy: policy).previous(from: instant.wholeSeconds)
                .flatMap { Instant(seconds: $0) }
        case .interval(let period, let anchor):
            IntervalSeries(period: period, anchor: anchor).latest(through: instant)
        case .once(let occurrence):
            occurrence <= instant ? occurrence : nil
        case .rrule(let rule):
            rule.previous(from: instant.wholeSeconds).flatMap { Instant(seconds: $0) }
        }
    }

    /// How many occurrences are later than `start` and not later than `end`.
    ///
    /// Arithmetic: constant for intervals; for cron a step for each calendar month and each change of the
    /// clocks between the two, however often the pattern matches.
    package func count(after start: Instant, through end: Instant) -> Int {
        guard start < end else { return 0 }
        switch self {
        case .cron(let pattern, let zone, let policy):
            return ZonedPattern(pattern, zone: zone, policy: policy)
                .count(from: start.wholeSeconds + 1, before: end.wholeSeconds + 1)
        case .interval(let period, let anchor):
            let series = IntervalSeries(period: period, anchor: anchor)
            return series.count(through: end) - series.count(through: start)
        case .once(let occurrence):
            return occurrence > start && occurrence <= end ? 1 : 0
        case .rrule(let rule):
            return rule.count(from: start.wholeSeconds + 1, before: end.wholeSeconds + 1)
        }
    }

    /// All occurrences from the range's first instant on and before its last, in order, each found when it is
    /// asked for.
    package func fires(in range: Range<Instant>) -> Occurrences {
        Occurrences(recurrence: self, range: range)
    }

    /// The next `count` occurrences strictly later than an instant, in order; fewer if it ends before.
    package func fires(after instant: Instant, count: Int) -> [Instant] {
        var fires: [Instant] = []
        var last = instant
        while fires.count < count, let next = next(after: last) {
            fires.append(next)
            last = next
        }
        return fires
    }
}

/// The occurrences of a recurrence in a range.
package struct Occurrences: Sequence, Sendable {
    let recurrence: Recurrence
    let range: Range<Instant>

    package func makeIterator() -> Iterator {
        // Whole milliseconds: strictly later than the one before is at the instant or later.
        Iterator(recurrence: recurrence, last: nil, range: range)
    }

    package struct Iterator: IteratorProtocol {
        let recurrence: Recurrence
        var last: Instant?
        let range: Range<Instant>

        package mutating func next() -> Instant? {
            guard let next = last.map(recurrence.next(after:)) ?? recurrence.first(from: range.lowerBound),
                next < range.upperBound
            else { return nil }
            last = next
            return next
        }
    }
}

extension Recurrence {
    /// The first occurrence at or after an instant.
    fileprivate func first(from instant: Instant) -> Instant? {
        latest(through: instant) == instant ? instant : next(after: instant)
    }
}

/// `anchor + n × period` for n = 0, 1, 2, …, in milliseconds.
private struct IntervalSeries {
    let period: Int64
    let anchor: Instant

    init(period: Int64, anchor: Instant) {
        self.period = max(period, 1)
        self.anchor = anchor
    }

    func next(after instant: Instant) -> Instant? {
        guard instant >= anchor else { return anchor }
        let phase = instant.milliseconds(since: anchor) % period
        let (next, overflow) = instant.milliseconds.addingReportingOverflow(period - phase)
        guard !overflow, next <= Instant.latest.milliseconds else { return nil }
        return Instant(milliseconds: next)
    }

    func latest(through instant: Instant) -> Instant? {
        guard instant >= anchor else { return nil }
        return instant.adding(milliseconds: -(instant.milliseconds(since: anchor) % period))
    }

    func count(through instant: Instant) -> Int {
        guard instant >= anchor else { return 0 }
        return Int(instant.milliseconds(since: anchor) / period) + 1
    }
}
