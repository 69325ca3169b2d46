package import Recurrence

/// Where zone rules come from: the system's tzdata, handed in so that this module reads no files.
package typealias ZoneLookup = @Sendable (String) throws(ZoneError) -> ZoneRules

/// A timing that means nothing, with the field that is to blame.
package struct TimingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The request field's name.
    package let field: String
    package let description: String

    package init(field: String, _ description: String) {
        self.field = field
        self.description = description
    }
}

extension Timing {
    /// The occurrences that this timing means.
    ///
    /// - Parameters:
    ///   - anchor: what an interval counts from, and when an `immediate` schedule fires.
    ///   - hash: what `H` chooses by, ``Schedule/timingHash(namespace:name:)``.
    package func source(anchor: Instant, hash: UInt64, zones: ZoneLookup) throws(TimingError) -> OccurrenceSource {
        OccurrenceSource(
            recurrence: try recurrence(anchor: anchor, hash: hash, zones: zones), first: startAt, last: endAt,
            isEmpty: isListening)
    }

    /// Where the occurrences go; nil where each fires at its own time.
    ///
    /// - Parameter calendars: those that the constraint names.
    package func placement(
        of source: OccurrenceSource, zones: ZoneLookup, calendars: [CalendarName: BusinessCalendar]
    ) throws(TimingError) -> Placement? {
        guard !constraint.isEmpty else { return nil }
        func calendar(_ name: CalendarName, _ field: String) throws(TimingError) -> BusinessCalendar {
            guard let calendar = calendars[name] else {
                throw TimingError(field: field, "expected a calendar of the namespace, there is none called '\(name)'")
            }
            return calendar
        }
        var days: DaySet?
        if let name = constraint.onlyOn { days = try calendar(name, "only_on").businessDays }
        if let name = constraint.notOn {
            let open = try calendar(name, "not_on").notHolidays
            days = days.map { $0.intersection(open) } ?? open
        }
        let zone: ZoneRules = dstPolicy == .utc ? .utc : try zoneRules(zones)
        return Placement(source: source, constraint: constraint, days: days, zone: zone)
    }

    private func recurrence(anchor: Instant, hash: UInt64, zones: ZoneLookup) throws(TimingError) -> Recurrence {
        switch type {
        case .cron:
            let zone = try zoneRules(zones)
            let expression = try expression(hash: hash)
            guard (expression.timezone ?? timezone) == timezone else {
                throw TimingError(
                    field: "cron_expression",
                    "expected the time zone of 'timezone', '\(timezone)', in front of it, or none")
            }
            return Recurrence(expression, zone: zone, policy: dstPolicy, anchor: startAt ?? anchor)
        case .interval:
            guard let period = intervalMilliseconds else {
                throw TimingError(field: "interval_seconds", "expected an interval")
            }
            return .interval(periodMilliseconds: period, anchor: startAt ?? anchor)
        case .once:
            guard let runAt else { throw TimingError(field: "run_at", "expected an instant") }
            return .once(runAt)
        case .immediate:
            return .once(anchor)
        case .event:
            return .once(.latest)
        case .absence where cronExpression == nil:
            return .once(.latest)
        case .absence:
            return Recurrence(
                try expression(hash: hash), zone: try zoneRules(zones), policy: dstPolicy, anchor: anchor)
        case .rrule:
            return .rrule(try rule(anchor: anchor, zone: try zoneRules(zones)))
        }
    }

    private func expression(hash: UInt64) throws(TimingError) -> CronExpression {
        guard let cronExpression else { throw TimingError(field: "cron_expression", "expected a cron expression") }
        do { return try CronExpression(parsing: cronExpression, hash: hash) } catch {
            throw TimingError(field: "cron_expression", error.description)
        }
    }

    /// A rule without `start_at` begins with the anchor, to the whole second, and recurs later than that only: as with
    /// an interval, to make a schedule is no occurrence of it, and `COUNT` counts what can fire.
    private func rule(anchor: Instant, zone: ZoneRules) throws(TimingError) -> ZonedRule {
        guard let rrule else { throw TimingError(field: "rrule", "expected a recurrence rule") }
        do {
            return try ZonedRule(
                RecurrenceRule(parsing: rrule), zone: zone, policy: dstPolicy, start: startAt ?? anchor,
                includesStart: startAt != nil)
        } catch { throw TimingError(field: "rrule", error.description) }
    }

    /// A zone that is not known is to blame where it was written.
    private func zoneRules(_ zones: ZoneLookup) throws(TimingError) -> ZoneRules {
        do { return try zones(timezone) } catch {
            guard let prefix = cronExpression.flatMap(CronExpression.zonePrefix), prefix.name == timezone else {
                throw TimingError(field: "timezone", error.description)
            }
            throw TimingError(
                field: "cron_expression", "The time zone in front (byte \(prefix.offset)): \(error.description)")
        }
    }

    /// The first occurrence of a schedule that begins, or whose timing was edited, at `now`: strictly later than that,
    /// but for `once` and `immediate`, whose only instant may have passed by then.
    ///
    /// What a calendar would have moved to before `now` is none: nothing ever fires backwards.
    package func firstOccurrence(
        of source: OccurrenceSource, placement: Placement? = nil, now: Instant
    ) -> Instant? {
        switch type {
        case .event, .absence: return firstTurn(source.recurrence, now: now)
        case .once, .immediate: return source.next(after: Instant.earliest)
        case .cron, .interval, .rrule:
            guard let first = source.next(after: now), let placement else { return source.next(after: now) }
            return placement.last(from: first, dueThrough: now).map { source.next(after: $0) } ?? first
        }
    }
}
