package import Recurrence

/// A schedule's timing as an entry of the audit log tells it, with what decides over its ledger.
package struct AuditedTiming: Hashable, Sendable {
    package let name: ScheduleName
    package let timing: Timing
    package let state: ScheduleState
    package let runCount: Int64

    package init(name: ScheduleName, timing: Timing, state: ScheduleState, runCount: Int64) {
        self.name = name
        self.timing = timing
        self.state = state
        self.runCount = runCount
    }

    /// Whether this one fires at other times than `old`; as ``ScheduleDefinition/isRetimed(from:)``.
    func isRetimed(from old: AuditedTiming) -> Bool {
        timing != old.timing || (name != old.name && timing.dependsOnName)
    }
}

/// Where a schedule's generation ended, and another began.
package struct TimingTurn: Hashable, Sendable {
    package let at: Instant
    /// As it was until then; nil where that cannot be read.
    package let before: AuditedTiming?

    package init(at: Instant, before: AuditedTiming?) {
        self.at = at
        self.before = before
    }

    /// Nil where the change that an entry tells left the generation as it was.
    ///
    /// A change by command of anything but the timing leaves the state alone, heals an invalid schedule, or ends one that
    /// has nothing to come; an import that brings another state back begins anew.
    package init?(at: Instant, before: AuditedTiming?, after: AuditedTiming?) {
        self.init(at: at, before: before)
        guard let before, let after else { return }
        let isEnd = after.state == .exhausted || after.state == .deleted
        let isMoved = before.state != after.state && before.state != .invalid && !isEnd
        guard isMoved || after.isRetimed(from: before) else { return nil }
    }
}
