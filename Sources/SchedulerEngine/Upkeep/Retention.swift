import KeyValueLock
import Logging
import PostgresClient
import Recurrence
import SchedulerStore

/// Forgets what is past its retention, every hour: under a role lock, so that instances do not wait for each other.
///
/// Days of the ledger are dropped as a whole; all else goes in pages of a thousand rows, so that no statement is long
/// and upkeep's other work comes in between. No statement checks the lock's epoch: to forget twice what is past its time
/// changes nothing.
struct Retention: Sendable {
    let session: Session

    /// The first look comes when a start's rush is over.
    private static let start = Duration.seconds(10)
    private static let rule = Duration.seconds(3600)
    /// After a round in which something failed, or a lock was not had.
    private static let again = Duration.seconds(15)
    private static let day: Int64 = 86_400_000
    /// How long the row of a fenced instance is kept, for people who look.
    private static let instanceDays: Int64 = 7

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        try await Task.sleep(for: Self.start)
        while true {
            let isDone = await clearOut(now: session.clock.now())
            try await Task.sleep(for: isDone ? Self.rule : Self.again)
        }
    }

    /// - Returns: whether nothing is left to do, here or because another instance is at it.
    func clearOut(now: Instant) async -> Bool {
        do {
            return try await session.roleLock.withLock("janitor", waitingUpTo: .seconds(1)) { [self] _ in
                await clearOutLocked(now: now)
            } ?? true
        } catch {
            if !Task.isCancelled {
                session.logger.warning("retention failed, and is tried again", metadata: ["error": "\(error)"])
            }
            return false
        }
    }

    private func clearOutLocked(now: Instant) async -> Bool {
        let connection = session.connections.upkeep
        let history = now.adding(milliseconds: -Int64(session.configuration.historyRetentionDays) * Self.day)
        let audit = now.adding(milliseconds: -Int64(session.configuration.auditRetentionDays) * Self.day)
        var isDone = await session.attempt("dropping days") { try await dropDays(before: history) }
        let steps: [(name: String, page: @Sendable () async throws -> Int)] = [
            (
                "clearing the default partition",
                { try await PartitionTable.clearDefault(before: history, on: connection) }
            ),
            ("forgetting ended schedules", { try await ScheduleTable.forgetEnded(before: history, on: connection) }),
            (
                "forgetting replies",
                { try await RequestTable.forget(before: now.adding(milliseconds: -Self.day), on: connection) }
            ),
            (
                "forgetting instances",
                {
                    try await InstanceTable.forgetFenced(
                        before: now.adding(milliseconds: -Self.instanceDays * Self.day), on: connection)
                }
            ),
            (
                "forgetting freezes",
                {
                    try await FreezeTable.forget(
                        before: now.adding(milliseconds: -2 * FreezeBoard.memory), on: connection)
                }
            ),
            ("forgetting the audit log", { try await AuditChainTable.forget(before: audit, on: connection) }),
        ]
        for step in steps {
            let isStepDone = await session.attempt(step.name) { while try await step.page() > 0 {} }
            isDone = isDone && isStepDone
        }
        return isDone
    }

    private struct Postponed: Error, CustomStringConvertible {
        let description = "somebody holds the ledger's locks"
    }

    private func dropDays(before history: Instant) async throws {
        let dropped = try await PartitionTable.drop(before: history, on: session.connections.upkeep)
        if !dropped.days.isEmpty {
            session.logger.info("history was dropped", metadata: ["days": "\(dropped.days.joined(separator: " "))"])
        }
        if dropped.isPostponed { throw Postponed() }
    }
}
