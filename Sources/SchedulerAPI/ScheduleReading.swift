import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// What a creator says, read and checked as a whole: every problem is told at once.
extension ScheduleDefinitions {
    /// Reads and checks a definition; throws every problem at once.
    /// - Parameters:
    ///   - current: what absent fields keep; nil where they mean the defaults.
    ///   - old: what the schedule says so far: a timing that stays is not held against what has passed of it.
    ///   - missing: calendars that the request names and the namespace does not have; the others are loaded.
    func read(
        _ body: inout BodyReader, onto current: ScheduleDefinition?, insteadOf old: ScheduleDefinition? = nil,
        id: ScheduleID, namespace: Namespace, anchor: Instant, now: Instant, without missing: Set<CalendarName>
    ) throws -> Checked {
        var reader = DefinitionReader(body, defaults: context.defaults, zones: context.session.compiler.zones)
        let read = reader.read(onto: current, idName: try ScheduleName(id.description))
        body = read.body
        checkTarget(read, of: id, in: namespace, now, &body)
        var meaning: Meaning?
        if let timing = read.timing, !reportMissing(missing, timing.constraint, &body) {
            let name = try read.name ?? ScheduleName(id.description)
            let isRenamed = old.map { $0.name != name } ?? false
            let isRetimed = old?.timing != timing || (isRenamed && timing.dependsOnName)
            let question = TimingQuestion(
                timing: timing, namespace: namespace, hash: Schedule.timingHash(namespace: namespace, name: name),
                anchor: isRetimed ? now : anchor, graceMilliseconds: read.graceMilliseconds, isRetimed: isRetimed)
            meaning = self.meaning(of: question, now, &body)
        }
        try body.finish()
        guard let definition = read.definition, let meaning else {
            throw WireError(.internalError, "a definition without a problem could not be read")
        }
        return Checked(
            definition: definition, source: meaning.source, placement: meaning.placement,
            firstOccurrence: meaning.first)
    }

    private typealias Meaning = (source: OccurrenceSource, placement: Placement?, first: Instant)

    private func reportMissing(
        _ missing: Set<CalendarName>, _ constraint: FireConstraint, _ body: inout BodyReader
    ) -> Bool {
        var isAnyMissing = false
        for (field, name) in [("only_on", constraint.onlyOn), ("not_on", constraint.notOn)] {
            guard let name, missing.contains(name) else { continue }
            isAnyMissing = true
            body.report(field, "the namespace has no calendar called '\(name)'", as: .calendarNotFound)
        }
        return isAnyMissing
    }

    /// A timing, and what besides it decides over its occurrences.
    private struct TimingQuestion {
        let timing: Timing
        let namespace: Namespace
        let hash: UInt64
        let anchor: Instant
        let graceMilliseconds: Int64
        /// It is new, or edited.
        let isRetimed: Bool
    }

    private func meaning(
        of question: TimingQuestion, _ now: Instant, _ body: inout BodyReader
    ) -> Meaning? {
        let (timing, isRetimed) = (question.timing, question.isRetimed)
        guard let source = source(of: question, &body) else { return nil }
        let calendars = context.session.compiler.calendars(timing.constraint.calendars, of: question.namespace)
        var placement: Placement?
        do {
            placement = try timing.placement(of: source, zones: context.session.compiler.zones, calendars: calendars)
        } catch {
            body.report(
                error.field, error.description, as: error.field == "timezone" ? .unknownTimezone : .invalidTiming)
            return nil
        }
        if isRetimed, timing.type == .once, let runAt = timing.runAt {
            checkOnce(runAt, grace: question.graceMilliseconds, now, &body)
        }
        if timing.spreadMilliseconds > 0, let period = source.recurrence.shortestPeriodMilliseconds,
            timing.spreadMilliseconds > period
        {
            body.report("spread_seconds", "expected at most the shortest period, \(Double(period) / 1000) s")
        }
        if isRetimed { checkInterval(of: source, timing, for: question.namespace, &body) }
        guard let first = timing.firstOccurrence(of: source, placement: placement, now: now) else {
            guard isRetimed else { return (source, placement, question.anchor) }
            body.report(timing.mainField, "has no occurrence after now within its bounds", as: .neverFires)
            return nil
        }
        if isRetimed, let placement,
            !willFire(placement, from: first, by: now.adding(milliseconds: -question.graceMilliseconds))
        {
            body.report(
                timing.mainField, "has no occurrence that its calendars and windows let fire after now", as: .neverFires
            )
            return nil
        }
        return (source, placement, first)
    }

    /// Whether anything fires, and what fires first is not moved to a time that has passed.
    private func willFire(_ placement: Placement, from first: Instant, by limit: Instant) -> Bool {
        placement.firstFiring(from: first).map { placement.place(of: $0).due >= limit } ?? false
    }

    private func source(of question: TimingQuestion, _ body: inout BodyReader) -> OccurrenceSource? {
        let (timing, anchor, hash) = (question.timing, question.anchor, question.hash)
        do { return try timing.source(anchor: anchor, hash: hash, zones: context.session.compiler.zones) } catch {
            guard error.field == "timezone" else {
                body.report(error.field, error.description, as: .invalidTiming)
                return nil
            }
            if !body.hasProblem("timezone") { body.report("timezone", error.description, as: .unknownTimezone) }
        }
        // The expression may be wrong besides; no zone is needed to see that.
        do { _ = try timing.source(anchor: anchor, hash: hash, zones: { _ in .utc }) } catch {
            body.report(error.field, error.description, as: .invalidTiming)
        }
        return nil
    }

    /// Only where the timing is new or edited: a limit that came later hinders no other edit.
    private func checkInterval(
        of source: OccurrenceSource, _ timing: Timing, for namespace: Namespace, _ body: inout BodyReader
    ) {
        guard let least = context.session.limits.limits(of: namespace).minIntervalMilliseconds,
            let period = source.recurrence.shortestPeriodMilliseconds, period < least
        else { return }
        body.report(
            timing.mainField,
            "recurs after \(Double(period) / 1000) s, namespace '\(namespace)' may at most each "
                + "\(Double(least) / 1000) s", as: .intervalTooShort)
    }

    private func checkOnce(_ runAt: Instant, grace: Int64, _ now: Instant, _ body: inout BodyReader) {
        let most = context.defaults.mostLookaheadDays * 86_400_000
        if runAt.milliseconds(since: now) > most {
            body.report("run_at", "expected at most \(context.defaults.mostLookaheadDays) days ahead")
        }
        if now.milliseconds(since: runAt) > grace {
            body.report("run_at", "lies in the past by more than misfire_grace_seconds: it would never fire")
        }
    }
}

extension Timing {
    /// The field that a fault of the timing as a whole is reported at.
    fileprivate var mainField: String {
        switch type {
        case .cron: "cron_expression"
        case .interval: "interval_seconds"
        case .once: "run_at"
        case .immediate: "schedule_type"
        case .rrule: "rrule"
        case .event: "event_subject"
        case .absence: cronExpression == nil ? "absence_seconds" : "cron_expression"
        }
    }
}
