import NATSClient
import PostgresClient
package import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Everything that one claiming transaction decided, before it is written: timers that move, executions that open,
/// occurrences that are skipped, schedules that turn out invalid. Built without I/O.
struct ClaimBatch {
    let id: ClaimTable.ClaimID
    let now: Instant
    private(set) var timers: [Timer] = []
    private(set) var openings: [ExecutionTable.Opening] = []
    private(set) var skipped: [(execution: Execution, schedule: CompiledSchedule)] = []
    private(set) var invalid: [(timer: Timer, schedule: CompiledSchedule, fault: String)] = []
    /// What each opening needs when it is fired, in the order of the openings.
    private var planned: [(fire: PlannedFire, schedule: CompiledSchedule, isLast: Bool)] = []

    init(id: ClaimTable.ClaimID, now: Instant) {
        self.id = id
        self.now = now
    }

    /// Schedules whose last occurrence was skipped: no record will come that could exhaust them.
    private var over: [ScheduleID] = []

    var executionIDs: [ExecutionID] { openings.map(\.id) + skipped.map(\.execution.id) }
    var isEmpty: Bool { timers.isEmpty && invalid.isEmpty }

    /// Decides over one due timer.
    mutating func add(_ due: TimerTable.Due, schedule: CompiledSchedule, horizon: Instant) {
        var timer = due.timer
        if let fault = schedule.fault {
            timer.fireSequence += 1
            timer.resumeFrom = due.nextFireAt.adding(milliseconds: -schedule.planner.offset)
            timer.nextFireAt = nil
            invalid.append((timer, schedule, fault))
            return
        }
        let plan = schedule.planner.plan(
            nextFireAt: due.nextFireAt, runCount: timer.runCount, now: now, horizon: horizon)
        for run in plan.skips { skip(run, of: schedule, &timer) }
        for fire in plan.fires {
            timer.fireSequence += 1
            let occurrence = Occurrence(
                schedule: schedule.id, generation: timer.generation, scheduledFor: fire.scheduledFor)
            openings.append(
                ExecutionTable.Opening(
                    id: occurrence.executionID, occurrence: occurrence, dueAt: fire.dueAt,
                    fence: timer.fireSequence, version: schedule.version, missedCount: fire.missedCount,
                    trigger: fire.trigger))
            // All of them, not the latest alone: what catches up yields to what is on time, and ends after it.
            planned.append((fire, schedule, plan.isLast))
        }
        timer.nextFireAt = plan.nextFireAt
        timer.runCount = plan.runCount
        timers.append(timer)
        if plan.isLast, plan.fires.isEmpty { over.append(schedule.id) }
    }

    private mutating func skip(_ run: SkipRun, of schedule: CompiledSchedule, _ timer: inout Timer) {
        skipped += run.executions(
            of: schedule.id, offset: schedule.planner.offset, trigger: schedule.planner.trigger,
            version: schedule.version, timer: &timer, now: now
        ).map { ($0, schedule) }
    }

    /// Leaves out occurrences that have rows already. That takes a fault elsewhere; they must not fire again.
    mutating func leaveOut(_ existing: Set<ExecutionID>) {
        let kept = zip(openings, planned).filter { !existing.contains($0.0.id) }
        openings = kept.map(\.0)
        planned = kept.map(\.1)
    }

    /// The fires, once the transaction is committed.
    /// - Parameter late: what was due before this came late by an outage.
    func fires(late: Instant) -> (fires: [Fire], claim: OpenClaim) {
        let claim = OpenClaim(id, executions: openings.count + skipped.count)
        let fires = zip(openings, planned).map { opening, planned in
            let kind: FireClass =
                planned.fire.isMisfired ? .misfired : opening.dueAt < late ? .withinGrace : .onTime
            return Fire(
                id: opening.id, schedule: planned.schedule, claim: claim,
                scheduledFor: opening.occurrence.scheduledFor, dueAt: opening.dueAt, fence: opening.fence,
                generation: opening.occurrence.generation, missedCount: opening.missedCount,
                trigger: opening.trigger, kind: kind, isLast: planned.isLast)
        }
        return (fires, claim)
    }

    /// The events of what was skipped, once the transaction is committed.
    func skipEvents(_ claim: OpenClaim) -> [EventTeller.Owed] {
        skipped.map { execution, schedule in
            .execution(
                ExecutionEvent(
                    execution, scheduleName: schedule.name, namespace: schedule.namespace,
                    payloadSHA256: schedule.payloadSHA256, finishedAt: now),
                claim)
        }
    }

    /// The writes of the transaction, in the one order that all claims follow.
    func calls(by instance: InstanceID) -> [Call] {
        var calls = [InstanceTable.hold(instance)]
        if !timers.isEmpty { calls.append(TimerTable.advance(timers)) }
        if !openings.isEmpty { calls.append(ExecutionTable.open(openings, by: instance, at: now)) }
        if !skipped.isEmpty { calls.append(ExecutionTable.skip(skipped.map(\.execution), at: now)) }
        let ids = executionIDs
        if !ids.isEmpty { calls.append(ClaimTable.insert(id, by: instance, at: now, executions: ids)) }
        if !over.isEmpty { calls.append(ExhaustionTable.exhaust(over.sorted(), at: now)) }
        for (timer, schedule, fault) in invalid {
            calls += InvalidTable.invalidate(
                timer, namespace: schedule.namespace, name: schedule.name, fault: fault, at: now)
        }
        return calls
    }
}

extension SkipRun {
    /// The rows of this run: one for each occurrence, or one for the range. Each takes the next fence.
    package func executions(
        of schedule: ScheduleID, offset: Int64, trigger: Trigger, version: Int64, timer: inout Timer, now: Instant
    ) -> [Execution] {
        (instants.isEmpty ? [last] : instants).map { instant in
            timer.fireSequence += 1
            let occurrence = Occurrence(schedule: schedule, generation: timer.generation, scheduledFor: instant)
            var execution = Execution(
                id: occurrence.executionID, schedule: schedule, scheduledFor: instant,
                dueAt: instant.adding(milliseconds: offset), state: .skipped, origin: .time, trigger: trigger,
                generation: timer.generation, scheduleVersion: version, attempt: 0, fence: timer.fireSequence,
                claimedAt: now)
            execution.reason = reason.rawValue
            execution.finishedAt = now
            if instants.isEmpty {
                execution.rangeFrom = from
                execution.rangeCount = count
            }
            return execution
        }
    }
}
