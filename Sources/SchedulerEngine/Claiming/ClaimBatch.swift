import NATSClient
import PostgresClient
package import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Everything that one claiming transaction decided, before it is written: timers that move, executions that open,
/// occurrences that are skipped, schedules that turn out invalid. Built without I/O.
struct ClaimBatch {
    /// A schedule that cannot be fired: its timer stands still from now on, and no other schedule notices.
    struct Parked {
        let timer: Timer
        /// Whom the event names; nil where no row says so, or what it says is no name: then a log line has to do.
        let names: (namespace: String, name: String)?
        let fault: String
    }

    let id: ClaimTable.ClaimID
    let now: Instant
    /// What was due before this came late by an outage.
    let late: Instant
    /// What has rows already: it takes no further one, and was counted when it was claimed first.
    struct Existing {
        var ids: Set<ExecutionID> = []
        var counts: [ScheduleID: Int64] = [:]
    }

    private let existing: Existing
    private var room: ClaimRoom
    private(set) var timers: [Timer] = []
    private(set) var openings: [ExecutionTable.Opening] = []
    private(set) var skipped: [(execution: Execution, schedule: CompiledSchedule)] = []
    private(set) var parked: [Parked] = []
    /// What each opening needs when it is fired, in the order of the openings.
    private var planned: [(fire: PlannedFire, schedule: CompiledSchedule, isLast: Bool)] = []

    init(id: ClaimTable.ClaimID, now: Instant, late: Instant, room: ClaimRoom, existing: Existing) {
        self.existing = existing
        self.id = id
        self.now = now
        self.late = late
        self.room = room
    }

    /// How many timers this claim moves.
    var count: Int { timers.count + parked.count }
    /// Nothing more may be added.
    var isFull: Bool { room.isFull }
    /// Something that is due was left for another claim.
    var leavesMore: Bool { room.isFull || room.hasRefused }

    /// Timers that a freeze holds, by their place among ``timers``: each needs a turn after the freeze.
    private(set) var held: [FreezeID: [Int]] = [:]

    /// Schedules whose last occurrence was skipped: no record will come that could exhaust them.
    private(set) var over: [ScheduleID] = []

    /// What jumps of the clocks left out between an occurrence and the next one.
    private var removals: [AuditEntry] = []

    var executionIDs: [ExecutionID] { openings.map(\.id) + skipped.map(\.execution.id) }

    /// Decides over one due timer. What does not fit is left as it is.
    /// - Parameter freezes: those that concern the schedule.
    mutating func add(
        _ due: TimerTable.Due, schedule: CompiledSchedule, horizon: Instant, freezes: [FrozenTime] = []
    ) {
        if let fault = schedule.fault {
            park(
                due, offset: schedule.planner.offset, names: (schedule.namespace, schedule.name),
                fault: fault.description)
            return
        }
        var timer = due.timer
        let plan = plan(due, schedule.planner, horizon: horizon, freezes: freezes)
        guard room.take(plan, late: late) else { return }
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
        let passed = timer.position(offset: schedule.planner.offset)
        timer.nextFireAt = plan.nextFireAt
        timer.resumeFrom = plan.resumeFrom
        timer.runCount = plan.runCount
        removals += AuditEntry.removals(after: passed, of: schedule, &timer, at: now)
        if let freeze = plan.heldBy { held[freeze, default: []].append(timers.count) }
        timers.append(timer)
        if plan.isLast, plan.fires.isEmpty { over.append(schedule.id) }
    }

    private func plan(
        _ due: TimerTable.Due, _ planner: ClaimPlanner, horizon: Instant, freezes: [FrozenTime]
    ) -> ClaimPlan {
        let runCount = due.timer.runCount - (existing.counts[due.timer.schedule] ?? 0)
        let isFree = planner.placement == nil && freezes.isEmpty
        guard !isFree || due.timer.resumeFrom != nil else {
            return planner.plan(
                nextFireAt: due.nextFireAt, runCount: runCount, now: now, horizon: horizon, room: room.left)
        }
        let turn = due.nextFireAt.adding(milliseconds: -planner.offset)
        let placement = (planner.placement ?? Placement(source: planner.source)).under(freezes, floor: turn)
        var plan = planner.plan(
            placement, from: due.timer.resumeFrom ?? turn, runCount: runCount, now: now, horizon: horizon,
            room: room.left)
        // Nothing moves it any more: the timer alone says which occurrence is next.
        if planner.placement == nil, plan.resumeFrom?.adding(milliseconds: planner.offset) == plan.nextFireAt {
            plan.resumeFrom = nil
        }
        return plan
    }

