import JSONSchema
package import Logging
import NATSClient
package import PostgresClient
package import Recurrence
package import SchedulerCore
import SchedulerStore
import Synchronization

/// Claims occurrences a little before they are due (engine.md, *The idea*).
///
/// Every tick, and at a hint, it takes the due-soon timers of its share, and overdue ones of anybody's; decides over
/// them (``ClaimPlanner``); and in one transaction opens their executions and moves the timers on. What is late because
/// nobody claimed for a while (*late* and *misfired*) is taken in measured portions beside that, so that it never keeps
/// what is on time waiting.
package final class Claimer: Sendable {
    /// A claim whose due time lies further back than this is overdue: anyone may take it.
    static let overdue: Int64 = 1000
    /// How many late, and how many misfired, occurrences may wait in memory for their rate.
    private static let mostLate = 4000
    private static let mostMisfired = 500
    /// Executions that one claiming transaction opens at most, in batches: more timers than fit are left for the next.
    private static let mostBatches = 2
    /// What divides late from misfired in the scan; each schedule's own grace decides afterwards.
    private static let usualGrace: Int64 = 300_000

    private struct State {
        var resumedAt: Instant?
        var bottomScan = BottomScan()
        var lastTick: Int64 = 0
        var claimsPerSecond = 8000.0
        var lookahead = Lookahead.shortest
        var forecastAt: Int64 = 0
        var outcome = ClaimOutcome.never
    }

    /// How the latest tick went.
    package enum ClaimOutcome: Sendable, Equatable {
        case never
        case claimed
        case held(String)
        case failed(String)
    }

    private let instance: InstanceID
    private let configuration: EngineConfiguration
    private let clock: PostgresClock
    private let compiler: ScheduleCompiler
    private let listening: ListeningBoard
    private let gate: @Sendable () -> ClaimGate
    private let deliver: @Sendable (_ fires: [Fire], _ skipped: [EventTeller.Owed]) -> Void
    /// Something waits for a place from now on.
    private let onWaiting: @Sendable () -> Void
    private let unended: UnendedSchedules
    private let load: @Sendable () -> (late: Int, misfired: Int)
    private let logger: Logger
    private let freezes = FreezeBoard()
    private let state = Mutex(State())
    private let wakeup = Wakeup()

    /// What a claim must know of the instance at this moment.
    package struct ClaimGate: Sendable {
        /// Why nothing may be claimed now; nil where it may.
        package var refusal: String?
        package var share: [Int16]
        package var members: Int
        /// Schedules that are left alone for now: enough of theirs waits for a target that does not answer.
        package var heldBack: [ScheduleID]
    }

    package init(
        instance: InstanceID, configuration: EngineConfiguration, clock: PostgresClock, compiler: ScheduleCompiler,
        listening: ListeningBoard,
        gate: @escaping @Sendable () -> ClaimGate, load: @escaping @Sendable () -> (late: Int, misfired: Int),
        unended: UnendedSchedules, logger: Logger, onWaiting: @escaping @Sendable () -> Void,
        deliver: @escaping @Sendable (_ fires: [Fire], _ skipped: [EventTeller.Owed]) -> Void
    ) {
        self.logger = logger
        self.unended = unended
        self.instance = instance
        self.configuration = configuration
        self.clock = clock
        self.compiler = compiler
        self.listening = listening
        self.gate = gate
        self.load = load
        self.deliver = deliver
        self.onWaiting = onWaiting
    }

    /// Something may be due soon: look now.
    package func hint() {
        state.withLock { $0.bottomScan.ask() }
        wakeup.signal()
    }

    package var outcome: ClaimOutcome { state.withLock { $0.outcome } }
    package var lookaheadMilliseconds: Int64 { state.withLock { $0.lookahead } }

    /// The service's loop. Throws when this member is fenced.
    package func run(on first: PostgresConnection, and second: PostgresConnection) async throws {
        while !Task.isCancelled {
            let outcome: ClaimOutcome
            do {
                outcome = try await tick(on: first, and: second)
            } catch {
                if (error as? PostgresError)?.sqlState == InstanceTable.fencedState { throw error }
                outcome = .failed("\(error)")
            }
            state.withLock { $0.outcome = outcome }
            await wakeup.wait(atMost: configuration.tick)
        }
    }

    /// Looks once at everything that is due soon.
    package func tick(on first: PostgresConnection, and second: PostgresConnection) async throws -> ClaimOutcome {
        let gate = gate()
        if let refusal = gate.refusal { return .held(refusal) }
        let resumedAt = resume()
        try await forecast(on: first, members: gate.members)
        let late = resumedAt.adding(milliseconds: -Self.overdue)
        if state.withLock({ $0.bottomScan.isDue(at: MonotonicClock.now(), since: resumedAt) }) {
            let isAheadClear = try await claimAhead(gate, from: late, on: first, and: second)
            let isLateClear = try await claimLate(gate, before: late, on: first)
            state.withLock { state in
                state.bottomScan.ended(leavesNothing: isAheadClear && isLateClear, at: MonotonicClock.now())
            }
        } else {
            let recent = clock.now().adding(milliseconds: -BottomScan.reach)
            _ = try await claimAhead(gate, from: max(late, recent), on: first, and: second)
        }
        state.withLock { $0.lastTick = MonotonicClock.now() }
        return .claimed
    }

    /// Since when this instance claims without a break of over a second: what was due before came late by an outage,
    /// what became due since is late only for want of speed.
    private func resume() -> Instant {
        let monotonic = MonotonicClock.now()
        let now = clock.now()
        return state.withLock { state in
            if let resumedAt = state.resumedAt, monotonic - state.lastTick < 1_000_000_000 + tickNanoseconds {
                return resumedAt
            }
            state.resumedAt = now
            return now
        }
    }

    private var tickNanoseconds: Int64 { configuration.tick.nanoseconds }

    private func forecast(on connection: PostgresConnection, members: Int) async throws {
        let monotonic = MonotonicClock.now()
        let isTime = state.withLock { state in
            guard monotonic - state.forecastAt >= 1_000_000_000 else { return false }
            state.forecastAt = monotonic
            return true
        }
        guard isTime else { return }
        let seconds = Int(Lookahead.longest / 1000)
        let due = try await TimerTable.forecast(now: clock.now(), seconds: seconds, limit: 150_000, on: connection)
        state.withLock { state in
            state.lookahead = Lookahead.milliseconds(
                dueBySecond: due.map { $0 / max(1, members) }, claimsPerSecond: state.claimsPerSecond)
        }
    }

    /// - Returns: whether nothing was left.
    private func claimAhead(
        _ gate: ClaimGate, from: Instant, on first: PostgresConnection, and second: PostgresConnection
    ) async throws -> Bool {
        var isFull = false
        var deferred: [ScheduleID] = []
        repeat {
            let now = clock.now()
            let horizon = now.adding(milliseconds: state.withLock { $0.lookahead })
            let window = ClaimWindow(
                from: from, horizon: horizon, reach: horizon.adding(milliseconds: Lookahead.reach),
                share: gate.share, overdue: now.adding(milliseconds: -Self.overdue), limit: configuration.batch,
                room: ClaimRoom(openings: mostOpenings), except: gate.heldBack + deferred)
            let begun = MonotonicClock.now()
            var claimed: [Claimed]
            if isFull {
                async let other = claimOnce(window, late: from, on: second)
                claimed = [try await claimOnce(window, late: from, on: first), try await other]
            } else {
                claimed = [try await claimOnce(window, late: from, on: first)]
            }
            isFull = claimed.contains(where: \.leavesMore)
            // What has to wait until it is due is not in the way of what lies behind it.
            deferred += claimed.flatMap(\.deferred)
            if isFull { measure(claimed.reduce(0) { $0 + $1.timers }, since: begun) }
        } while isFull && self.gate().refusal == nil && !Task.isCancelled
        return !isFull
    }

    private func measure(_ claimed: Int, since begun: Int64) {
        let seconds = max(1e-3, Double(MonotonicClock.now() - begun) / 1e9)
        state.withLock { $0.claimsPerSecond = 0.7 * $0.claimsPerSecond + 0.3 * Double(claimed) / seconds }
    }

    private var mostOpenings: Int { Self.mostBatches * configuration.batch }

    /// Late ones, then misfired ones. Each schedule's own grace divides the two, so the first portion meets misfired ones
    /// as well: both have a half of their room, and neither can starve the other.
    /// - Returns: whether nothing was found and nothing can have been left.
    private func claimLate(
        _ gate: ClaimGate, before late: Instant, on connection: PostgresConnection
    ) async throws -> Bool {
        let now = clock.now()
        let grace = now.adding(milliseconds: -Self.usualGrace)
        let waiting = load()
        let room = (late: Self.mostLate - waiting.late, misfired: Self.mostMisfired - waiting.misfired)
        let portions = [
            (from: grace, through: late, late: room.late, misfired: room.misfired / 2),
            (from: Instant.earliest, through: min(late, grace), late: room.late, misfired: (room.misfired + 1) / 2),
        ]
        var isClear = true
        for portion in portions where portion.from < portion.through {
            let most = max(portion.late, portion.misfired)
            guard most > 0 else {
                isClear = false
                continue
            }
            let window = ClaimWindow(
                from: portion.from, horizon: portion.through, reach: portion.through, share: gate.share,
                overdue: portion.through,
                limit: min(configuration.batch, most),
                room: ClaimRoom(openings: mostOpenings, late: portion.late, misfired: portion.misfired),
                except: gate.heldBack)
            let claimed = try await claimOnce(window, late: late, on: connection)
            if claimed.timers > 0 || claimed.leavesMore { isClear = false }
        }
        return isClear
    }
}

