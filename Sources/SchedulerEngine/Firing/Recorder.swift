import NATSClient
package import PostgresClient
import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire
import Synchronization

/// What waits to be written down: executions that ended, and word that acknowledgements have settled something.
package final class RecordQueue: Sendable {
    private struct State {
        var ended: [EndedFire] = []
        var firstAt: Int64?
        var isHurried = false
    }

    private static let patience: Int64 = 50_000_000
    private static let mostPatience: Int64 = 3_000_000_000

    private let batch: Int
    private let state = Mutex(State())
    private let wakeup = Wakeup()

    /// - Parameter batch: the most that is taken at once.
    package init(batch: Int) { self.batch = batch }

    package func add(_ ended: [EndedFire]) {
        let isNews = state.withLock { state in
            if state.firstAt == nil { state.firstAt = MonotonicClock.now() }
            let before = state.ended.count
            state.ended += ended
            return before == 0 || (before < batch && state.ended.count >= batch)
        }
        if isNews { wakeup.signal() }
    }

    /// Something is settled: its rows can go with the next record.
    package func settledMore() {
        let isIdle = state.withLock { state in
            guard state.firstAt == nil else { return false }
            state.firstAt = MonotonicClock.now()
            return true
        }
        if isIdle { wakeup.signal() }
    }

    /// Somebody waits: record at once.
    package func hurry() {
        state.withLock { $0.isHurried = true }
        wakeup.signal()
    }

    /// Ended and not yet recorded.
    package var count: Int { state.withLock { $0.ended.count } }

    /// Waits until a batch should be recorded, or for a second at most.
    /// - Parameter crowd: how many wait to be published. While they do, records hold back, for three seconds at most.
    func waitForBatch(crowd: () -> Int) async {
        while !Task.isCancelled, let wait = waitingTime(crowd: crowd()) { await wakeup.wait(atMost: wait) }
    }

    private func waitingTime(crowd: Int) -> Duration? {
        state.withLock { state in
            guard let firstAt = state.firstAt else { return .seconds(1) }
            let age = MonotonicClock.now() - firstAt
            if state.isHurried || age >= Self.mostPatience { return nil }
            let isCrowded = crowd > 1000
            let patience = isCrowded ? Self.mostPatience : Self.patience
            let isFull = state.ended.count >= batch && !isCrowded
            return isFull || age >= patience ? nil : .nanoseconds(min(patience - age, Self.patience))
        }
    }

    func take() -> [EndedFire] {
        state.withLock { state in
            let taken = Array(state.ended.prefix(batch))
            state.ended.removeFirst(taken.count)
            if state.ended.isEmpty {
                state.isHurried = false
                state.firstAt = nil
            }
            return taken
        }
    }

    func putBack(_ ended: [EndedFire]) {
        state.withLock { state in
            state.ended.insert(contentsOf: ended, at: 0)
            state.firstAt = MonotonicClock.now()
        }
    }
}

