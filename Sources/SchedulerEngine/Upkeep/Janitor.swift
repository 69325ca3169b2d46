import KeyValueLock
import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Upkeep: partitions ahead of time, which every instance sees to; events that are still owed; and, under a role lock,
/// what is past its retention.
struct Janitor: Sendable {
    let session: Session

    private static let round = Duration.seconds(1)
    private static let hour = 3600
    private static let day: Int64 = 86_400_000
    /// An event younger than this is still being told by whoever made the change.
    private static let owedAfter: Int64 = 2000

    func run() async throws {
        var rounds = 0
        while true {
            try await Task.sleep(for: Self.round)
            do {
                try await sweepOutbox()
                if session.teller.fault != nil, rounds % 5 == 0 { try await session.ensureStreams() }
                // Often enough to notice a day's change, seldom enough to cost nothing.
                if rounds % 60 == 0 { try await ensurePartitions(now: session.clock.now()) }
                if rounds % Self.hour == 30 { try await clearOut(now: session.clock.now()) }
            } catch  where !(error is CancellationError) {
                session.logger.warning("upkeep failed, and is tried again", metadata: ["error": "\(error)"])
            }
            rounds += 1
        }
    }

    /// Tells changes again whose events nobody acknowledged: of an instance that died, or that could not reach NATS.
    func sweepOutbox() async throws {
        let before = session.clock.now().adding(milliseconds: -Self.owedAfter)
        let owed = try await AuditTable.owed(
            before: before, limit: 1000, except: session.teller.changesBeingTold, on: session.connections.upkeep)
        session.teller.owe(owed.map { .change(ScheduleChange($0.entry, auditID: $0.id)) })
    }

    func ensurePartitions(now: Instant) async throws {
        let made = try await PartitionTable.ensure(now: now, on: session.connections.upkeep)
        if made > 0 { session.logger.info("partitions were made", metadata: ["days": "\(made)"]) }
        session.gate.set(
            partitionDays: try await PartitionTable.daysReady(now: now, on: session.connections.upkeep))
    }

    /// Drops what is past its retention; one instance at a time, so that they do not wait for each other's locks. No
    /// transaction checks the lock's epoch: to drop twice what is past its time changes nothing.
    func clearOut(now: Instant) async throws {
        _ = try await session.roleLock.withLock("janitor", waitingUpTo: .seconds(1)) { [self] _ in
            try await clearOutLocked(now: now)
        }
    }

    private func clearOutLocked(now: Instant) async throws {
        let connection = session.connections.upkeep
        let history = now.adding(milliseconds: -Int64(session.configuration.historyRetentionDays) * Self.day)
        let audit = now.adding(milliseconds: -Int64(session.configuration.auditRetentionDays) * Self.day)
        let dropped = try await PartitionTable.drop(before: history, on: connection)
        if !dropped.isEmpty {
            session.logger.info("history was dropped", metadata: ["days": "\(dropped.joined(separator: " "))"])
        }
        while try await PartitionTable.forgetEndedSchedules(before: history, on: connection) >= 1000 {}
        _ = try await RequestTable.forget(before: now.adding(milliseconds: -Self.day), on: connection)
        _ = try await InstanceTable.forgetFenced(before: now.adding(milliseconds: -7 * Self.day), on: connection)
        _ = try await AuditTable.forget(before: audit, on: connection)
    }
}
