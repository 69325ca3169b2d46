package import Recurrence

/// An occurrence that a claim decided to fire.
package struct PlannedFire: Hashable, Sendable {
    package let scheduledFor: Instant
    package let dueAt: Instant
    package let trigger: Trigger
    /// How many missed occurrences this fire stands for.
    package let missedCount: Int64
    /// Beyond the grace: it comes under the slower catch-up rate.
    package let isMisfired: Bool
}

/// What a claim does with one timer: what fires, what is skipped, where the timer stands afterwards.
package struct ClaimPlan: Hashable, Sendable {
    package var fires: [PlannedFire] = []
    package var skips: [SkipRun] = []
    package var nextFireAt: Instant?
    /// The first occurrence that is not accounted for, where calendars, windows or freezes move what is due.
    package var resumeFrom: Instant?
    /// The freeze that the timer waits for.
    package var heldBy: FreezeID?
    package var runCount: Int64
    /// No occurrence is to come: the schedule is exhausted when the last one is terminal.
    package var isLast: Bool { nextFireAt == nil }
}

/// Decides over the occurrences of one schedule that a claim meets (semantics.md §3). Pure and total.
///
/// An occurrence *waits* when its due time has passed. A single one within the grace fires as it is. Of several, or
/// beyond the grace, the newest within the grace fires and the policy decides over the others. What is not yet due, up
/// to the horizon, is claimed as it is. Counting is arithmetic: a timer that slept for a year is decided as quickly as
/// one that slept for a second.
package struct ClaimPlanner: Sendable {
    package let source: OccurrenceSource
    /// Where its occurrences go; nil where each fires at its own time.
    package let placement: Placement?
    package let rule: MisfireRule
    /// `due_at − scheduled_for`, in milliseconds.
    package let offset: Int64
    package let runLimit: Int64?
    package let trigger: Trigger
    /// Of a schedule that messages drive: its timing; its source has no occurrences.
    package let listening: Timing?
    /// The most future occurrences that one claim takes of one schedule: a bound on memory, not a policy.
    package static let mostAhead = 100

    package init(
        source: OccurrenceSource, placement: Placement? = nil, rule: MisfireRule, offset: Int64, runLimit: Int64?,
        trigger: Trigger, listening: Timing? = nil
    ) {
        self.listening = listening
        self.source = source
        self.placement = placement
        self.rule = rule
        self.offset = offset
        self.runLimit = runLimit
        self.trigger = trigger
    }

    /// - Parameters:
    ///   - nextFireAt: the timer's due time, which is an occurrence of the source plus the offset.
    ///   - runCount: what was fired before.
    ///   - horizon: what is due up to here is claimed; never before `now`.
    ///   - room: how many executions the claim may still open. It ends what is claimed ahead of time; what waits is
    ///     decided over whole, and the caller looks whether that fits (``ClaimRoom``).
    package func plan(
        nextFireAt: Instant, runCount: Int64, now: Instant, horizon: Instant, room: Int = .max
    ) -> ClaimPlan {
        var plan = ClaimPlan(runCount: runCount)
        // An edit may have lowered the limit below what was fired.
        guard mayFire(plan) else { return plan }
        let first = nextFireAt.adding(milliseconds: -offset)
        let nominalNow = now.adding(milliseconds: -offset)
        var next: Instant? = first
        if first <= nominalNow, let newest = source.latest(through: nominalNow), newest >= first {
            let lateness = nominalNow.milliseconds - newest.milliseconds
            if newest > first || lateness > rule.graceMilliseconds {
                decideWaiting(from: first, newest: newest, lateness: lateness, into: &plan)
                next = source.next(after: newest)
            }
        }
        let nominalHorizon = max(now, horizon).adding(milliseconds: -offset)
        var ahead = 0
        while let occurrence = next, occurrence <= nominalHorizon, ahead < Self.mostAhead,
            plan.fires.count < room || occurrence <= nominalNow, mayFire(plan)
        {
            fire(occurrence, trigger: trigger, into: &plan)
            next = source.next(after: occurrence)
            ahead += 1
        }
        plan.nextFireAt = mayFire(plan) ? next.map { $0.adding(milliseconds: offset) } : nil
        return plan
    }

    /// What a resumed schedule does: occurrences that passed while it was paused are skipped, unless `catchUp` leaves
    /// them to the misfire policy.
    /// - Parameter reason: what is said of those that are skipped.
    package func resume(
        from first: Instant?, now: Instant, catchUp: Bool, reason: SkipReason = .paused
    ) -> (skipped: SkipRun?, position: TimerPosition) {
        guard let first else { return (nil, .over) }
        if let listening, listening.type == .absence {
            // Nobody listened meanwhile: it counts from now on.
            return (nil, position(at: listening.deadline(after: now, source.recurrence)))
        }
        guard !catchUp, let skipped = passed(from: first, now: now, reason: reason) else {
            return (nil, position(at: first))
        }
        return (skipped, position(at: source.next(after: skipped.last)))
    }

    /// The occurrences from a timer's next one through `now` that an end of their time, by an edit or a deletion, takes
    /// away unclaimed: they are told as skipped, or the ledger would have a gap.
    package func passed(from first: Instant, now: Instant, reason: SkipReason) -> SkipRun? {
        let last = now.adding(milliseconds: -offset)
        guard let placement else { return SkipRun(of: source, from: first, last: last, reason: reason) }
        return placement.last(from: first, dueThrough: last).flatMap {
            SkipRun(of: source, from: first, last: $0, reason: reason)
        }
    }

    /// Where a timer stands whose next occurrence is this one.
    package func position(at occurrence: Instant?) -> TimerPosition {
        guard let placement else {
            return TimerPosition(
                nextFireAt: occurrence?.adding(milliseconds: offset), resumeFrom: nil, heldBy: nil)
        }
        return position(placement, at: occurrence)
    }

    func mayFire(_ plan: ClaimPlan) -> Bool {
        runLimit.map { plan.runCount < $0 } ?? true
    }

    private func decideWaiting(from first: Instant, newest: Instant, lateness: Int64, into plan: inout ClaimPlan) {
        let isWithinGrace = lateness <= rule.graceMilliseconds
        let beforeNewest = Instant(milliseconds: newest.milliseconds - 1)
        switch rule.policy {
        case .fireOnce:
            guard isWithinGrace || lateness <= rule.catchupWindowMilliseconds else {
                skip(from: first, through: newest, .misfire, into: &plan)
                return
            }
            let missed = skip(from: first, through: beforeNewest, .coalesced, into: &plan)
            let isPlain = isWithinGrace && missed == 0
            fire(
                newest, trigger: isPlain ? trigger : .catchup, missed: missed, misfired: !isWithinGrace, into: &plan)
        case .skip:
            skip(from: first, through: isWithinGrace ? beforeNewest : newest, .misfire, into: &plan)
            if isWithinGrace { fire(newest, trigger: trigger, into: &plan) }
        case .fireAll:
            let end = isWithinGrace ? beforeNewest : newest
            var cursor: Instant? = first
            var made: Int64 = 0
            while let occurrence = cursor, occurrence <= end, made < rule.catchupLimit, mayFire(plan) {
                // Measured from the same now as the newest's lateness.
                let isMisfired = newest.milliseconds - occurrence.milliseconds + lateness > rule.graceMilliseconds
                fire(occurrence, trigger: .catchup, misfired: isMisfired, into: &plan)
                cursor = source.next(after: occurrence)
                made += 1
            }
            guard mayFire(plan) else { return }
            if let cursor, cursor <= end { skip(from: cursor, through: end, .catchupCap, into: &plan) }
            if isWithinGrace { fire(newest, trigger: trigger, into: &plan) }
        }
    }

    private func fire(
        _ occurrence: Instant, trigger: Trigger, missed: Int64 = 0, misfired: Bool = false, into plan: inout ClaimPlan
    ) {
        plan.fires.append(
            PlannedFire(
                scheduledFor: occurrence, dueAt: occurrence.adding(milliseconds: offset), trigger: trigger,
                missedCount: missed, isMisfired: misfired))
        plan.runCount += 1
    }

    @discardableResult
    private func skip(from: Instant, through: Instant, _ reason: SkipReason, into plan: inout ClaimPlan) -> Int64 {
        guard let run = SkipRun(of: source, from: from, last: through, reason: reason) else { return 0 }
        plan.skips.append(run)
        return run.count
    }
}
