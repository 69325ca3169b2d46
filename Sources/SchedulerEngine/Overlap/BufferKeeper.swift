import Logging
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Opens what waits for a place when there is one, and makes room where the policy is `cancel_previous`.
///
/// Every instance does it, without a lock in NATS: it looks again under the timers' locks, passes over those that
/// somebody holds, and whoever comes second finds nothing to do. What it opens it publishes itself, from a claim of its
/// own, as any other claimant; so a crash of it is any claimant's crash. It looks often while something waits, and once a
/// second otherwise; whoever frees a place or lets something wait on this instance wakes it (``Session/placesChanged``).
struct BufferKeeper: Sendable {
    let session: Session

    /// Between two looks while something waits, and while nothing does.
    private static let round = Duration.milliseconds(100)
    private static let idleRound = Duration.seconds(1)
    private static let page = 100
    private static let reason = "the next one is due, and overlap_policy is cancel_previous"

    /// The service's loop.
    func run() async throws {
        while true {
            let begun = ContinuousClock.now
            var isWaiting = false
            await session.attempt("opening what waits for a place") { isWaiting = try await look() }
            try Task.checkCancellation()
            // Where much waits, a look takes a while: half of the time at most goes into looking.
            let pause = max(isWaiting ? Self.round : Self.idleRound, ContinuousClock.now - begun)
            await session.placesChanged.wait(atMost: pause)
        }
    }

    /// Looks once at all that waits. - Returns: whether anything does.
    func look() async throws -> Bool {
        guard session.gate.claim().refusal == nil else { return true }
        let ids = try await session.pool.withConnection { try await BufferLook(session: session).ready(on: $0) }
        for first in stride(from: 0, to: ids.count, by: Self.page) where session.gate.claim().refusal == nil {
            try await turn(ids[first..<min(ids.count, first + Self.page)].sorted())
        }
        return try await session.pool.withConnection { try await BufferTable.isAnyWaiting(on: $0) }
    }

    private struct Outcome: Sendable {
        var writes: Writes
        var fires: [Fire] = []
        var events: [EventTeller.Owed] = []
        var ended: Set<ScheduleID> = []
        var over: [ScheduleID] = []
        var workersToStop: [LifeWriter.WorkerToStop] = []
        /// Open ones that their claimants give up if they have not sent them, and send no more if they have.
        var unsent: [(Cancellation, at: InstanceID)] = []
    }

    private func turn(_ ids: [ScheduleID]) async throws {
        let (outcome, rows) = try await session.pool.withConnection { connection in
            try await SettledTransaction.run(on: connection) { transaction -> (value: Outcome, calls: [Call]) in
                let outcome = try await decide(ids, in: transaction)
                return (outcome, outcome.writes.calls)
            }
        }
        if !outcome.fires.isEmpty { FailPoint.bufferOpened.reach() }
        session.publisher.admit(outcome.fires)
        session.teller.owe(outcome.events)
        if let rows { session.teller.owe(try outcome.writes.owed(rows)) }
        session.unended.add(outcome.ended.union(outcome.over))
        session.ask(outcome.workersToStop)
        for (cancellation, claimant) in outcome.unsent { session.cancellations.add(cancellation, at: claimant) }
    }

    /// Under the locks: a command, a claim or another keeper may have been quicker.
    private func decide(_ ids: [ScheduleID], in transaction: PostgresTransaction) async throws -> Outcome {
        let now = session.clock.now()
        var outcome = Outcome(writes: Writes([]))
        let timers = try await RevocationTable.lockFree(ids, in: transaction)
        guard !timers.isEmpty else { return outcome }
        try await session.compiler.targets.catchUp(on: transaction)
        let schedules = try await ScheduleTable.fetch(timers.keys.sorted(), on: transaction).schedules
        try await session.compiler.load(schedules, on: transaction)
        let occupancies = try await BufferTable.occupancies(of: timers.keys.sorted(), on: transaction)
        let waiting = occupancies.values.flatMap { $0.waiting.map(\.id) }
        let known = try await ExecutionTable.existing(among: waiting, on: transaction)
        var batch = BufferBatch(
            at: now, freezes: try await FreezeTable.current(endingAfter: now, on: transaction))
        let all = schedules.sorted { $0.id < $1.id }.compactMap { schedule -> BufferBatch.Waiting? in
            guard let timer = timers[schedule.id], let occupancy = occupancies[schedule.id] else { return nil }
            return BufferBatch.Waiting(
                schedule, session.compiler.compile(schedule), timer, occupancy, known: known)
        }
        let queues = all.compactMap { batch.queue($0) }
        var book = try await ConcurrencyTable.hold(queues.map(\.limits), in: transaction)
        let granted = book.grant(queues)
        for one in all { batch.add(one, granted: one.compiled.limits.isEmpty ? .max : granted[one.schedule.id] ?? 0) }
        outcome.writes += batch.renamed.map { ConcurrencyTable.rename($0.limits.names, of: $0.id) }
        outcome.writes += [InstanceTable.hold(session.instance)]
        if !known.isEmpty { outcome.writes += [BufferTable.forget(known.sorted())] }
        if !batch.timers.isEmpty { outcome.writes += [TimerTable.advance(batch.timers)] }
        let brought = try await BufferTable.brought(for: batch.opened.map(\.waiting.id), on: transaction)
        open(batch, brought, into: &outcome)
        skip(batch, into: &outcome)
        try await stop(batch, in: transaction, into: &outcome)
        outcome.over = batch.over
        if !batch.over.isEmpty { outcome.writes.exhaustIdle(batch.over, at: now) }
        return outcome
    }