/// Which timers a claim looks at.
package struct ClaimWindow: Sendable {
    package let from: Instant
    package let horizon: Instant
    /// Up to here the occurrences of a timer are opened that is taken; the horizon or later.
    package let reach: Instant
    package let share: [Int16]
    package let overdue: Instant
    /// Timers.
    package let limit: Int
    /// Executions.
    package let room: ClaimRoom
    /// Schedules that are left alone.
    package let except: [ScheduleID]
}

/// What one claiming transaction took.
struct Claimed: Sendable {
    var timers = 0
    /// It took something, and more is due: another one follows at once.
    var leavesMore = false
    /// Schedules whose timers it left alone, as they have no place free and nothing is due yet.
    var deferred: [ScheduleID] = []
    /// The events of schedules that it changed.
    var told: [EventTeller.Owed] = []
}

// MARK: - One transaction

extension Claimer {
    /// One claiming transaction.
    func claimOnce(_ window: ClaimWindow, late: Instant, on connection: PostgresConnection) async throws -> Claimed {
        var random = SystemRandomNumberGenerator()
        let id = ClaimTable.ClaimID(.version7(at: clock.now(), random: &random))
        var existing = ClaimBatch.Existing()
        while true {
            let attempt = Mutex<ClaimBatch?>(nil)
            do {
                let taken = try await connection.transaction { [existing] transaction in
                    try await self.claim(window, id: id, late: late, leavingOut: existing, in: transaction) { batch in
                        attempt.withLock { $0 = batch }
                    }
                }
                if let batch = attempt.withLock({ $0 }) { hand(batch, taken.told) }
                return taken
            } catch let error as PostgresError where error.code == .uniqueViolation && existing.ids.isEmpty {
                guard let batch = attempt.withLock({ $0 }) else { throw error }
                let ids = try await ExecutionTable.existing(among: batch.openings.map(\.id), on: connection)
                if ids.isEmpty { throw error }
                existing = batch.existing(ids)
            } catch let error as PostgresError where error.code == .commitUnknown {
                guard let batch = attempt.withLock({ $0 }) else { throw error }
                if try await wasCommitted(batch, on: connection) { hand(batch, []) }
                return Claimed(timers: batch.count)
            }
        }
    }

