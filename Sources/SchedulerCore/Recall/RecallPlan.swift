import Recurrence

/// What one transaction does with the claims of one schedule that are taken back: the fate of each, and where the timer
/// goes. Built without I/O.
///
///     var plan = RecallPlan(claims, of: schedule, planner, timer, by: rule)
///     // … the rows of plan.leaving are deleted …
///     plan.settle(deleted)
///     // … plan.skipped, plan.waiting, plan.returned, plan.timer are written …
package struct RecallPlan: Sendable {
    package let rule: RecallRule
    private let schedule: Schedule
    private let planner: ClaimPlanner
    private let claims: [(claim: RecalledClaim, fate: RecallFate)]
    /// As it stands once the claims are settled.
    package private(set) var timer: Timer
    /// What is told as skipped, with the reason.
    package private(set) var skipped: [(waiting: WaitingOccurrence, reason: SkipReason)] = []
    /// What waits for its place from now on.
    package private(set) var waiting: [WaitingOccurrence] = []
    /// Messages that wait again.
    package private(set) var heard: [WaitingOccurrence] = []

    /// - Parameter timer: locked, as the command has left it.
    package init(
        _ claims: [RecalledClaim], of schedule: Schedule, _ planner: ClaimPlanner, _ timer: Timer, by rule: RecallRule
    ) {
        self.rule = rule
        self.schedule = schedule
        self.planner = planner
        self.timer = timer
        self.claims = claims.map { ($0, rule.fate(of: $0)) }
    }

    /// Those that go out all the same: as the schedule is now, or as they were asked for.
    package var kept: Set<ExecutionID> { ids { $0 == .kept || $0 == .goesOut || $0 == .cancelled } }
    /// Attempts that were never made.
    package var retries: Set<ExecutionID> { ids { $0 == .retryWaits } }
    /// Whose rows go: they were never claimed.
    package var leaving: Set<ExecutionID> {
        ids { fate in
            switch fate {
            case .returned, .dropped, .waits, .skipped: true
            case .goesOut, .kept, .retryWaits, .cancelled: false
            }
        }
    }

    private func ids(where isChosen: (RecallFate) -> Bool) -> Set<ExecutionID> {
        Set(claims.filter { isChosen($0.fate) }.map(\.claim.waiting.id))
    }

    /// Moves the timer back for those whose rows are gone, and says what becomes of each. What had its end already is
    /// not among them.
    package mutating func settle(_ gone: Set<ExecutionID>) {
        let claims = claims.filter { gone.contains($0.claim.waiting.id) }
        var returned: [WaitingOccurrence] = []
        for (claim, fate) in claims {
            switch fate {
            case .returned where claim.kind == .event: heard.append(claim.waiting)
            case .returned: returned.append(claim.waiting)
            case .waits: waiting.append(claim.waiting)
            case .skipped(let reason): skipped.append((claim.waiting, reason))
            case .goesOut, .kept, .retryWaits, .dropped, .cancelled: break
            }
        }
        guard schedule.state != .deleted else { return }
        takeBack(returned + heard)
        // Only what is fired counts: what waits will be, what is skipped or dropped was not.
        let unfired = claims.filter { claim, fate in
            guard claim.kind == .time || claim.kind == .event else { return false }
            if case .skipped = fate { return true }
            return fate == .dropped
        }
        count(unfired.map(\.claim.waiting))
    }

    private mutating func count(_ unfired: [WaitingOccurrence]) {
        guard !unfired.isEmpty else { return }
        let wasOver = timer.nextFireAt == nil && timer.resumeFrom == nil
        timer.runCount -= Int64(unfired.count)
        guard wasOver, let limit = planner.runLimit, timer.runCount < limit else { return }
        // The bound on what is fired had ended the schedule: it goes on behind the last of them, or begins with the
        // timing that it has by now.
        let own = unfired.filter { $0.occurrence.generation == timer.generation }
        let behind = own.map(\.occurrence.scheduledFor).max().map { planner.position(behind: $0, at: rule.now) }
        stand(
            behind
                ?? planner.position(
                    at: schedule.definition.timing.firstOccurrence(
                        of: planner.source, placement: planner.placement, now: schedule.anchor)))
    }

    private mutating func stand(_ position: TimerPosition) {
        timer.stand(at: position)
        guard schedule.state != .active else { return }
        timer.resumeFrom = timer.position(offset: planner.offset)
        timer.nextFireAt = nil
    }

    /// The earliest of them is the next to come again: at once while the schedule is active, else when it goes on.
    private mutating func takeBack(_ returned: [WaitingOccurrence]) {
        guard let first = returned.map(\.occurrence.scheduledFor).min(), let due = returned.map(\.dueAt).min() else {
            return
        }
        timer.runCount -= Int64(returned.count)
        // Messages wait for a due time; there is no occurrence to go back to.
        let isListening = planner.listening != nil
        let from = isListening ? due : first
        switch schedule.state {
        case .active:
            timer.nextFireAt = min(timer.nextFireAt ?? due, due)
            guard !isListening else { return }
            // Where it was moved, its due time does not say which occurrence it is.
            let isMoved = due != first.adding(milliseconds: planner.offset)
            let isPlaced = !schedule.definition.timing.constraint.isEmpty || timer.resumeFrom != nil
            if isMoved || isPlaced { timer.resumeFrom = min(timer.resumeFrom ?? first, first) }
        case .paused, .invalid: timer.resumeFrom = min(timer.resumeFrom ?? from, from)
        case .exhausted, .deleted: break
        }
    }
}