    /// Opens each in a claim with those of its kind: what backfills and retries opened stands apart in the journal.
    private func open(_ batch: BufferBatch, _ brought: [ExecutionID: BufferTable.Brought], into outcome: inout Outcome)
    {
        let now = batch.now
        let ended = Set(batch.over)
        let groups = Dictionary(grouping: batch.opened) { opened in
            Kind(
                isTracked: opened.schedule.isTracked,
                isCommanded: opened.waiting.occurrence.origin == .backfill
                    || opened.waiting.occurrence.origin == .retry || opened.waiting.occurrence.liesFarBack(at: now)
            )
        }
        for (kind, opened) in groups {
            var random = SystemRandomNumberGenerator()
            let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
            let open = OpenClaim(claim, executions: opened.count)
            let openings = opened.map { waiting, fence, schedule in
                ExecutionTable.Opening(
                    id: waiting.id, occurrence: waiting.occurrence, dueAt: waiting.dueAt, fence: fence,
                    version: schedule.version, missedCount: waiting.missedCount, trigger: waiting.trigger,
                    isTracked: schedule.isTracked)
            }
            outcome.writes += [
                BufferTable.open(openings, tracked: kind.isTracked, by: session.instance, at: now),
                ClaimTable.insert(
                    claim, by: session.instance, at: now, executions: openings.map(\.id),
                    isCommanded: kind.isCommanded),
            ]
            // Its retries' age counts from here: it was the schedule that let it wait.
            if kind.isTracked {
                let limited = opened.lazy.map(\.schedule).filter { !$0.limits.isEmpty }
                let limits = Dictionary(limited.map { ($0.id, $0.limits.names) }) { first, _ in first }
                outcome.writes += [RunTable.open(openings, begin: now, limits: limits)]
            }
            outcome.fires += opened.map { waiting, fence, schedule in
                Fire(
                    id: waiting.id, schedule: schedule, claim: open, scheduledFor: waiting.occurrence.scheduledFor,
                    dueAt: waiting.dueAt, fence: fence, generation: waiting.occurrence.generation,
                    missedCount: waiting.missedCount, ordinal: waiting.occurrence.ordinal,
                    origin: waiting.occurrence.origin, trigger: waiting.trigger,
                    kind: waiting.occurrence.origin == .backfill ? .backfilled : .onTime,
                    causedBy: waiting.causedBy, isLast: ended.contains(schedule.id),
                    payload: brought[waiting.id]?.payload,
                    claimedAt: now, trace: brought[waiting.id]?.trace)
            }
        }
    }

    private struct Kind: Hashable {
        let isTracked: Bool
        let isCommanded: Bool
    }

    private func skip(_ batch: BufferBatch, into outcome: inout Outcome) {
        for (_, skipped) in Dictionary(grouping: batch.skipped, by: \.execution.reason) {
            let told = session.skipWaiting(skipped, at: batch.now)
            outcome.writes += told.calls
            outcome.events += told.events
        }
    }

    /// Asks the oldest open ones to stop. What its claimant has not sent yet, the claimant gives up; a request that is out
    /// has its grace.
    private func stop(
        _ batch: BufferBatch, in transaction: PostgresTransaction, into outcome: inout Outcome
    ) async throws {
        var writer = LifeWriter(names: session.configuration.names, at: batch.now)
        for (schedule, count) in batch.stops {
            let ids = try await BufferTable.oldestOpen(of: schedule.id, limit: count, on: transaction)
            for open in try await LifeTable.lock(ids, in: transaction) {
                let execution = open.execution
                if open.life.state == .claimed, let claimant = execution.claimedBy {
                    let cancellation = Cancellation(
                        execution: execution.id, schedule: schedule.id, reason: Self.reason)
                    outcome.unsent.append((cancellation, at: claimant))
                }
                let change = try? open.life.taking(
                    .cancel(reason: Self.reason), under: schedule.life, at: batch.now)
                guard let change else { continue }
                writer.write(change, of: execution, by: schedule, payload: open.payload)
            }
        }
        guard !writer.isEmpty else { return }
        outcome.writes += writer.writes()
        outcome.ended = writer.ended
        outcome.workersToStop = writer.workersToStop
    }
}
