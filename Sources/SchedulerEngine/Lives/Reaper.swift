import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// Looks after every deadline: workers that do not begin, give no sign of life, do not end, or were asked to stop; and
/// retries, whose next attempt it opens.
///
/// Every instance does it, without a lock in NATS. What is due is read without a lock; then the schedules' timers are
/// locked, passing over those that others hold, and each life is looked at again: so two reapers, or a reaper and a
/// report, never decide over one life at once. A retry is opened a moment ahead, as a claim is, and published at its time;
/// the journal row that it gets lets others publish it where this instance dies.
///
/// Retries and stops are this scheduler's own, and go on whatever becomes of NATS. Deadlines of workers are judged in a
/// loop of their own, which asks first whether they have been heard (``WorkerDeadlines``).
struct Reaper: Sendable {
    let session: Session

    private static let round = Duration.milliseconds(250)
    /// How far ahead of their time retries are opened, in milliseconds.
    private static let ahead: Int64 = 400
    static let batch = 200

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await again("looking after retries and stops") { try await reapOwn() } }
            tasks.addTask {
                let workers = WorkerDeadlines(reaper: self)
                try await again("looking after workers' deadlines") { try await workers.reap() }
            }
            while try await tasks.next() != nil {}
        }
    }

    /// - Parameter reap: takes one batch, and says whether there may be more.
    private func again(_ step: String, _ reap: @escaping @Sendable () async throws -> Bool) async throws {
        while true {
            await session.attempt(step) { while try await reap() {} }
            try await Task.sleep(for: Self.round)
        }
    }

    private func reapOwn() async throws -> Bool {
        let now = session.clock.now()
        // Who may not claim opens no attempt, and looks after the other deadlines all the same.
        let retries = session.gate.claim().refusal == nil ? now.adding(milliseconds: Self.ahead) : nil
        let due = try await session.pool.withConnection {
            try await RetryTable.due(retries: retries, cancellations: now, workers: nil, limit: Self.batch, on: $0)
        }
        let isHad = try await take(due, through: ReaperRound.Bounds(retries: retries, cancellations: now), at: now)
        return isHad && due.count == Self.batch
    }

    /// Takes what is due, as far as it is still due then. - Returns: whether something of it was had.
    func take(_ due: [RetryTable.Due], through bounds: ReaperRound.Bounds, at now: Instant) async throws -> Bool {
        guard !due.isEmpty else { return false }
        var random = SystemRandomNumberGenerator()
        let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
        let round = ReaperRound(
            claim: claim, instance: session.instance, names: session.configuration.names, bounds: bounds, now: now)
        let (taken, rows) = try await session.pool.withConnection { connection in
            try await SettledTransaction.run(on: connection) {
                transaction -> (value: (ReaperRound, Writes)?, calls: [Call]) in
                var round = round
                try await fill(&round, from: due, in: transaction)
                guard round.count > 0 else { return (nil, []) }
                let writes = round.writes()
                return ((round, writes), writes.calls)
            }
        }
        guard let (done, writes) = taken else { return false }
        session.publisher.admit(done.fires())
        if let rows {
            session.teller.owe(try writes.owed(rows))
            if writes.hasFollowers(rows) { session.chained.signal() }
        }
        session.unended.add(done.ended)
        session.ask(done.workersToStop)
        return true
    }

    private func fill(
        _ round: inout ReaperRound, from due: [RetryTable.Due], in transaction: PostgresTransaction
    ) async throws {
        let freezes = try await FreezeTable.holding(at: round.now, in: transaction)
        let timers = try await RevocationTable.lockFree(Set(due.map(\.schedule)).sorted(), in: transaction)
        guard !timers.isEmpty else { return }
        try await session.compiler.targets.catchUp(on: transaction)
        let found = try await session.compiler.schedules(
            for: timers.values.map { ($0.schedule, $0.version) }, in: transaction)
        let states = try await RetryTable.states(of: timers.keys.sorted(), in: transaction)
        let ids = due.filter { timers[$0.schedule] != nil }.map(\.id).sorted()
        for open in try await LifeTable.lock(ids, in: transaction) {
            guard let timer = timers[open.life.schedule] else { continue }
            let schedule = found.ready[open.life.schedule]
            let frozen = schedule.flatMap { schedule in
                freezes.filter { $0.concerns(namespace: schedule.namespace, target: schedule.target) }.map(\.until)
                    .max()
            }
            let holder = ReaperRound.Holder(
                schedule: schedule, state: states[open.life.schedule] ?? .deleted, frozenUntil: frozen)
            round.decide(open, timer, holder)
        }
    }
}