    private func claim(
        _ window: ClaimWindow, id: ClaimTable.ClaimID, late: Instant, leavingOut existing: ClaimBatch.Existing,
        in transaction: PostgresTransaction, keep: (ClaimBatch) -> Void
    ) async throws -> Claimed {
        let taken = try await TimerTable.takeDue(
            from: window.from, through: window.horizon, share: window.share, overdue: window.overdue,
            limit: window.limit, except: window.except, now: clock.now(), in: transaction)
        let due = taken.due
        guard !due.isEmpty else { return Claimed() }
        try await compiler.targets.catchUp(to: taken.targetEpoch, on: transaction)
        let schedules = try await compiler.schedules(
            for: due.map { ($0.timer.schedule, $0.timer.version) }, in: transaction)
        try await freezes.catchUp(to: taken.freezeEpoch, now: clock.now(), in: transaction)
        let tracked = schedules.ready.values.filter(\.isTracked)
        // Those of several schedules are locked behind the timers, and counted before anything else is.
        let book = try await ConcurrencyTable.hold(tracked.map(\.limits), in: transaction)
        let occupancies =
            tracked.isEmpty ? [:] : try await BufferTable.occupancies(of: tracked.map(\.id), on: transaction)
        let facts = try await ListeningFacts(due, schedules.ready, listening, in: transaction)
        var batch = ClaimBatch(
            id: id, now: clock.now(), late: late, room: window.room, existing: existing, book: book)
        for timer in due where !batch.isFull {
            if let schedule = schedules.ready[timer.timer.schedule] {
                let occupancy = schedule.isTracked ? occupancies[schedule.id] ?? Occupancy() : nil
                // What takes a place, or a message, does so no earlier than it must.
                let isPlain = occupancy == nil && schedule.planner.listening == nil
                batch.add(
                    timer, schedule: schedule, horizon: isPlain ? window.reach : window.horizon,
                    freezes: freezes.frozen(schedule),
                    occupancy: occupancy, facts: facts)
            } else {
                batch.add(timer, without: schedules.unreadable[timer.timer.schedule])
            }
        }
        let isWindowFull = due.count >= window.limit
        guard batch.count > 0 else {
            return Claimed(leavesMore: isWindowFull && !batch.deferred.isEmpty, deferred: batch.deferred)
        }
        batch.leaveOutExisting()
        // In the order of their ids, as everybody locks them.
        for (freeze, timers) in batch.held.sorted(by: { $0.key < $1.key }) {
            let turns = try await FreezeTable.takeTurns(timers.count, of: freeze, in: transaction)
            if let turns { batch.give(turns, of: freeze) }
        }
        keep(batch)
        FailPoint.claimLocked.reach()
        let writes = batch.writes(by: instance)
        let rows = try await transaction.commit(with: writes.calls)
        FailPoint.claimCommitted.reach()
        return Claimed(
            timers: batch.count, leavesMore: isWindowFull || batch.leavesMore, deferred: batch.deferred,
            told: try writes.owed(rows))
    }

