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
            recurrence: try recurrence(anchor: anchor, hash: hash, zones: zones), first: startAt, last: endAt)
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
        }
    }

    private func expression(hash: UInt64) throws(TimingError) -> CronExpression {
        guard let cronExpression else { throw TimingError(field: "cron_expression", "expected a cron expression") }
        do { return try CronExpression(parsing: cronExpression, hash: hash) } catch {
            throw TimingError(field: "cron_expression", error.description)
        }
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
    package func firstOccurrence(of source: OccurrenceSource, now: Instant) -> Instant? {
        switch type {
        case .once, .immediate: source.next(after: Instant.earliest)
        case .cron, .interval: source.next(after: now)
        }
    }
}
