import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
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
    private(set) var planned: [(fire: PlannedFire, schedule: CompiledSchedule, isLast: Bool, own: [UInt8]?)] = []
    /// Messages that wait no longer: they fire, or are of a timing that is no more.
    private(set) var heard: [Int64] = []

    /// How the limits of its schedules stand, under their locks.
    private var book: ConcurrencyBook

    init(
        id: ClaimTable.ClaimID, now: Instant, late: Instant, room: ClaimRoom, existing: Existing,
        book: ConcurrencyBook = ConcurrencyBook()
    ) {
        self.book = book
        self.existing = existing
        self.id = id
        self.now = now
        self.late = late
        self.room = room
    }

    /// How many timers this claim moves.
    var count: Int { timers.count + listening.count + parked.count }
    /// Nothing more may be added.
    var isFull: Bool { room.isFull }
    /// Something that is due was left for another claim.
    var leavesMore: Bool { room.isFull || room.hasRefused }

    /// What waits for a place from now on.
    private(set) var waiting: [WaitingOccurrence] = []
    /// The messages of those that came by one.
    private(set) var waitingMessages: [(id: ExecutionID, payload: [UInt8])] = []
    /// Whose executions take places of limits.
    private(set) var limited: [ScheduleID: ConcurrencyNames] = [:]
    /// What waited for a place before, and gives way.
    private(set) var superseded: [(execution: Execution, schedule: CompiledSchedule)] = []
    /// Schedules that have no place free, and of which nothing is due yet: when it is, there may be one.
    private(set) var deferred: [ScheduleID] = []

    /// Timers of schedules that messages drive, and whether a claim may meet them ahead of their time.
    private(set) var listening: [(timer: Timer, isPutOff: Bool)] = []
    /// Those whose messages are due and have no place, and when they are looked at again.
    private(set) var placeless: [ScheduleID: Instant] = [:]

    /// Timers that a freeze holds, by their place among ``timers``: each needs a turn after the freeze.
    private(set) var held: [FreezeID: [Int]] = [:]

    /// Schedules whose last occurrence was skipped: no record will come that could exhaust them.
    private(set) var over: [ScheduleID] = []

    /// What jumps of the clocks left out between an occurrence and the next one, and absences.
    private(set) var removals: [AuditEntry] = []

    var executionIDs: [ExecutionID] {
        openings.map(\.id) + skipped.map(\.execution.id) + superseded.map(\.execution.id)
    }

    /// What its journal rows name. Messages that waited for days have a row of their own. What comes late of a schedule's
    /// own time has not: an outage makes many of it, and they are soon gone.
    var journal: (near: [ExecutionID], far: [ExecutionID]) {
        let far = openings.filter { $0.occurrence.origin == .event && $0.occurrence.liesFarBack(at: now) }.map(\.id)
        guard !far.isEmpty else { return (executionIDs, []) }
        let apart = Set(far)
        return (executionIDs.filter { !apart.contains($0) }, far)
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
                hear(due, schedule, timing, facts, horizon, occupancy, heldUntil: held)
            } else {
                miss(due, schedule, timing, facts, occupancy, heldUntil: held)
            }
            return
        }
        var timer = due.timer
        // What is not due takes a place that is free; else it is decided over when it is due.
        let free = occupancy.map {
            min(schedule.overlap.free(open: $0.open, waiting: $0.waiting.count), book.unclaimed(schedule.limits))
        }
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
        if !schedule.limits.isEmpty {
            book.note(opened: 1, waiting: 0, schedule.limits)
            limited[schedule.id] = schedule.limits.names
        }
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

    /// Lets one wait for a place of a limit.
    private mutating func wait(
        _ fire: PlannedFire, of schedule: CompiledSchedule, origin: Origin, ordinal: Int64, own: [UInt8]?,
        _ timer: Timer
    ) {
        let occurrence = WaitingOccurrence(
            occurrence: Occurrence(
                schedule: schedule.id, generation: timer.generation, origin: origin, scheduledFor: fire.scheduledFor,
                ordinal: ordinal),
            dueAt: fire.dueAt, trigger: fire.trigger, missedCount: fire.missedCount, since: now,
            limits: schedule.limits.names)
        waiting.append(occurrence)
        if let own { waitingMessages.append((occurrence.id, own)) }
        book.note(opened: 0, waiting: 1, schedule.limits)
    }

    /// Takes what waits for a schedule that messages drive. Messages wait for a place of the schedule's own where they
    /// are, whatever the policy: none is skipped. For a place of a limit they wait in their turn with all others.
    private mutating func hear(
        _ due: TimerTable.Due, _ schedule: CompiledSchedule, _ timing: Timing, _ facts: ListeningFacts?,
        _ horizon: Instant, _ occupancy: Occupancy?, heldUntil: Instant?
    ) {
        let own = occupancy.map { schedule.overlap.free(open: $0.open, waiting: $0.waiting.count) } ?? .max
        let shared = book.unclaimed(schedule.limits)
        let waits = shared == 0
        let places = waits ? min(own, OverlapRule.mostBuffered - (occupancy?.waiting.count ?? 0)) : min(own, shared)
        var timer = due.timer
        let waiting = facts?.waiting[schedule.id] ?? []
        let current = waiting.filter { $0.generation == timer.generation }
        let heard = schedule.planner.plan(
            timing, current, runCount: timer.runCount - (existing.counts[schedule.id] ?? 0), now: now,
            horizon: horizon, room: room.left, places: max(0, places), takesDueAlone: waits,
            isHeard: timing.event.stream == nil || facts?.checked.contains(schedule.id) ?? false, heldUntil: heldUntil)
        guard room.take(heard.plan, late: late) else { return }
        for (fire, event) in zip(heard.plan.fires, heard.taken) {
            guard !waits else {
                wait(fire, of: schedule, origin: .event, ordinal: event.ordinal, own: event.message, timer)
                continue
            }
            open(
                fire, of: schedule, origin: .event, ordinal: event.ordinal, own: event.message,
                isLast: heard.plan.isLast, &timer)
        }
        self.heard += heard.taken.map(\.row) + waiting.filter { $0.generation != timer.generation }.map(\.row)
        if heard.waitsForPlace { placeless[schedule.id] = heard.plan.nextFireAt }
        move(timer, by: heard.plan, of: schedule, isPutOff: heard.isPutOff)
    }

    /// Tells an absence, unless its deadline must be looked at again.
    private mutating func miss(
        _ due: TimerTable.Due, _ schedule: CompiledSchedule, _ timing: Timing, _ facts: ListeningFacts?,
        _ occupancy: Occupancy?, heldUntil: Instant?
    ) {
        var timer = due.timer
        let deadline = timer.resumeFrom ?? due.nextFireAt
        let isChecked = timing.event.stream.map { _ in facts?.checked.contains(schedule.id) ?? false }
        let decision = schedule.planner.plan(
            absenceBy: deadline, timing, isChecked: isChecked, firesCommand: schedule.firesCommand,
            runCount: timer.runCount, now: now, heldUntil: heldUntil)
        switch decision {
        case .wait(let until):
            timer.nextFireAt = until
            timer.resumeFrom = deadline
            listening.append((timer, true))
        case .again(let plan): move(timer, by: plan, of: schedule)
        case .tell(let told):
            guard room.take(told, late: late) else { return }
            // Its event is told whatever becomes of its command, which takes a place as any other fire.
            let plan = occupancy.map { place(told, of: schedule, $0, &timer) } ?? told
            for run in plan.skips { skip(run, of: schedule, &timer) }
            for fire in plan.fires { open(fire, of: schedule, isLast: false, &timer) }
            timer.fireSequence += 1
            removals.append(
                AuditEntry(
                    absenceBy: deadline, on: timing.event.subject?.description ?? "", of: timer,
                    names: (schedule.namespace, schedule.name), at: now))
            move(timer, by: plan, of: schedule)
        }
    }

    private mutating func move(
        _ timer: Timer, by plan: ClaimPlan, of schedule: CompiledSchedule, isPutOff: Bool = false
    ) {
        var timer = timer
        timer.nextFireAt = plan.nextFireAt
        timer.resumeFrom = plan.resumeFrom
        timer.runCount = plan.runCount
        listening.append((timer, isPutOff))
        if plan.isLast, plan.fires.isEmpty { over.append(schedule.id) }
    }

    /// Lets the fires of a plan share the places that there are. - Returns: the plan with those that open.
    private mutating func place(
        _ plan: ClaimPlan, of schedule: CompiledSchedule, _ occupancy: Occupancy, _ timer: inout Timer
    ) -> ClaimPlan {
        let placed = OverlapPlan(
            plan, of: schedule.id, generation: timer.generation, schedule.planner, schedule.overlap, occupancy,
            limits: (schedule.limits.names, book.unclaimed(schedule.limits)), at: now)
        superseded += placed.superseded.map {
            ($0.skipped(.superseded, version: schedule.version, timer: &timer, now: now), schedule)
        }
        waiting += placed.waiting
        book.note(opened: 0, waiting: placed.waiting.count - placed.superseded.count, schedule.limits)
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
}
