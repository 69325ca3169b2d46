import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// What one transaction of the ``BufferKeeper`` decided: who has a place, who gives way, who is asked to stop. Built
/// without I/O.
struct BufferBatch {
    let now: Instant
    let freezes: [Freeze]
    private(set) var timers: [Timer] = []
    private(set) var opened: [(waiting: WaitingOccurrence, fence: Int64, schedule: CompiledSchedule)] = []
    private(set) var skipped: [(execution: Execution, schedule: CompiledSchedule)] = []
    /// Whose open executions make room, and how many of them.
    private(set) var stops: [(schedule: CompiledSchedule, count: Int)] = []
    /// What waits of these waits for other limits than it says.
    private(set) var renamed: [CompiledSchedule] = []
    /// Schedules that nothing more may come of.
    private(set) var over: [ScheduleID] = []

    init(at now: Instant, freezes: [Freeze]) {
        self.now = now
        self.freezes = freezes
    }

    /// One schedule of which something waits, as it stands under its timer's lock.
    struct Waiting {
        let schedule: Schedule
        let compiled: CompiledSchedule
        let timer: Timer
        let occupancy: Occupancy
        /// What of it has no row in the ledger yet.
        let waiting: [WaitingOccurrence]

        /// - Parameter known: what has a row already, of claims that were given back: it is counted no more.
        init(
            _ schedule: Schedule, _ compiled: CompiledSchedule, _ timer: Timer, _ occupancy: Occupancy,
            known: Set<ExecutionID>
        ) {
            self.schedule = schedule
            self.compiled = compiled
            self.timer = timer
            self.occupancy = occupancy
            waiting = occupancy.waiting.filter { !known.contains($0.id) }
        }

        /// What its own rule says, limits aside.
        var turn: BufferTurn {
            compiled.overlap.turn(open: occupancy.open, stopping: occupancy.stopping, waiting: waiting.count)
        }

        /// Why nothing of it is fired any more.
        var end: SkipReason? {
            if schedule.state == .deleted { return .deleted }
            return schedule.state == .invalid || compiled.publishingFault != nil ? .targetRevoked : nil
        }
    }

    /// What of a schedule would be opened, were there no limits; nil where none bounds it, or nothing may be opened.
    func queue(_ one: Waiting) -> ConcurrencyBook.Queue? {
        guard !one.compiled.limits.isEmpty, one.end == nil, !isFrozen(one.compiled) else { return nil }
        let turn = one.turn
        return ConcurrencyBook.Queue(
            schedule: one.schedule.id, limits: one.compiled.limits,
            since: one.waiting.dropFirst(turn.superseded).prefix(turn.opened).map(\.since))
    }

    private func isFrozen(_ schedule: CompiledSchedule) -> Bool {
        freezes.contains {
            $0.holds(at: now) && $0.concerns(namespace: schedule.namespace, target: schedule.target)
        }
    }

    /// Decides over what waits of one schedule.
    /// - Parameter granted: so many of them have places of its limits.
    mutating func add(_ one: Waiting, granted: Int = .max) {
        let compiled = one.compiled
        var timer = one.timer
        if let reason = one.end {
            skip(one.waiting, reason, compiled, &timer)
        } else {
            guard !isFrozen(compiled) else { return }
            let turn = one.turn
            if turn.stopped > 0 { stops.append((compiled, turn.stopped)) }
            skip(one.waiting.prefix(turn.superseded), .superseded, compiled, &timer)
            let left = one.waiting.dropFirst(turn.superseded)
            let opening = min(turn.opened, granted)
            for next in left.prefix(opening) {
                timer.fireSequence += 1
                opened.append((next, timer.fireSequence, compiled))
            }
            if left.dropFirst(opening).contains(where: { $0.limits != compiled.limits.names }) {
                renamed.append(compiled)
            }
        }
        guard timer != one.timer else { return }
        timers.append(timer)
        if timer.nextFireAt == nil { over.append(one.schedule.id) }
    }

    private mutating func skip(
        _ waiting: some Sequence<WaitingOccurrence>, _ reason: SkipReason, _ schedule: CompiledSchedule,
        _ timer: inout Timer
    ) {
        let waiting = Array(waiting)
        skipped += waiting.map {
            ($0.skipped(reason, version: schedule.version, timer: &timer, now: now), schedule)
        }
        schedule.planner.takeBack(waiting, from: &timer, at: now)
    }
}
