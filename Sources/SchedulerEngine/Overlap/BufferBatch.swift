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
    /// Schedules that nothing more may come of.
    private(set) var over: [ScheduleID] = []

    init(at now: Instant, freezes: [Freeze]) {
        self.now = now
        self.freezes = freezes
    }

    var isEmpty: Bool { timers.isEmpty && stops.isEmpty }

    /// Decides over what waits of one schedule.
    /// - Parameter known: what has a row in the ledger already, of claims that were given back: it is counted no more.
    mutating func add(
        _ schedule: Schedule, _ compiled: CompiledSchedule, _ timer: Timer, _ occupancy: Occupancy,
        known: Set<ExecutionID>
    ) {
        let waiting = occupancy.waiting.filter { !known.contains($0.id) }
        let before = timer
        var timer = timer
        if let reason = Self.end(of: schedule, compiled) {
            skip(waiting, reason, compiled, &timer)
        } else {
            guard !freezes.contains(where: { $0.holds(at: now) && $0.concerns(compiled) }) else { return }
            let turn = compiled.overlap.turn(
                open: occupancy.open, stopping: occupancy.stopping, waiting: waiting.count)
            if turn.stopped > 0 { stops.append((compiled, turn.stopped)) }
            skip(waiting.prefix(turn.superseded), .superseded, compiled, &timer)
            for next in waiting.dropFirst(turn.superseded).prefix(turn.opened) {
                timer.fireSequence += 1
                opened.append((next, timer.fireSequence, compiled))
            }
        }
        guard timer != before else { return }
        timers.append(timer)
        if timer.nextFireAt == nil { over.append(schedule.id) }
    }

    /// Why nothing of a schedule is fired any more.
    private static func end(of schedule: Schedule, _ compiled: CompiledSchedule) -> SkipReason? {
        if schedule.state == .deleted { return .deleted }
        return schedule.state == .invalid || compiled.publishingFault != nil ? .targetRevoked : nil
    }

    private mutating func skip(
        _ waiting: some Sequence<WaitingOccurrence>, _ reason: SkipReason, _ schedule: CompiledSchedule,
        _ timer: inout Timer
    ) {
        let waiting = Array(waiting)
        skipped += waiting.map {
            ($0.skipped(reason, version: schedule.version, timer: &timer, now: now), schedule)
        }
        schedule.planner.takeBack(waiting, from: &timer)
    }
}

extension Freeze {
    fileprivate func concerns(_ schedule: CompiledSchedule) -> Bool {
        concerns(namespace: schedule.namespace, target: schedule.target)
    }
}