    /// Gives the timers that a freeze holds their turns: one after the other at its rate, in the order of their due
    /// times.
    mutating func give(_ turns: FreezeTable.Turns, of freeze: FreezeID) {
        for (number, index) in (held[freeze] ?? []).enumerated() {
            timers[index].nextFireAt = max(turns.at(number), timers[index].nextFireAt ?? .earliest)
        }
    }

    /// Sets aside a timer whose schedule cannot be read, or is gone.
    mutating func add(_ due: TimerTable.Due, without unreadable: ScheduleTable.Unreadable?) {
        park(
            due, offset: unreadable?.offset ?? 0, names: unreadable?.names,
            fault: unreadable?.fault ?? "the timer has no schedule")
    }

    private mutating func park(
        _ due: TimerTable.Due, offset: Int64, names: (namespace: String, name: String)?, fault: String
    ) {
        var timer = due.timer
        timer.fireSequence += 1
        timer.resumeFrom = timer.resumeFrom ?? due.nextFireAt.adding(milliseconds: -offset)
        timer.nextFireAt = nil
        parked.append(Parked(timer: timer, names: names, fault: fault))
    }

    private mutating func skip(_ run: SkipRun, of schedule: CompiledSchedule, _ timer: inout Timer) {
        skipped += run.executions(
            of: schedule.id, offset: schedule.planner.offset, trigger: schedule.planner.trigger,
            version: schedule.version, timer: &timer, now: now
        ).map { ($0, schedule) }
    }

    /// Leaves out occurrences that have rows already: of a claim that was committed when earlier ones of the schedule were
    /// given back. They must not fire again.
    mutating func leaveOutExisting() {
        guard !existing.ids.isEmpty else { return }
        let kept = zip(openings, planned).filter { !existing.ids.contains($0.0.id) }
        openings = kept.map(\.0)
        planned = kept.map(\.1)
    }

    /// What another try at this claim must know.
    func existing(_ ids: Set<ExecutionID>) -> Existing {
        var existing = Existing(ids: ids)
        for opening in openings where ids.contains(opening.id) {
            existing.counts[opening.occurrence.schedule, default: 0] += 1
        }
        return existing
    }

    /// The fires, once the transaction is committed.
    func fires() -> (fires: [Fire], claim: OpenClaim) {
        let claim = OpenClaim(id, executions: openings.count + skipped.count)
        let fires = zip(openings, planned).map { opening, planned in
            Fire(
                id: opening.id, schedule: planned.schedule, claim: claim,
                scheduledFor: opening.occurrence.scheduledFor, dueAt: opening.dueAt, fence: opening.fence,
                generation: opening.occurrence.generation, missedCount: opening.missedCount,
                trigger: opening.trigger, kind: planned.fire.fireClass(late: late), isLast: planned.isLast)
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
    func writes(by instance: InstanceID) -> Writes {
        var writes = Writes([InstanceTable.hold(instance)])
        if !timers.isEmpty { writes += [TimerTable.advance(timers)] }
        if !openings.isEmpty { writes += [ExecutionTable.open(openings, by: instance, at: now)] }
        if !skipped.isEmpty { writes += [ExecutionTable.skip(skipped.map(\.execution), at: now)] }
        let ids = executionIDs
        if !ids.isEmpty { writes += [ClaimTable.insert(id, by: instance, at: now, executions: ids)] }
        if !over.isEmpty { writes.exhaustIdle(over.sorted(), at: now) }
        for removal in removals { writes.audit(removal) }
        for parked in parked {
            writes += InvalidTable.invalidate(parked.timer, fault: parked.fault, at: now)
            guard let names = parked.names else { continue }
            writes.audit(InvalidTable.entry(parked.timer, names: names, fault: parked.fault, at: now))
        }
        return writes
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
