package import Recurrence

/// Where a timer stands: when it is looked at again, and from which occurrence on.
package struct TimerPosition: Hashable, Sendable {
    /// Spread included; nil where nothing is to come.
    package let nextFireAt: Instant?
    /// The nominal instant of the first occurrence that is not accounted for; nil where `nextFireAt` says it.
    package let resumeFrom: Instant?
    /// The freeze that it waits for: it needs a turn after that.
    package let heldBy: FreezeID?

    init(nextFireAt: Instant?, resumeFrom: Instant?, heldBy: FreezeID?) {
        self.nextFireAt = nextFireAt
        self.resumeFrom = resumeFrom
        self.heldBy = heldBy
    }

    /// Where a claim left it.
    package init(_ plan: ClaimPlan) {
        self.init(nextFireAt: plan.nextFireAt, resumeFrom: plan.resumeFrom, heldBy: plan.heldBy)
    }
}

extension Timer {
    /// Puts it where a decision left it.
    package mutating func stand(at position: TimerPosition) {
        nextFireAt = position.nextFireAt
        resumeFrom = position.resumeFrom
    }
}

/// The claim of a schedule whose occurrences do not all fire at their own time: calendars, windows and freezes.
///
/// The same decisions as for any other (``ClaimPlanner``), over occurrences that fire, by their due times. What does
/// not fire is a run of skips between them. Occurrences that fall on one due instant wait there together, so the
/// misfire policy decides over them as over any that wait: by `fire_once` the newest fires for all.
extension ClaimPlanner {
    /// - Parameters:
    ///   - first: the first occurrence that is not accounted for.
    ///   - horizon: what is due up to here is claimed; never before `now`.
    ///   - room: how many executions the claim may still open; it ends what is claimed ahead of time.
    package func plan(
        _ placement: Placement, from first: Instant, runCount: Int64, now: Instant, horizon: Instant, room: Int = .max
    ) -> ClaimPlan {
        var plan = ClaimPlan(runCount: runCount)
        let present = now.adding(milliseconds: -offset)
        let end = max(now, horizon).adding(milliseconds: -offset)
        // Itself, unless the zone's rules are others since the timer was set.
        var cursor = placement.source.next(after: first.justBefore)
        var skippedFor: Int64 = 0
        var steps = 0
        while let occurrence = cursor, steps < Self.mostAhead, mayFire(plan) {
            steps += 1
            let place = placement.place(of: occurrence)
            guard place.due <= end, plan.fires.count < room || place.due <= present else { break }
            guard place.fires else {
                let last = leftOut(from: occurrence, dueThrough: end, by: placement)
                append(SkipRun(of: placement.source, from: occurrence, last: last, reason: .window), to: &plan)
                cursor = placement.source.next(after: last)
                skippedFor = (cursor ?? last).milliseconds(since: occurrence)
                continue
            }
            let waiting = Waiting(
                placement, from: occurrence, due: place.due, through: max(place.due, min(present, end)),
                isLate: place.due <= present, now: present)
            decide(waiting, into: &plan)
            cursor = placement.source.next(after: waiting.newest)
            skippedFor = 0
        }
        let position = mayFire(plan) ? self.position(placement, at: cursor, afterSkipping: skippedFor) : .over
        plan.nextFireAt = position.nextFireAt
        plan.resumeFrom = position.resumeFrom
        plan.heldBy = position.heldBy
        return plan
    }

    /// Where a timer stands whose next occurrence is this one.
    ///
    /// What is skipped is told when it passes: the first one alone, then runs that grow, so that a night of seconds is a
    /// dozen rows and none of them comes later than a day.
    /// - Parameter skipped: how long the run of skips is that ended right before it, in milliseconds.
    func position(
        _ placement: Placement, at occurrence: Instant?, afterSkipping skipped: Int64 = 0
    ) -> TimerPosition {
        guard let occurrence else { return .over }
        let place = placement.place(of: occurrence)
        var wake = place.due
        if !place.fires, skipped > 0 {
            wake = wake.adding(milliseconds: min(2 * skipped, 86_400_000))
            if let next = placement.firstFiring(from: occurrence) { wake = min(wake, placement.place(of: next).due) }
        }
        return TimerPosition(
            nextFireAt: wake.adding(milliseconds: offset), resumeFrom: occurrence,
            heldBy: place.fires ? place.heldBy : nil)
    }

    /// Whether an occurrence that was claimed still fires, and not later than it was claimed for.
    package func stillFires(_ occurrence: Instant, by due: Instant) -> Bool {
        guard let place = placement?.place(of: occurrence) else { return true }
        return place.fires && place.due.adding(milliseconds: offset) <= due
    }