/// Writes down how executions ended, in batches, and hands their events on once that is durable.
///
/// A batch goes at 1000 executions or 50 ms after its first. While a crowd waits to be published the recorder holds
/// back, for three seconds at most: the machine is the publisher's then, and nobody waits for a record but a recall, which
/// hurries the queue.
package final class Recorder: Sendable {
    private let instance: InstanceID
    private let names: SubjectNames
    private let queue: RecordQueue
    private let clock: PostgresClock
    private let publisher: Publisher
    private let teller: EventTeller
    private let unended: UnendedSchedules
    private let chained: Wakeup
    private let onFault: @Sendable (any Error) -> Void

    package init(
        instance: InstanceID, names: SubjectNames, queue: RecordQueue, clock: PostgresClock, publisher: Publisher,
        teller: EventTeller, unended: UnendedSchedules, chained: Wakeup,
        onFault: @escaping @Sendable (any Error) -> Void
    ) {
        self.instance = instance
        self.names = names
        self.queue = queue
        self.clock = clock
        self.publisher = publisher
        self.teller = teller
        self.unended = unended
        self.chained = chained
        self.onFault = onFault
    }

    /// The service's loop; several may run side by side, each on a connection of its own. Throws when this member is
    /// fenced.
    package func run(on connection: PostgresConnection) async throws {
        while !Task.isCancelled {
            await queue.waitForBatch { publisher.dueBacklog }
            try await recordOnce(on: connection)
        }
    }

    /// Records one batch, if there is one. Throws when this member is fenced; any other failure is told, and tried
    /// again.
    package func recordOnce(on connection: PostgresConnection) async throws {
        let ended = queue.take()
        let settled = teller.takeSettled()
        guard !ended.isEmpty || !settled.isEmpty else { return }
        let now = clock.now()
        let plain = ended.filter { !$0.hasLife }
        let lived = ended.filter(\.hasLife)
        // Timers before rows, rows in one order: as commands lock them.
        let over = publisher.schedulesOver(plain).sorted()
        let told: [EventTeller.Owed]
        let exhausted: Set<ScheduleID>
        do {
            FailPoint.recording.reach()
            var writes = writes(for: plain, over, settled, at: now)
            let written: (writes: Writes, rows: [PostgresRows])
            if lived.isEmpty {
                let calls = writes.calls
                written = (writes, try await connection.transaction { try await $0.commit(with: calls) })
            } else {
                written = try await record(lived, besides: writes, over, at: now, on: connection)
                writes = written.writes
            }
            FailPoint.recorded.reach()
            (told, exhausted) = try writes.told(written.rows)
            if writes.hasFollowers(written.rows) { chained.signal() }
        } catch {
            queue.putBack(ended)
            teller.putBack(settled)
            if (error as? PostgresError)?.sqlState == InstanceTable.fencedState { throw error }
            onFault(error)
            try await Task.sleep(for: .milliseconds(100))
            return
        }
        if exhausted.count < over.count || !lived.isEmpty { unended.add(Set(over).subtracting(exhausted)) }
        publisher.close(ended.map(\.fire))
        teller.owe(plain.map { .execution(ExecutionEvent($0, finishedAt: now), $0.fire.claim) })
        teller.owe(told)
        // Their events stand by themselves: the journal need not.
        teller.settleWithoutEvent(lived.map(\.fire.claim))
    }

    /// The same where the machine decides over some: what it has to know is read under the locks.
    private func record(
        _ lived: [EndedFire], besides plain: Writes, _ over: [ScheduleID], at now: Instant,
        on connection: PostgresConnection
    ) async throws -> (writes: Writes, rows: [PostgresRows]) {
        try await connection.transaction { [instance, names] transaction in
            let timers = Set(lived.map(\.fire.schedule.id)).union(over).sorted()
            _ = try await TimerTable.lockAll(timers, in: transaction)
            var writer = LifeWriter(names: names, at: now)
            try await writer.record(lived, by: instance, at: now, in: transaction)
            var writes = plain
            writes += writer.writes()
            return (writes, try await transaction.commit(with: writes.calls))
        }
    }

    /// The writes of what is over by its dispatch alone.
    /// - Parameter over: the schedules that may have fired their last.
    private func writes(
        for ended: [EndedFire], _ over: [ScheduleID], _ settled: EventTeller.Settled, at now: Instant
    ) -> Writes {
        var writes = Writes([InstanceTable.hold(instance)])
        if !ended.isEmpty {
            if !over.isEmpty { writes += [ExhaustionTable.lock(over)] }
            let endings = ended.map(\.ending).sorted { $0.id < $1.id }
            writes += [ExecutionTable.end(endings, by: instance, at: now)]
            writes.tellFollowers(ended.map(\.chainEnd), at: now)
            if !over.isEmpty { writes.exhaust(over, at: now) }
        }
        if !settled.claims.isEmpty { writes += [ClaimTable.delete(settled.claims)] }
        if !settled.changes.isEmpty { writes += [AuditTable.settle(settled.changes)] }
        if !settled.messages.isEmpty { writes += [OwedTable.settle(settled.messages)] }
        return writes
    }
}

extension EndedFire {
    fileprivate var chainEnd: ChainTable.End {
        ChainTable.End(execution: fire.id, schedule: fire.schedule.id, state: state)
    }

    fileprivate var ending: ExecutionTable.Ending {
        ExecutionTable.Ending(
            id: fire.id, state: state, firedAt: firedAt, reason: reason, outcome: outcome, ackStream: ackStream,
            ackSequence: ackSequence.map { Int64(clamping: $0) })
    }
}

extension ExecutionEvent {
    fileprivate init(_ ended: EndedFire, finishedAt: Instant) {
        let fire = ended.fire
        var execution = Execution(
            id: fire.id, schedule: fire.schedule.id, scheduledFor: fire.scheduledFor, dueAt: fire.dueAt,
            state: ended.state, origin: fire.origin, trigger: fire.trigger, generation: fire.generation,
            scheduleVersion: fire.schedule.version, attempt: fire.attempt, fence: fire.fence, claimedAt: fire.dueAt)
        execution.firedAt = ended.firedAt
        execution.causedBy = fire.causedBy
        execution.trace = fire.trace
        execution.reason = ended.reason
        execution.outcome = ended.outcome
        execution.missedCount = fire.missedCount
        let payloadHash = fire.payload.map { Digest.hexadecimal(Digest.sha256($0)) } ?? fire.schedule.payloadSHA256
        self.init(
            execution, scheduleName: fire.schedule.name, namespace: fire.schedule.namespace,
            payloadSHA256: payloadHash, finishedAt: finishedAt)
    }
}
