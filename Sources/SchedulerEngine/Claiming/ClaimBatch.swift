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
    private var planned: [(fire: PlannedFire, schedule: CompiledSchedule, isLast: Bool, own: [UInt8]?)] = []
    /// Messages that wait no longer: they fire, or are of a timing that is no more.
    private var heard: [Int64] = []

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

    /// What waits for a place from now on.
    private(set) var waiting: [WaitingOccurrence] = []
    /// What waited for a place before, and gives way.
    private var superseded: [(execution: Execution, schedule: CompiledSchedule)] = []
    /// Schedules that have no place free, and of which nothing is due yet: when it is, there may be one.
    private(set) var deferred: [ScheduleID] = []

    /// Timers that a freeze holds, by their place among ``timers``: each needs a turn after the freeze.
    private(set) var held: [FreezeID: [Int]] = [:]

    /// Schedules whose last occurrence was skipped: no record will come that could exhaust them.
    private(set) var over: [ScheduleID] = []

    /// What jumps of the clocks left out between an occurrence and the next one, and absences.
    private var removals: [AuditEntry] = []

    var executionIDs: [ExecutionID] {
        openings.map(\.id) + skipped.map(\.execution.id) + superseded.map(\.execution.id)
    }

    /// Decides over one due timer. What does not fit is left as it is.
    /// - Parameters:
    ///   - freezes: those that concern the schedule.
    ///   - occupancy: what of it is open and what waits, where completion is tracked.
    mutating func add(
        _ due: TimerTable.Due, schedule: CompiledSchedule, horizon: Instant, freezes: [FrozenTime] = [],
        occupancy: Occupancy? = nil, facts: ListeningFacts? = nil
    ) {
        if let fault = schedule.fault {
            park(
                due, offset: schedule.planner.offset, names: (schedule.namespace, schedule.name),
                fault: fault.description)
            return
        }
        if let timing = schedule.planner.listening {
            let held = freezes.filter { $0.from <= now && now < $0.until }.map(\.until).max()
            if timing.type == .event {
                let free = occupancy.map { schedule.overlap.free(open: $0.open, waiting: $0.waiting.count) } ?? .max
                // Messages wait for a place, whatever the policy: none is skipped.
                guard free > 0 else { return deferred.append(schedule.id) }
                hear(
                    due, schedule, timing, facts?.waiting[schedule.id] ?? [], horizon: horizon, most: free,
                    heldUntil: held)
            } else {
                miss(due, schedule, timing, facts, heldUntil: held)
            }
            return
        }
        var timer = due.timer
        // What is not due takes a place that is free; else it is decided over when it is due.
        let free = occupancy.map { schedule.overlap.free(open: $0.open, waiting: $0.waiting.count) }
        var plan = plan(due, schedule.planner, horizon: horizon, freezes: freezes, most: free ?? .max)
        guard room.take(plan, late: late) else { return }
        if let occupancy {
            guard !plan.leaves(timer) else {
                deferred.append(schedule.id)
                return
            }
            plan = place(plan, of: schedule, occupancy, &timer)
        }
        for run in plan.skips { skip(run, of: schedule, &timer) }
        for fire in plan.fires { open(fire, of: schedule, isLast: plan.isLast, &timer) }
        let passed = timer.position(offset: schedule.planner.offset)
        timer.nextFireAt = plan.nextFireAt
        timer.resumeFrom = plan.resumeFrom
        timer.runCount = plan.runCount
        removals += AuditEntry.removals(after: passed, of: schedule, &timer, at: now)
        if let freeze = plan.heldBy { held[freeze, default: []].append(timers.count) }
        timers.append(timer)
        if plan.isLast, plan.fires.isEmpty { over.append(schedule.id) }
    }

    /// Opens an execution.
    private mutating func open(
        _ fire: PlannedFire, of schedule: CompiledSchedule, origin: Origin = .time, ordinal: Int64 = 0,
        own: [UInt8]? = nil, isLast: Bool, _ timer: inout Timer
    ) {
        timer.fireSequence += 1
        let occurrence = Occurrence(
            schedule: schedule.id, generation: timer.generation, origin: origin, scheduledFor: fire.scheduledFor,
            ordinal: ordinal)
        openings.append(
            ExecutionTable.Opening(
                id: occurrence.executionID, occurrence: occurrence, dueAt: fire.dueAt,
                fence: timer.fireSequence, version: schedule.version, missedCount: fire.missedCount,
                trigger: fire.trigger, isTracked: schedule.isTracked))
        // All of them, not the latest alone: what catches up yields to what is on time, and ends after it.
        planned.append((fire, schedule, isLast, own))
    }

    /// Takes what waits for a schedule that messages drive.
    private mutating func hear(
        _ due: TimerTable.Due, _ schedule: CompiledSchedule, _ timing: Timing, _ waiting: [WaitingEvent],
        horizon: Instant, most: Int, heldUntil: Instant?
    ) {
        var timer = due.timer
        let current = waiting.filter { $0.generation == timer.generation }
        let heard = schedule.planner.plan(
            timing, current, runCount: timer.runCount - (existing.counts[schedule.id] ?? 0), now: now,
            horizon: horizon, room: min(room.left, most), heldUntil: heldUntil)
        guard room.take(heard.plan, late: late) else { return }
        for (fire, event) in zip(heard.plan.fires, heard.taken) {
            open(
                fire, of: schedule, origin: .event, ordinal: event.ordinal, own: event.message,
                isLast: heard.plan.isLast, &timer)
        }
        self.heard += heard.taken.map(\.row) + waiting.filter { $0.generation != timer.generation }.map(\.row)
        move(timer, by: heard.plan, of: schedule)
    }

    /// Tells an absence, unless its deadline must be looked at again.
    private mutating func miss(
        _ due: TimerTable.Due, _ schedule: CompiledSchedule, _ timing: Timing, _ facts: ListeningFacts?,
        heldUntil: Instant?
    ) {
        var timer = due.timer
        let isChecked = timing.event.stream.map { _ in facts?.checked.contains(schedule.id) ?? false }
        let decision = schedule.planner.plan(
            absenceBy: due.nextFireAt, timing, isChecked: isChecked, firesCommand: schedule.firesCommand,
            runCount: timer.runCount, now: now, heldUntil: heldUntil)
        switch decision {
        case .wait: return
        case .again(let plan): move(timer, by: plan, of: schedule)
        case .tell(let plan):
            guard room.take(plan, late: late) else { return }
            for fire in plan.fires { open(fire, of: schedule, isLast: false, &timer) }
            timer.fireSequence += 1
            removals.append(
                AuditEntry(
                    absenceBy: due.nextFireAt, on: timing.event.subject?.description ?? "", of: timer,
                    names: (schedule.namespace, schedule.name), at: now))
            move(timer, by: plan, of: schedule)
        }
    }

    private mutating func move(_ timer: Timer, by plan: ClaimPlan, of schedule: CompiledSchedule) {
        var timer = timer
        timer.nextFireAt = plan.nextFireAt
        timer.resumeFrom = nil
        timer.runCount = plan.runCount
        timers.append(timer)
        if plan.isLast, plan.fires.isEmpty { over.append(schedule.id) }
    }

    /// Lets the fires of a plan share the places that there are. - Returns: the plan with those that open.
    private mutating func place(
        _ plan: ClaimPlan, of schedule: CompiledSchedule, _ occupancy: Occupancy, _ timer: inout Timer
    ) -> ClaimPlan {
        let placed = OverlapPlan(
            plan, of: schedule.id, generation: timer.generation, schedule.planner, schedule.overlap, occupancy, at: now)
        superseded += placed.superseded.map {
            ($0.skipped(.superseded, version: schedule.version, timer: &timer, now: now), schedule)
        }
        waiting += placed.waiting
        return placed.plan
    }

    /// - Parameter most: what is not due yet is claimed while fewer than so many fires are planned.
    private func plan(
        _ due: TimerTable.Due, _ planner: ClaimPlanner, horizon: Instant, freezes: [FrozenTime], most: Int
    ) -> ClaimPlan {
        let room = min(room.left, most)
        let runCount = due.timer.runCount - (existing.counts[due.timer.schedule] ?? 0)
        let isFree = planner.placement == nil && freezes.isEmpty
        guard !isFree || due.timer.resumeFrom != nil else {
            return planner.plan(
                nextFireAt: due.nextFireAt, runCount: runCount, now: now, horizon: horizon, room: room)
        }
        let turn = due.nextFireAt.adding(milliseconds: -planner.offset)
        let placement = (planner.placement ?? Placement(source: planner.source)).under(freezes, floor: turn)
        var plan = planner.plan(
            placement, from: due.timer.resumeFrom ?? turn, runCount: runCount, now: now, horizon: horizon,
            room: room)
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
        let claim = OpenClaim(id, executions: openings.count + skipped.count + superseded.count)
        let fires = zip(openings, planned).map { opening, planned in
            Fire(
                id: opening.id, schedule: planned.schedule, claim: claim,
                scheduledFor: opening.occurrence.scheduledFor, dueAt: opening.dueAt, fence: opening.fence,
                generation: opening.occurrence.generation, missedCount: opening.missedCount,
                ordinal: opening.occurrence.ordinal, origin: opening.occurrence.origin, trigger: opening.trigger,
                kind: planned.fire.fireClass(late: late), isLast: planned.isLast, payload: planned.own, claimedAt: now)
        }
        return (fires, claim)
    }

    /// The events of what was skipped, once the transaction is committed.
    func skipEvents(_ claim: OpenClaim) -> [EventTeller.Owed] {
        (skipped + superseded).map { execution, schedule in
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
        let messages = zip(openings, planned).compactMap { opening, planned in planned.own.map { (opening.id, $0) } }
        if !messages.isEmpty { writes += [EventTable.setMessages(messages)] }
        if !heard.isEmpty { writes += [EventTable.remove(heard)] }
        let tracked = openings.filter(\.isTracked)
        if !tracked.isEmpty { writes += [RunTable.open(tracked)] }
        if !superseded.isEmpty { writes += [BufferTable.skip(superseded.map(\.execution), at: now)] }
        if !waiting.isEmpty { writes += [BufferTable.insert(waiting, at: now)] }
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
