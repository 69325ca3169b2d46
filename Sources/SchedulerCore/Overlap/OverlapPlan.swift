package import Recurrence

/// What a claim does with one schedule's planned fires where they share places: some open, some wait, some are skipped.
/// Pure.
package struct OverlapPlan: Hashable, Sendable {
    /// With the fires that open, and the runs of those that are skipped.
    package private(set) var plan: ClaimPlan
    /// What waits from now on.
    package private(set) var waiting: [WaitingOccurrence] = []
    /// What waited before and gives way.
    package private(set) var superseded: [WaitingOccurrence] = []

    /// - Parameters:
    ///   - plan: the whole plan; what of it is not due yet has a place.
    ///   - generation: the timer's.
    ///   - limits: what besides its own places bounds the schedule, and how many places that leaves.
    package init(
        _ plan: ClaimPlan, of schedule: ScheduleID, generation: Int32, _ planner: ClaimPlanner, _ rule: OverlapRule,
        _ occupancy: Occupancy, limits: (names: ConcurrencyNames, shared: Int) = (ConcurrencyNames(), .max),
        at now: Instant
    ) {
        self.plan = plan
        guard !plan.fires.isEmpty else { return }
        let occurrences = plan.fires.map {
            Occurrence(schedule: schedule, generation: generation, scheduledFor: $0.scheduledFor)
        }
        // A claim was given back, and the timer with it: what waits since then is met once more, and counted already.
        let known = Set(occupancy.waiting.map(\.id))
        let met = known.isEmpty ? [] : occurrences.indices.filter { known.contains(occurrences[$0].executionID) }
        let fires = plan.fires.indices.filter { !met.contains($0) }
        let decision = rule.decide(
            fires.count, open: occupancy.open, waiting: occupancy.waiting.count, shared: limits.shared)
        var skipped: [(fire: PlannedFire, reason: SkipReason)] = []
        self.plan.fires = []
        for (index, verdict) in zip(fires, decision.verdicts) {
            let fire = plan.fires[index]
            switch verdict {
            case .opens: self.plan.fires.append(fire)
            case .waits:
                waiting.append(
                    WaitingOccurrence(
                        occurrence: occurrences[index], dueAt: fire.dueAt, trigger: fire.trigger,
                        missedCount: fire.missedCount, since: now, limits: limits.names))
            case .skipped(let reason): skipped.append((fire, reason))
            }
        }
        if decision.supersedesWaiting { superseded = occupancy.waiting }
        self.plan.skips += Self.runs(skipped, of: planner.source)
        let own = superseded.filter { $0.occurrence.origin.isOwn && $0.occurrence.generation == generation }
        self.plan.runCount -= Int64(met.count + skipped.count + own.count)
        goOn(behind: plan.fires.last?.scheduledFor, planner)
    }

    /// The bound on what is fired had ended the schedule, and by now fewer are fired.
    private mutating func goOn(behind last: Instant?, _ planner: ClaimPlanner) {
        guard plan.nextFireAt == nil, let last, let runLimit = planner.runLimit, plan.runCount < runLimit else {
            return
        }
        let position = planner.position(at: planner.source.next(after: last))
        plan.nextFireAt = position.nextFireAt
        plan.resumeFrom = position.resumeFrom
        plan.heldBy = position.heldBy
    }

    /// Those that follow each other without a gap are one run, as any that are skipped.
    private static func runs(
        _ skipped: [(fire: PlannedFire, reason: SkipReason)], of source: OccurrenceSource
    ) -> [SkipRun] {
        var runs: [SkipRun] = []
        var start = skipped.startIndex
        while start < skipped.endIndex {
            let reason = skipped[start].reason
            let end = skipped[start...].firstIndex { $0.reason != reason } ?? skipped.endIndex
            let stretch = skipped[start..<end]
            let run = SkipRun(
                of: source, from: skipped[start].fire.scheduledFor, last: skipped[end - 1].fire.scheduledFor,
                reason: reason)
            // Others may lie between them that calendars leave out, or that are open: they have rows of their own.
            if let run, run.count == Int64(stretch.count) {
                runs.append(run)
            } else {
                runs += stretch.map { SkipRun(single: $0.fire.scheduledFor, reason: reason) }
            }
            start = end
        }
        return runs
    }
}

extension ClaimPlan {
    /// Whether it leaves a timer as it stands.
    package func leaves(_ timer: Timer) -> Bool {
        fires.isEmpty && skips.isEmpty && nextFireAt == timer.nextFireAt && resumeFrom == timer.resumeFrom
            && runCount == timer.runCount
    }
}