    /// The last of a run that does not fire, as far as it is due.
    private func leftOut(from occurrence: Instant, dueThrough end: Instant, by placement: Placement) -> Instant {
        let due = placement.last(from: occurrence, dueThrough: end) ?? occurrence
        guard let next = placement.firstFiring(from: occurrence), next <= due else { return due }
        return placement.source.latest(through: next.justBefore) ?? occurrence
    }

    /// Occurrences that wait together.
    private struct Waiting {
        let placement: Placement
        let first: Instant
        let firstDue: Instant
        let newest: Instant
        let newestDue: Instant
        /// How late the newest is, in milliseconds; 0 where it is not due yet.
        let lateness: Int64

        init(
            _ placement: Placement, from first: Instant, due: Instant, through end: Instant, isLate: Bool, now: Instant
        ) {
            self.placement = placement
            self.first = first
            firstDue = due
            let last = placement.last(from: first, dueThrough: end) ?? first
            newest = last > first ? placement.lastFiring(from: first, through: last) : first
            newestDue = newest > first ? placement.place(of: newest).due : due
            lateness = isLate ? now.milliseconds(since: newestDue) : 0
        }
    }

    private func decide(_ waiting: Waiting, into plan: inout ClaimPlan) {
        let isWithinGrace = waiting.lateness <= rule.graceMilliseconds
        let (first, newest) = (waiting.first, waiting.newest)
        if first == newest, isWithinGrace {
            fire(newest, due: waiting.newestDue, trigger: trigger, into: &plan)
            return
        }
        switch rule.policy {
        case .fireOnce:
            guard isWithinGrace || waiting.lateness <= rule.catchupWindowMilliseconds else {
                skip(waiting, from: first, through: newest, .misfire, into: &plan)
                return
            }
            let missed = skip(waiting, from: first, through: newest.justBefore, .coalesced, into: &plan)
            fire(
                newest, due: waiting.newestDue, trigger: .catchup, missed: missed, misfired: !isWithinGrace,
                into: &plan)
        case .skip:
            skip(waiting, from: first, through: isWithinGrace ? newest.justBefore : newest, .misfire, into: &plan)
            if isWithinGrace { fire(newest, due: waiting.newestDue, trigger: trigger, into: &plan) }
        case .fireAll:
            fireAll(waiting, isWithinGrace: isWithinGrace, into: &plan)
        }
    }

    private func fireAll(_ waiting: Waiting, isWithinGrace: Bool, into plan: inout ClaimPlan) {
        let placement = waiting.placement
        let end = isWithinGrace ? waiting.newest.justBefore : waiting.newest
        var cursor: Instant? = waiting.first
        var made: Int64 = 0
        while let occurrence = cursor, occurrence <= end, made < rule.catchupLimit, mayFire(plan) {
            guard let next = placement.firstFiring(from: occurrence), next <= end else { break }
            append(
                SkipRun(of: placement.source, from: occurrence, last: next.justBefore, reason: .window), to: &plan)
            let due = placement.place(of: next).due
            let isMisfired = waiting.newestDue.milliseconds(since: due) + waiting.lateness > rule.graceMilliseconds
            fire(next, due: due, trigger: .catchup, misfired: isMisfired, into: &plan)
            cursor = placement.source.next(after: next)
            made += 1
        }
        guard mayFire(plan) else { return }
        if let cursor, cursor <= end {
            let isAnyMissed = placement.firstFiring(from: cursor).map { $0 <= end } ?? false
            skip(waiting, from: cursor, through: end, isAnyMissed ? .catchupCap : .window, into: &plan)
        }
        if isWithinGrace { fire(waiting.newest, due: waiting.newestDue, trigger: trigger, into: &plan) }
    }

    private func fire(
        _ occurrence: Instant, due: Instant, trigger: Trigger, missed: Int64 = 0, misfired: Bool = false,
        into plan: inout ClaimPlan
    ) {
        plan.fires.append(
            PlannedFire(
                scheduledFor: occurrence, dueAt: due.adding(milliseconds: offset), trigger: trigger,
                missedCount: missed, isMisfired: misfired))
        plan.runCount += 1
    }

    /// One run for all that is left out, whether it was missed or would not have fired anyway: an outage of a year is
    /// one row, not two for each day.
    /// - Returns: how many of them would have fired.
    @discardableResult
    private func skip(
        _ waiting: Waiting, from first: Instant, through last: Instant, _ reason: SkipReason, into plan: inout ClaimPlan
    ) -> Int64 {
        guard let run = SkipRun(of: waiting.placement.source, from: first, last: last, reason: reason) else { return 0 }
        plan.skips.append(run)
        return waiting.placement.countFiring(from: run.from, through: run.last)
    }

    private func append(_ run: SkipRun?, to plan: inout ClaimPlan) {
        if let run { plan.skips.append(run) }
    }
}

extension TimerPosition {
    /// Nothing is to come.
    static let over = TimerPosition(nextFireAt: nil, resumeFrom: nil, heldBy: nil)
}
