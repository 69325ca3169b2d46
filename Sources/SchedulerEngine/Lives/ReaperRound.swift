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

    /// How long a retry that cannot go now is left alone, unless its schedule goes on before: nothing is stuck, and a
    /// paused schedule's retries cost nothing.
    static let patience: Int64 = 60_000

    let claim: ClaimTable.ClaimID
    let instance: InstanceID
    let now: Instant
    private var writer: LifeWriter
    /// The timers whose fences moved.
    private var timers: [ScheduleID: Timer] = [:]
    private var opened: [(execution: Execution, payload: [UInt8]?, schedule: CompiledSchedule)] = []
    private var held: [(id: ExecutionID, until: Instant)] = []

    init(claim: ClaimTable.ClaimID, instance: InstanceID, names: SubjectNames, now: Instant) {
        self.claim = claim
        self.instance = instance
        self.now = now
        writer = LifeWriter(names: names, at: now)
    }

    /// How many lives it changes.
    private(set) var count = 0
    var workersToStop: [LifeWriter.WorkerToStop] { writer.workersToStop }
    var ended: Set<ScheduleID> { writer.ended }

    /// Decides over one life, whose rows and whose schedule's timer are locked.
    /// - Parameter retries: retries that are due by then are opened; nil for none.
    mutating func decide(_ open: OpenLife, _ timer: Timer, _ holder: Holder, retriesThrough retries: Instant?) {
        guard let deadline = open.life.deadline else { return }
        // Somebody was quicker: a report, or another reaper.
        guard deadline.kind == .retry ? retries.map({ deadline.at <= $0 }) ?? false : deadline.at <= now else { return }
        count += 1
        guard let schedule = holder.schedule else {
            return held.append((open.life.execution, now.adding(milliseconds: Self.patience)))
        }
        if deadline.kind == .retry {
            retry(open, at: deadline.at, timer, schedule, holder)
        } else if let change = try? open.life.taking(.deadlinePassed, under: schedule.life, at: now) {
            writer.write(change, of: open.execution, by: schedule, payload: open.payload)
        }
    }

    private mutating func retry(
        _ open: OpenLife, at due: Instant, _ timer: Timer, _ schedule: CompiledSchedule, _ holder: Holder
    ) {
        if holder.state == .deleted {
            let reason = SkipReason.deleted.rawValue
            guard let change = try? open.life.taking(.cancel(reason: reason), under: schedule.life, at: now) else {
                return
            }
            return writer.write(change, of: open.execution, by: schedule, payload: open.payload)
        }
        let isStopped = holder.state == .paused || holder.state == .invalid || schedule.publishingFault != nil
        guard !isStopped, holder.frozenUntil == nil else {
            let latest = now.adding(milliseconds: Self.patience)
            return held.append((open.life.execution, isStopped ? latest : min(latest, holder.frozenUntil ?? latest)))
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
                causedBy: execution.causedBy, payload: payload, claimedAt: execution.claimedAt)
        }
    }
}
