import PostgresClient
package import SchedulerCore
import SchedulerStore

/// Exhausts what has nothing to come and nothing open, where the record of a schedule's last execution could not:
/// an earlier one was open at that moment, on another instance or not yet recorded.
///
/// Every instance does it, without a lock in NATS: it looks at the state again under the schedule's own locks, so that
/// whoever comes second finds nothing to do.
struct ExhaustionKeeper: Sendable {
    let session: Session

    /// Between two looks at those that are known to wait.
    private static let round = Duration.seconds(2)
    /// So many rounds lie between two searches through all schedules: an hour.
    private static let rounds = 1800
    private static let page = 1000

    /// The service's loop: searches at once, then again and again.
    func run() async throws {
        var rounds = 0
        while true {
            if rounds % Self.rounds == 0 {
                await session.attempt("searching schedules that are over") { try await searchAll() }
            }
            await session.attempt("ending schedules that are over") { try await look() }
            rounds += 1
            try await Task.sleep(for: Self.round)
        }
    }

    private func searchAll() async throws {
        var cursor: ScheduleID?
        repeat {
            let after = cursor
            let page = try await session.pool.withConnection {
                try await ExhaustionTable.over(after: after, limit: Self.page, on: $0)
            }
            if !page.ids.isEmpty { try await session.exhaustIdle(page.ids) }
            cursor = page.next
        } while cursor != nil
    }

    /// Asks after those that an instance remembers; what is over, or has something to come again, is forgotten.
    private func look() async throws {
        let ids = session.unended.all
        guard !ids.isEmpty else { return }
        let (idle, busy) = try await session.pool.withConnection { try await ExhaustionTable.over(among: ids, on: $0) }
        if !idle.isEmpty { try await session.exhaustIdle(idle) }
        session.unended.remove(Set(ids).subtracting(busy))
    }
}

extension Session {
    /// Exhausts those of `ids` that have nothing to come and nothing open, and tells it. The others are asked after.
    package func exhaustIdle(_ ids: [ScheduleID]) async throws {
        let sorted = ids.sorted()
        var writes = Writes([InstanceTable.hold(instance), ExhaustionTable.lock(sorted)])
        writes.exhaustIdle(sorted, at: clock.now())
        let calls = writes.calls
        let rows = try await pool.withConnection { connection in
            try await connection.transaction { try await $0.commit(with: calls) }
        }
        teller.owe(try writes.owed(rows))
        unended.add(sorted)
    }
}
