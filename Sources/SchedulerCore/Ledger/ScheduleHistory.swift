package import Recurrence

/// What a schedule's timing was over a stretch of time: its generations, as far as the tables tell. Pure.
package struct ScheduleHistory: Sendable {
    /// A schedule and its timer as they stand, read at one moment.
    package struct Standing: Sendable {
        package let schedule: Schedule
        package let timer: Timer
        /// When it was exhausted or deleted.
        package let endedAt: Instant?
        package let now: Instant

        package init(schedule: Schedule, timer: Timer, endedAt: Instant?, now: Instant) {
            self.schedule = schedule
            self.timer = timer
            self.endedAt = endedAt
            self.now = now
        }
    }

    /// What has passed, or is due, and is not accounted for.
    package struct Waiting: Sendable {
        let source: OccurrenceSource
        let from: Instant
        let through: Instant
        /// When the timer is looked at.
        let dueAt: Instant?
        let isActive: Bool
    }

    package let standing: Standing
    /// The newest first.
    package private(set) var spans: [LedgerSpan] = []
    package private(set) var doubts: [LedgerDoubt] = []
    package private(set) var waiting: Waiting?
    /// Zone data decide over its occurrences.
    package private(set) var isZoned = false

    /// Rows behind a generation's end: what was claimed ahead of it and sent. No claim reaches further ahead.
    private static let ahead: Int64 = 120_000

    private let zones: ZoneLookup
    private let calendars: [CalendarName: BusinessCalendar]

    /// - Parameters:
    ///   - turns: the edits of the timing, newest first, as far back as anybody asks: one before the time that is looked
    ///     at, or all.
    ///   - calendars: those that its timings name, as far as there are any.
    package init(
        _ standing: Standing, turns: [TimingTurn], zones: @escaping ZoneLookup,
        calendars: [CalendarName: BusinessCalendar]
    ) {
        self.standing = standing
        self.zones = zones
        self.calendars = calendars
        let schedule = standing.schedule
        var generation = schedule.generation
        var begin = generation == 1 ? schedule.createdAt : schedule.anchor
        addCurrent(from: begin)
        for (index, turn) in turns.enumerated() {
            guard generation > 1, turn.at == begin else { break }
            generation -= 1
            let opening = turns.indices.contains(index + 1) ? turns[index + 1].at : nil
            guard let opened = generation == 1 ? schedule.createdAt : opening else { break }
            add(turn, generation, from: opened)
            begin = opened
        }
        guard generation > 1 else { return }
        doubts.append(LedgerDoubt(.definitionUnknown, from: .earliest, through: begin.justBefore))
    }

    /// What a timing means, for one generation.
    private struct Meaning {
        let generation: Int32
        let timing: Timing
        let source: OccurrenceSource
        let placement: Placement?
        let offset: Int64
        let begin: Instant

        var first: Instant? { timing.firstOccurrence(of: source, placement: placement, now: begin) }

        var isZoned: Bool {
            let isWallClock = timing.type == .cron || timing.type == .rrule || !timing.constraint.isEmpty
            return isWallClock && timing.timezone != "UTC" && timing.dstPolicy != .utc
        }

        /// How far a calendar moves an occurrence back before its own time.
        private var farthest: Int64 {
            timing.constraint.shift == .previousBusinessDay ? DayShift.farthest : 0
        }

        /// - Parameters:
        ///   - last: the last that is owed; nil where none is.
        ///   - end: when the generation ended; now where it goes on.
        func span(through last: Instant?, end: Instant, isSpent: Bool) -> LedgerSpan {
            // The only instant of these may have passed when they were made.
            let isSingle = timing.type == .once || timing.type == .immediate
            let lower = isSingle ? Instant.earliest : begin.adding(milliseconds: 1)
            let upper = max(lower, end.adding(milliseconds: ScheduleHistory.ahead + farthest))
            var required: ClosedRange<Instant>?
            if let first, let last, first <= last { required = first...last }
            // The one instant of a single fire is owed, unless it is a later generation's and the run was an earlier one's.
            let isOwed = isSingle && generation == 1
            return LedgerSpan(
                generation: generation, source: source, required: required, allowed: lower...upper,
                endsWithLastRow: isSpent && !isOwed, isListening: timing.isListening)
        }

        /// The last that was due when its time ended.
        func last(dueThrough end: Instant) -> Instant? {
            let end = end.adding(milliseconds: -offset)
            guard let placement, let first else { return end }
            return placement.last(from: first, dueThrough: end)
        }
    }

    private func meaning(
        _ name: ScheduleName, _ timing: Timing, generation: Int32, anchor: Instant, from begin: Instant
    ) -> Meaning? {
        let namespace = standing.schedule.namespace
        let hash = Schedule.timingHash(namespace: namespace, name: name)
        guard let source = try? timing.source(anchor: anchor, hash: hash, zones: zones) else { return nil }
        // Without its calendar only the bounds of a generation are uncertain: ``calendarDoubts(changedAt:)``.
        let placement = (try? timing.placement(of: source, zones: zones, calendars: calendars)) ?? nil
        let offset = Schedule.spreadOffset(
            of: "\(namespace)/\(name)", spreadMilliseconds: timing.spreadMilliseconds)
        return Meaning(
            generation: generation, timing: timing, source: source, placement: placement, offset: offset, begin: begin)
    }

    private mutating func addCurrent(from begin: Instant) {
        let (schedule, timer, now) = (standing.schedule, standing.timer, standing.now)
        let definition = schedule.definition
        guard
            let meant = meaning(
                definition.name, definition.timing, generation: schedule.generation, anchor: schedule.anchor,
                from: begin)
        else {
            doubts.append(LedgerDoubt(.definitionUnreadable, from: begin, through: .latest))
            return
        }
        isZoned = isZoned || meant.isZoned
        let isSpent = definition.timing.runLimit.map { timer.runCount >= $0 } ?? false
        if schedule.state == .deleted {
            let end = standing.endedAt ?? schedule.updatedAt
            spans.append(meant.span(through: meant.last(dueThrough: end), end: end, isSpent: isSpent))
            return
        }
        let next = timer.position(offset: meant.offset)
        spans.append(meant.span(through: next?.justBefore ?? .latest, end: now, isSpent: next == nil && isSpent))
        let present = now.adding(milliseconds: -meant.offset)
        guard let next, next <= present else { return }
        waiting = Waiting(
            source: meant.source, from: next, through: present, dueAt: timer.nextFireAt,
            isActive: schedule.state == .active)
    }

    /// A generation that an edit ended.
    private mutating func add(_ turn: TimingTurn, _ generation: Int32, from begin: Instant) {
        guard let before = turn.before,
            let meant = meaning(before.name, before.timing, generation: generation, anchor: begin, from: begin)
        else {
            doubts.append(LedgerDoubt(.definitionUnreadable, from: begin, through: turn.at))
            return
        }
        isZoned = isZoned || meant.isZoned
        let isSpent = before.timing.runLimit.map { before.runCount >= $0 } ?? false
        spans.append(meant.span(through: meant.last(dueThrough: turn.at), end: turn.at, isSpent: isSpent))
    }
}

extension ScheduleHistory {
    /// How far around a bound a changed calendar is given the benefit of the doubt, in milliseconds: 31 days.
    private static let calendarReach: Int64 = 31 * 86_400_000

    /// A calendar decides over what an edit took away, and over what a generation begins with: around the bounds of its
    /// generations nothing is certain once it has changed.
    /// - Parameter changedAt: the last change of the calendars that its timings name; nil where one of them is gone.
    package func calendarDoubts(changedAt: Instant?) -> [LedgerDoubt] {
        spans.flatMap { span -> [LedgerDoubt] in
            let (begin, end) = (span.allowed.lowerBound, span.allowed.upperBound)
            return [begin, end].compactMap { bound in
                guard changedAt.map({ $0 >= bound }) ?? true else { return nil }
                return LedgerDoubt(
                    .calendarChanged, from: bound.adding(milliseconds: -Self.calendarReach),
                    through: bound.adding(milliseconds: Self.calendarReach))
            }
        }
    }
}
