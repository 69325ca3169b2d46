package import Recurrence

/// A schedule's own occurrences: its recurrence between its bounds. Pure; all instants are nominal (`scheduled_for`).
package struct OccurrenceSource: Sendable {
    package let recurrence: Recurrence
    /// The first instant that may be an occurrence (`start_at`), inclusive.
    package let first: Instant?
    /// The last instant that may be an occurrence (`end_at`), inclusive.
    package let last: Instant?

    /// It has none: messages decide when the schedule fires, and the recurrence says no more than when they are expected.
    let isEmpty: Bool

    package init(recurrence: Recurrence, first: Instant? = nil, last: Instant? = nil, isEmpty: Bool = false) {
        self.isEmpty = isEmpty
        self.recurrence = recurrence
        self.first = first
        self.last = last
    }

    /// The earliest occurrence strictly later than `instant`.
    package func next(after instant: Instant) -> Instant? {
        if isEmpty { return nil }
        var lower = instant
        if let first, lower < first { lower = Instant(milliseconds: first.milliseconds - 1) }
        guard let next = recurrence.next(after: lower) else { return nil }
        if let last, next > last { return nil }
        return next
    }

    /// The latest occurrence at or before `instant`.
    package func latest(through instant: Instant) -> Instant? {
        if isEmpty { return nil }
        let upper = last.map { min($0, instant) } ?? instant
        guard let latest = recurrence.latest(through: upper) else { return nil }
        if let first, latest < first { return nil }
        return latest
    }

    /// The most changes of the clocks that one look tells of: those of at least 15 years.
    private static let mostRemovals = 32

    /// Local times that match, but that jumps of the clocks between two instants leave out, and for which nothing
    /// stands: no occurrences, and yet what somebody may wait for (semantics.md §2).
    package func removedTimes(after start: Instant, through end: Instant) -> [RemovedTimes] {
        let start = first.map { max($0, start) } ?? start
        guard !isEmpty, start < end else { return [] }
        return recurrence.removedTimes(after: start, through: end, limit: Self.mostRemovals).filter { !$0.isMadeUp }
    }

    /// How many occurrences lie in `from...through`; arithmetic, whatever the distance.
    package func count(from: Instant, through: Instant) -> Int64 {
        let lower = first.map { max($0, from) } ?? from
        let upper = last.map { min($0, through) } ?? through
        guard !isEmpty, lower <= upper else { return 0 }
        return Int64(recurrence.count(after: Instant(milliseconds: lower.milliseconds - 1), through: upper))
    }
}

/// A run of occurrences in a row that do not fire, all for one reason.
package struct SkipRun: Hashable, Sendable {
    /// Runs longer than this are kept as one range row (contract.md §5).
    package static let mostSingleRows: Int64 = 10

    package let reason: SkipReason
    package let from: Instant
    package let last: Instant
    package let count: Int64
    /// The occurrences one by one where there are at most ``mostSingleRows``, else empty: then it is one range.
    package let instants: [Instant]

    /// One occurrence that is known, though its source is not.
    package init(single instant: Instant, reason: SkipReason) {
        self.reason = reason
        from = instant
        last = instant
        count = 1
        instants = [instant]
    }

    /// The run of all occurrences in `from...last`; nil where there is none.
    init?(of source: OccurrenceSource, from: Instant, last: Instant, reason: SkipReason) {
        let count = source.count(from: from, through: last)
        guard count > 0, let end = source.latest(through: last) else { return nil }
        self.reason = reason
        self.count = count
        self.last = end
        guard count <= Self.mostSingleRows else {
            self.from = from
            instants = []
            return
        }
        var instants: [Instant] = []
        var cursor = Instant(milliseconds: from.milliseconds - 1)
        while let next = source.next(after: cursor), next <= end {
            instants.append(next)
            cursor = next
        }
        self.instants = instants
        self.from = instants.first ?? from
    }
}

/// Why an occurrence was skipped (contract.md §5).
package enum SkipReason: String, Sendable, CaseIterable {
    case misfire
    case paused
    case deleted
    case superseded
    case coalesced
    case catchupCap = "catchup_cap"
    case targetRevoked = "target_revoked"
    /// A calendar, the execution windows or a freeze leave it out.
    case window
    /// As many executions were open as there may be, and as many waited.
    case overlap
    /// Its time had come, and its schedule is in shadow.
    case shadow
}
