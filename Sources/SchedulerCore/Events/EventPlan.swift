package import Recurrence

/// A message that waits for its fire, as a claim meets it.
package struct WaitingEvent: Hashable, Sendable {
    /// Its row.
    package let row: Int64
    package let scheduledFor: Instant
    package let dueAt: Instant
    /// Of a stream the message's sequence.
    package let ordinal: Int64
    package let generation: Int32
    /// What a template may show of it; nil where it shows nothing.
    package let message: [UInt8]?

    package init(
        row: Int64, scheduledFor: Instant, dueAt: Instant, ordinal: Int64, generation: Int32, message: [UInt8]?
    ) {
        self.row = row
        self.scheduledFor = scheduledFor
        self.dueAt = dueAt
        self.ordinal = ordinal
        self.generation = generation
        self.message = message
    }
}

/// What a claim does with a schedule that messages drive.
package struct EventPlan: Hashable, Sendable {
    package var plan: ClaimPlan
    /// What fires, in the order of the plan's fires.
    package var taken: [WaitingEvent] = []
    /// Nothing can be decided before the plan's next turn: no claim meets the timer earlier.
    package var isPutOff = false
    /// What is due has no place: whoever frees one wakes it.
    package var waitsForPlace = false
}

extension EventPlan {
    /// Leaves the timer alone until `look`; what it was set to is kept beside it.
    fileprivate mutating func putOff(to look: Instant, from due: Instant) {
        plan.nextFireAt = look
        plan.resumeFrom = due
        isPutOff = true
    }
}

extension ClaimPlanner {
    /// Decides over an `event` schedule whose timer is due. Each message that waits is an occurrence of its own: none is
    /// coalesced and none is missed, however late; beyond the grace it comes under the catch-up rate.
    ///
    /// - Parameters:
    ///   - waiting: of the timer's generation, in the order of their due times; at least one more than are taken.
    ///   - places: how many may be open beside those that are; what is due beyond them waits.
    ///   - takesDueAlone: what is not due yet is left until it is.
    ///   - isHeard: all that came by the end of its time is among `waiting`.
    ///   - heldUntil: a freeze holds the schedule for so long.
    package func plan(
        _ timing: Timing, _ waiting: [WaitingEvent], runCount: Int64, now: Instant, horizon: Instant, room: Int,
        places: Int = .max, takesDueAlone: Bool = false, isHeard: Bool = true, heldUntil: Instant? = nil
    ) -> EventPlan {
        var plan = EventPlan(plan: ClaimPlan(runCount: runCount))
        guard mayFire(plan.plan) else { return plan }
        var rest = waiting[...]
        // What is ahead of time might yet be followed by the next message of its burst.
        let isDecidedWhenDue = takesDueAlone || timing.event.debounceMilliseconds > 0
        let end = isDecidedWhenDue ? now : max(now, horizon)
        let most = min(room, places, Self.mostAhead)
        while heldUntil == nil, let next = rest.first, next.dueAt <= end, plan.taken.count < most, mayFire(plan.plan) {
            plan.plan.fires.append(
                PlannedFire(
                    scheduledFor: next.scheduledFor, dueAt: next.dueAt, trigger: trigger, missedCount: 0,
                    isMisfired: now.milliseconds(since: next.dueAt) > rule.graceMilliseconds))
            plan.plan.runCount += 1
            plan.taken.append(next)
            rest = rest.dropFirst()
        }
        guard mayFire(plan.plan) else { return plan }
        guard let next = rest.first?.dueAt else {
            idle(timing, now: now, horizon: max(now, horizon), isHeard: isHeard, heldUntil, into: &plan)
            return plan
        }
        if let heldUntil {
            plan.plan.nextFireAt = max(next, heldUntil)
            return plan
        }
        let isWithoutPlace = plan.taken.count >= places
        if isWithoutPlace, next <= now {
            plan.putOff(to: Self.nextLook(since: next, now: now), from: next)
            plan.waitsForPlace = true
        } else {
            plan.plan.nextFireAt = next
            // When it is due it may have a place, or have gone on: no claim ahead of time can tell.
            plan.isPutOff = next > now && next <= max(now, horizon) && (isWithoutPlace || isDecidedWhenDue)
        }
        return plan
    }

    /// Nothing waits: the schedule is idle until a message comes, and over behind the end of its time. What came by then
    /// may not be written down yet; and of a stream somebody must have seen that all of it is.
    private func idle(
        _ timing: Timing, now: Instant, horizon: Instant, isHeard: Bool, _ heldUntil: Instant?,
        into plan: inout EventPlan
    ) {
        guard let end = timing.endAt else {
            plan.plan.nextFireAt = .untilMessage
            return
        }
        let settled = end.adding(milliseconds: Self.settling)
        if end > horizon {
            plan.plan.nextFireAt = max(end, heldUntil ?? end)
        } else if now < settled {
            plan.putOff(to: settled, from: end)
        } else if !isHeard {
            plan.putOff(to: Self.nextLook(since: end, now: now), from: end)
        }
    }

    /// When to look again at what waits for somebody's word, who wakes it: seldom, the longer it waits, for words get lost
    /// with whoever had them.
    /// - Parameter since: when it was due.
    static func nextLook(since due: Instant, now: Instant) -> Instant {
        now.adding(milliseconds: min(max(now.milliseconds(since: due) / 2, 1000), 10_000))
    }

    /// What becomes of the deadline of an `absence`.
    package enum AbsenceDecision: Hashable, Sendable {
        /// A message may have come that is not written down yet, or nobody has looked into the stream: nothing is decided
        /// before then.
        case wait(until: Instant)
        /// Nobody listened when it passed: it counts from now on.
        case again(ClaimPlan)
        /// Nothing came.
        case tell(ClaimPlan)
    }

    /// What a listener hears is written down within this time, in milliseconds.
    package static let settling: Int64 = 500
    /// A deadline that nobody looked at for so long passed while nobody was at work, or nearly so.
    static let patience: Int64 = 5000

    /// Decides over an `absence` schedule whose timer is due: its timer is a deadline that no message has moved.
    ///
    /// - Parameters:
    ///   - isChecked: of a stream: its last message was looked for after the deadline. Nil where there is no stream.
    ///   - firesCommand: not only the event is wanted.
    package func plan(
        absenceBy deadline: Instant, _ timing: Timing, isChecked: Bool?, firesCommand: Bool, runCount: Int64,
        now: Instant, heldUntil: Instant? = nil
    ) -> AbsenceDecision {
        let lateness = now.milliseconds(since: deadline)
        guard lateness >= Self.settling else { return .wait(until: deadline.adding(milliseconds: Self.settling)) }
        guard isChecked ?? true else { return .wait(until: Self.nextLook(since: deadline, now: now)) }
        var plan = ClaimPlan(runCount: runCount)
        if let heldUntil {
            plan.nextFireAt = heldUntil
            return .again(plan)
        }
        if isChecked == nil, lateness > Self.patience {
            plan.nextFireAt = timing.deadline(after: now, source.recurrence) ?? .untilMessage
            return .again(plan)
        }
        // Told once; the next message sets the next deadline.
        plan.nextFireAt = .untilMessage
        guard firesCommand else { return .tell(plan) }
        plan.fires = [
            PlannedFire(scheduledFor: deadline, dueAt: deadline, trigger: trigger, missedCount: 0, isMisfired: false)
        ]
        plan.runCount += 1
        return .tell(plan)
    }
}
