import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// What the reaper decides over the deadlines that one transaction takes, before it is written. Built without I/O.
struct ReaperRound: Sendable {
    /// What one life's schedule is like at this moment.
    struct Holder: Sendable {
        /// Nil where its row cannot be read.
        let schedule: CompiledSchedule?
        let state: ScheduleState
        /// Nothing of it fires until then; nil where nothing holds it.
        let frozenUntil: Instant?
    }

    /// Up to when deadlines are judged; nil where none of a kind is.
    struct Bounds: Sendable {
        var retries: Instant?
        var cancellations: Instant?
        /// All that workers said up to then is written.
        var workers: Instant?
        /// Of these no report waits, whenever it was said.
        var settled: Set<ExecutionID> = []
        /// Of these one does: they are looked at again once it is taken.
        var reported: Set<ExecutionID> = []
        /// Since when workers are heard.
        var hearing = ReportHearing()

        /// Whether a deadline has come, and may be judged.
        func reach(_ deadline: Life.Deadline, of execution: ExecutionID, at now: Instant) -> Bool {
            let bound: Instant? =
                switch deadline.kind {
                case .retry: retries
                case .cancel: cancellations
                case .start, .run, .heartbeat:
                    settled.contains(execution) || reported.contains(execution) ? now : workers
                }
            return bound.map { deadline.at <= $0 } ?? false
        }
    }

    /// Until an execution is looked at again of which a report waits, in milliseconds.
    private static let reportPatience: Int64 = 1000
    /// How long a retry that cannot go now is left alone, unless its schedule goes on before: nothing is stuck, and a
    /// paused schedule's retries cost nothing.
    static let patience: Int64 = 60_000

    let claim: ClaimTable.ClaimID
    let instance: InstanceID
    let bounds: Bounds
    let now: Instant
    private var writer: LifeWriter
    /// The timers whose fences moved.
    private var timers: [ScheduleID: Timer] = [:]
    private var opened: [(execution: Execution, payload: [UInt8]?, schedule: CompiledSchedule)] = []
    private var held: [(id: ExecutionID, until: Instant)] = []

    init(claim: ClaimTable.ClaimID, instance: InstanceID, names: SubjectNames, bounds: Bounds, now: Instant) {
        self.claim = claim
        self.instance = instance
        self.bounds = bounds
        self.now = now
        writer = LifeWriter(names: names, at: now)
    }

    /// How many lives it changes.
    private(set) var count = 0
    var workersToStop: [LifeWriter.WorkerToStop] { writer.workersToStop }
    var ended: Set<ScheduleID> { writer.ended }

    /// Decides over one life, whose rows and whose schedule's timer are locked.
    mutating func decide(_ open: OpenLife, _ timer: Timer, _ holder: Holder) {
        // Somebody was quicker: a report, or another reaper.
        guard let deadline = open.life.deadline, bounds.reach(deadline, of: open.life.execution, at: now) else {
            return
        }
        count += 1
        guard let schedule = holder.schedule else {
            return held.append((open.life.execution, now.adding(milliseconds: Self.patience)))
        }
        if deadline.kind == .retry {
            retry(open, at: deadline.at, timer, schedule, holder)
        } else if let until = heldUntil(open.life, deadline, schedule.life) {
            held.append((open.life.execution, until))
        } else if let change = try? open.life.taking(.deadlinePassed, under: schedule.life, at: now) {
            writer.write(change, of: open.execution, by: schedule, payload: open.payload)
        }
    }

    /// Until when a worker's deadline is put off; nil where it has come.
    private func heldUntil(_ life: Life, _ deadline: Life.Deadline, _ rule: LifeRule) -> Instant? {
        guard deadline.kind != .cancel else { return nil }
        if bounds.reported.contains(life.execution) { return now.adding(milliseconds: Self.reportPatience) }
        guard deadline.kind == .heartbeat else { return nil }
        // Signs of life are kept by nobody: those that came while nothing was heard are followed by others.
        guard let missed = bounds.hearing.missesHeartbeats(of: rule.heartbeatTimeout ?? 0) else {
            return now.adding(milliseconds: Self.reportPatience)
        }
        return missed > now ? missed : nil
    }

    private mutating func retry(
        _ open: OpenLife, at due: Instant, _ timer: Timer, _ schedule: CompiledSchedule, _ holder: Holder
    ) {
        if holder.state == .deleted {
            let reason = SkipReason.deleted.rawValue
            guard let change = try? open.life.taking(.cancel(reason: reason), under: schedule.life, at: now) else {
                return
            }
            writer.write(change, of: open.execution, by: schedule, payload: open.payload)
            return
        }
        let isStopped = holder.state == .paused || holder.state == .invalid || schedule.publishingFault != nil
        guard !isStopped, holder.frozenUntil == nil else {
            let latest = now.adding(milliseconds: Self.patience)
            return held.append((open.life.execution, isStopped ? latest : min(latest, holder.frozenUntil ?? latest)))
        }
        guard !schedule.isShadow else {
            let reason = SkipReason.shadow.rawValue
            guard let change = try? open.life.taking(.cancel(reason: reason), under: schedule.life, at: now) else {
                return
            }
            writer.write(change, of: open.execution, by: schedule, payload: open.payload)
            return
        }
        var timer = timers[timer.schedule] ?? timer
        timer.fireSequence += 1
        let event = LifeEvent.reopened(fence: timer.fireSequence)
        guard let change = try? open.life.taking(event, under: schedule.life, at: now) else { return }
        timers[timer.schedule] = timer
        var execution = open.execution
        execution.claimedBy = instance
        execution.claimedAt = now
        // An attempt has a due time of its own: lateness and templates go by it.
        execution.dueAt = due
        execution.firedAt = nil
        execution.outcome = nil
        execution.ackStream = nil
        execution.ackSequence = nil
        execution.isRecalled = false
        writer.write(change, of: execution, by: schedule, payload: open.payload)
        execution.attempt = change.life.attempt
        execution.fence = change.life.fence
        opened.append((execution, open.payload, schedule))
    }

    /// The writes of the transaction.
    func writes() -> Writes {
        var writes = Writes([InstanceTable.hold(instance)])
        if !timers.isEmpty { writes += [TimerTable.advance(timers.values.sorted { $0.schedule < $1.schedule })] }
        writes += writer.writes()
        if !held.isEmpty { writes += [RetryTable.hold(held)] }
        if !opened.isEmpty {
            // They lie where their first attempts did: far before everything else that is open, it may be.
            writes += [
                ClaimTable.insert(
                    claim, by: instance, at: now, executions: opened.map(\.execution.id), isCommanded: true)
            ]
        }
        return writes
    }

    /// The attempts that it opened, once the transaction is committed.
    func fires() -> [Fire] {
        let open = OpenClaim(claim, executions: opened.count)
        return opened.map { execution, payload, schedule in
            Fire(
                id: execution.id, schedule: schedule, claim: open, scheduledFor: execution.scheduledFor,
                dueAt: execution.dueAt, fence: execution.fence, attempt: execution.attempt,
                generation: execution.generation, missedCount: execution.missedCount, ordinal: execution.ordinal,
                origin: execution.origin, trigger: execution.trigger,
                kind: execution.origin == .backfill ? .backfilled : .onTime, isTracked: execution.isTracked,
                causedBy: execution.causedBy, payload: payload, claimedAt: execution.claimedAt, trace: execution.trace)
        }
    }
}
