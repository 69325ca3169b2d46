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
}

extension ClaimPlanner {
    /// Decides over an `event` schedule whose timer is due. Each message that waits is an occurrence of its own: none is
    /// coalesced and none is missed, however late; beyond the grace it comes under the catch-up rate.
    ///
    /// - Parameters:
    ///   - waiting: of the timer's generation, in the order of their due times; at least one more than are taken.
    ///   - heldUntil: a freeze holds the schedule for so long.
    package func plan(
        _ timing: Timing, _ waiting: [WaitingEvent], runCount: Int64, now: Instant, horizon: Instant, room: Int,
        heldUntil: Instant? = nil
    ) -> EventPlan {
        var plan = EventPlan(plan: ClaimPlan(runCount: runCount))
        guard mayFire(plan.plan) else { return plan }
        var rest = waiting[...]
        // What is ahead of time might yet be followed by the next message of its burst.
        let end = timing.event.debounceMilliseconds > 0 ? now : max(now, horizon)
        while heldUntil == nil, let next = rest.first, next.dueAt <= end, plan.taken.count < min(room, Self.mostAhead),
            mayFire(plan.plan)
        {
            plan.plan.fires.append(
                PlannedFire(
                    scheduledFor: next.scheduledFor, dueAt: next.dueAt, trigger: trigger, missedCount: 0,
                    isMisfired: now.milliseconds(since: next.dueAt) > rule.graceMilliseconds))
            plan.plan.runCount += 1
            plan.taken.append(next)
            rest = rest.dropFirst()
        }
        guard mayFire(plan.plan) else { return plan }
        let next = rest.first?.dueAt ?? (timing.idleUntil > now ? timing.idleUntil : nil)
        plan.plan.nextFireAt = next.map { max($0, heldUntil ?? $0) }
        return plan
    }

    /// What becomes of the deadline of an `absence`.
    package enum AbsenceDecision: Hashable, Sendable {
        /// A message may have come that is not written down yet, or nobody has looked into the stream.
        case wait
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
        guard lateness >= Self.settling, isChecked ?? true else { return .wait }
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
