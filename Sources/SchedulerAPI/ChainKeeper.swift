import Logging
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire
import ServiceLifecycle

/// Fires what follows executions that have ended (`after`).
///
/// The end and the word of it are one transaction, so a crash between the two is none. Every instance looks; whoever
/// takes a turn opens the follower's execution in the same transaction, under the follower's timer: once, and an
/// execution's id is a hash of the one that it follows. What cannot fire now waits, or is told as skipped.
struct ChainKeeper: Sendable {
    let engine: Engine
    let context: @Sendable (Session) -> CommandContext
    let logger: Logger

    /// Between two looks; this instance's own ends wake it at once.
    private static let round = Duration.milliseconds(250)
    /// Turns of one look.
    private static let page = 200
    /// Until a follower that could not be read or fired is looked at again, in milliseconds.
    private static let patience: Int64 = 2000
    /// The same of one that is frozen. A freeze that changes has it looked at before.
    private static let frozenPatience: Int64 = 60_000

    /// The service's loop: looks again and again, until the service stops or is asked to go.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled, !engine.isDraining {
                guard let session = try? engine.requireSession() else {
                    try? await Task.sleep(for: Self.round)
                    continue
                }
                do {
                    if try await !look(session) { await session.chained.wait(atMost: Self.round) }
                } catch {
                    // Without a database, or while joining anew: the next look finds it.
                    logger.debug("a look at the chains failed", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: Self.round)
                }
            }
        }
    }

    /// - Returns: whether there may be more.
    private func look(_ session: Session) async throws -> Bool {
        let now = session.clock.now()
        let turns = try await session.pool.withConnection {
            try await ChainTable.turns(by: now, limit: Self.page, on: $0)
        }
        // Of those that have just been put off.
        var held: Set<ScheduleID> = []
        for turn in turns where !held.contains(turn.follower) {
            do { if try await !take(turn, in: context(session)) { held.insert(turn.follower) } } catch {
                if SharedTrouble.isBehind(error) { throw error }
                // Its own trouble, whatever it is: the others have their turns all the same.
                try await putOff(turn, after: error, at: now, in: session)
            }
        }
        return turns.count == Self.page
    }

    private func putOff(
        _ turn: ChainTable.Turn, after error: any Error, at now: Instant, in session: Session
    ) async throws {
        let told: Logger.Metadata = ["follower": "\(turn.follower)", "upstream": "\(turn.upstream)"]
        logger.warning(
            "a follower could not be told of an end, and will be again",
            metadata: told.merging(["error": "\(error)"]) { $1 })
        do {
            try await session.pool.withConnection {
                try await ChainTable.putOff(turn, until: now.adding(milliseconds: Self.patience), on: $0)
            }
        } catch  where !SharedTrouble.isBehind(error) {
            logger.warning(
                "a follower's turn could not be put off", metadata: told.merging(["error": "\(error)"]) { $1 })
        }
    }

    /// - Returns: false where nothing of its follower can go now.
    private func take(_ turn: ChainTable.Turn, in context: CommandContext) async throws -> Bool {
        let session = context.session
        let found = try await session.pool.withConnection {
            try await ScheduleTable.fetch([turn.follower], on: $0)
        }
        guard let namespace = found.schedules.first?.namespace else {
            // Gone, or a row that cannot be read: then its fire would be no other's trouble.
            let isGone = found.unreadable.isEmpty
            try await session.pool.withConnection { connection in
                _ = try await connection.transaction { transaction in
                    _ = try await ChainTable.take(turn, in: transaction)
                    if isGone { _ = try await transaction.pipeline(LinkTable.remove(of: turn.follower)) }
                }
            }
            return true
        }
        let request = try CommandRequest(namespace: namespace, noun: "schedule", verb: "trigger", bytes: [])
        let options = ChangeOptions(actor: "carillon", reason: "after \(turn.upstream)")
        do {
            _ = try await ChangeRunner(session: session).apply(request, options, hash: []) { transaction in
                try await fire(
                    turn, by: ChangeOrigin(namespace: namespace, options: options, now: session.clock.now()),
                    in: context, transaction)
            }
            return true
        } catch let frozen as Frozen {
            // All of its turns at once: others are not to wait behind them.
            try await session.pool.withConnection {
                let until = min(frozen.by.until, session.clock.now().adding(milliseconds: Self.frozenPatience))
                try await ChainTable.hold(turn.follower, until: until, by: frozen.by.id, on: $0)
            }
            return false
        }
    }

    /// A freeze holds the follower: its turn comes when that ends.
    private struct Frozen: Error {
        let by: Freeze
    }

    private func fire(
        _ turn: ChainTable.Turn, by origin: ChangeOrigin, in context: CommandContext,
        _ transaction: PostgresTransaction
    ) async throws -> Change {
        guard let timer = try await TimerTable.lock(turn.follower, in: transaction),
            let schedule = try await ScheduleTable.hold(turn.follower, in: transaction),
            let taken = try await ChainTable.take(turn, in: transaction), let rule = schedule.definition.after
        else { return Change() }
        // Between the end and its turn the follower has left the shadow.
        if taken.isShadow, !schedule.definition.isShadow { return Change() }
        if rule.join == .all, try await !ChainTable.arrive(turn, in: transaction) { return Change() }
        var held = HeldSchedule(schedule, timer)
        let reason: SkipReason
        switch schedule.state {
        case .active:
            let session = context.session
            try await session.compiler.targets.catchUp(on: transaction)
            try await session.compiler.load([schedule], on: transaction)
            let compiled = session.compiler.compile(schedule)
            if let freeze = try await FreezeBoard.holding(compiled, at: origin.now, on: transaction) {
                throw Frozen(by: freeze)
            }
            guard compiled.publishingFault == nil else {
                reason = .targetRevoked
                break
            }
            let overlap = try await context.overlap(of: compiled, isForced: false, in: transaction)
            guard case .skipped(let why) = overlap.verdict else {
                held.open(turn, overlap, in: session, at: origin.now)
                return held.change
            }
            reason = why
        case .paused: reason = .paused
        case .invalid: reason = .targetRevoked
        case .exhausted, .deleted:
            // It follows nobody any more.
            held.change.write(LinkTable.remove(of: schedule.id))
            return held.change
        }
        held.skip(
            turn, context.session.compiler.compile(schedule), reason, by: context.session.instance, at: origin.now)
        return held.change
    }
}