    /// - Parameter changes: the events of schedules that the claim changed.
    private func hand(_ batch: ClaimBatch, _ changes: [EventTeller.Owed]) {
        for parked in batch.parked {
            // Where an event tells of it, the log need not cry.
            logger.log(
                level: parked.names == nil ? .error : .notice, "a schedule cannot be fired, and is set aside",
                metadata: ["schedule": "\(parked.timer.schedule)", "reason": "\(parked.fault)"])
        }
        if !batch.waiting.isEmpty { onWaiting() }
        listening.note(placeless: batch.placeless)
        // An earlier occurrence may be open elsewhere.
        unended.add(batch.over)
        let (fires, claim) = batch.fires()
        for fire in fires where !fire.isPublishable {
            logger.warning(
                "a fire's payload does not satisfy the target's schema, and is not sent",
                metadata: [
                    "schedule": "\(fire.schedule.id)", "execution_id": "\(fire.id)",
                    "problem": "\(fire.payloadProblems.first?.description ?? "")",
                ])
        }
        deliver(fires, batch.skipEvents(claim) + changes)
    }

    /// Learns whether a claim whose COMMIT got no answer took place: writing its journal row again waits for the old
    /// transaction to end, and then meets its key or does not.
    private func wasCommitted(_ batch: ClaimBatch, on connection: PostgresConnection) async throws -> Bool {
        struct NotCommitted: Error {}
        while true {
            try Task.checkCancellation()
            do {
                try await connection.transaction { transaction in
                    let insert = ClaimTable.insert(
                        batch.id, by: self.instance, at: batch.now, executions: batch.executionIDs)
                    _ = try await transaction.pipeline([insert])
                    throw NotCommitted()
                }
            } catch is NotCommitted {
                return false
            } catch let error as PostgresError where error.code == .uniqueViolation {
                return true
            } catch {
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
