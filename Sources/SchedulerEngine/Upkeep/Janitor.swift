import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Upkeep that every instance sees to: events that are still owed, and partitions ahead of time.
struct Janitor: Sendable {
    let session: Session

    private static let round = Duration.seconds(1)
    /// Rounds between two looks at the partitions: often enough to notice a day's change, seldom enough to cost nothing;
    /// more often while some are missing.
    private static let partitionRounds = (rule: 60, missing: 5)
    /// An event younger than this is still being told by whoever made the change.
    private static let owedAfter: Int64 = 2000

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        var rounds = 0
        var partitionsDue = 0
        while true {
            await session.attempt("telling owed events") { try await sweepOutbox() }
            await session.attempt("publishing owed messages") { try await sweepMessages() }
            await session.attempt("holding what is frozen") { try await holdFrozen() }
            if session.teller.fault != nil || session.teller.letterFault != nil, rounds % 5 == 0 {
                await session.attempt("making missing streams") { try await session.ensureStreams() }
            }
            if rounds >= partitionsDue {
                var isComplete = false
                await session.attempt("making partitions") {
                    isComplete = try await ensurePartitions(now: session.clock.now())
                }
                partitionsDue = rounds + (isComplete ? Self.partitionRounds.rule : Self.partitionRounds.missing)
            }
            try await Task.sleep(for: Self.round)
            rounds += 1
        }
    }

    /// Gives back what waits for its target while a freeze begins that was set before, or whose command nobody finished.
    func holdFrozen() async throws {
        guard session.publisher.held > 0 else { return }
        try await session.pool.withConnection { try await session.recaller.recallFrozen(on: $0) }
    }

    /// Tells changes again whose events nobody acknowledged: of an instance that died, or that could not reach NATS.
    func sweepOutbox() async throws {
        let before = session.clock.now().adding(milliseconds: -Self.owedAfter)
        let owed = try await AuditTable.owed(
            before: before, limit: 1000, except: session.teller.changesBeingTold, on: session.connections.upkeep)
        session.teller.owe(owed.map { .change(ScheduleChange($0.entry, auditID: $0.id)) })
    }

    /// Publishes messages of transitions again that nobody acknowledged, as the outbox's sweep does.
    func sweepMessages() async throws {
        let before = session.clock.now().adding(milliseconds: -Self.owedAfter)
        let owed = try await OwedTable.owed(
            before: before, limit: 1000, except: session.teller.messagesBeingTold, on: session.connections.upkeep)
        session.teller.owe(owed.map { .message($0.message, id: $0.id) })
    }

    /// - Returns: whether all days have their partitions now.
    func ensurePartitions(now: Instant) async throws -> Bool {
        let connection = session.connections.upkeep
        do {
            let made = try await PartitionTable.ensure(now: now, on: connection)
            if made > 0 { session.logger.info("partitions were made", metadata: ["days": "\(made)"]) }
        } catch let error as PostgresError where error.code == .lockTimeout {
            session.logger.info("partitions are made later: somebody holds the ledger's locks")
        }
        let days = try await PartitionTable.daysReady(now: now, on: connection)
        session.gate.set(partitionDays: days)
        return days >= PartitionTable.daysAhead
    }
}

extension Session {
    /// Does one step of upkeep. What fails is told, and hinders no other step; it is tried again in its time.
    /// - Returns: whether it was done.
    @discardableResult
    func attempt(_ step: String, _ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return true
        } catch {
            endIfUnsettled(error)
            if !Task.isCancelled {
                logger.warning("\(step) failed, and is tried again", metadata: ["error": "\(error)"])
            }
            return false
        }
    }
}