extension HeldSchedule {
    /// What makes an execution of the one that it follows: its end, and its id. Whoever tells the end again opens the
    /// same one.
    private func occurrence(of turn: ChainTable.Turn) -> Occurrence {
        Occurrence(
            schedule: schedule.id, generation: timer.generation, origin: .after, scheduledFor: turn.endedAt,
            ordinal: Int64(bitPattern: turn.upstream.uuid.high ^ turn.upstream.uuid.low) & .max)
    }

    /// Opens it, or lets it wait for its place.
    fileprivate mutating func open(
        _ turn: ChainTable.Turn, _ overlap: CommandedOverlap, in session: Session, at now: Instant
    ) {
        let occurrence = occurrence(of: turn)
        let fires = CommandedFires(
            schedule: overlap.schedule, generation: timer.generation, instance: session.instance, now: now,
            origin: .after, causedBy: turn.upstream)
        if overlap.verdict == .waits {
            _ = fires.waitAlone(
                occurrence.scheduledFor, ordinal: occurrence.ordinal, trigger: .after, payload: nil, overlap, &timer,
                in: session, into: &change)
            return
        }
        _ = fires.open(
            [occurrence.scheduledFor], ordinal: occurrence.ordinal, trigger: .after, &timer, into: &change)
        change.write(ChainTable.setCause(turn.upstream, of: occurrence.executionID))
    }

    /// What may not fire is told as skipped: the ledger has no gap.
    fileprivate mutating func skip(
        _ turn: ChainTable.Turn, _ compiled: CompiledSchedule, _ reason: SkipReason, by instance: InstanceID,
        at now: Instant
    ) {
        let occurrence = occurrence(of: turn)
        timer.fireSequence += 1
        var execution = Execution(
            id: occurrence.executionID, schedule: schedule.id, scheduledFor: occurrence.scheduledFor,
            dueAt: occurrence.scheduledFor, state: .skipped, origin: .after, trigger: .after,
            generation: timer.generation, scheduleVersion: schedule.version, attempt: 0, fence: timer.fireSequence,
            claimedAt: now)
        execution.ordinal = occurrence.ordinal
        execution.reason = reason.rawValue
        execution.finishedAt = now
        execution.causedBy = turn.upstream
        change.write(TimerTable.advanceFence(timer))
        change.skip([execution], of: compiled, by: instance, at: now)
    }
}
