import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore

/// Takes back what is claimed ahead for targets that the allow-list refuses from now on, on every instance.
struct RevocationRecall: Sendable {
    let session: Session
    let scope: TargetScope

    private static let limit = Duration.seconds(2)
    /// Claims that were under way when the change was committed have ended by the second look.
    private static let pause = Duration.milliseconds(250)
    /// Executions that one look sees, and that the reply names.
    private static let most = 1000

    /// Ends when two looks in a row find nothing, or after the limit.
    /// - Returns: what is still claimed: it was handed to NATS and is not recorded, or somebody triggered it.
    func run() async -> [ExecutionID] {
        let deadline = ContinuousClock.now + Self.limit
        var quiet = 0
        session.hintRules()
        // Everybody, once: the look below sees a part only where very much is claimed.
        await session.recallRevoked(from: session.membership.view.members, within: .milliseconds(1500))
        while quiet < 2, ContinuousClock.now < deadline {
            guard let refused = try? await refused() else {
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            let claimants = Set(refused.filter(\.canEnd).map(\.claimant))
            guard claimants.isEmpty else {
                quiet = 0
                await session.recallRevoked(from: claimants, within: .milliseconds(1500))
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            quiet += 1
            if quiet < 2 { try? await Task.sleep(for: Self.pause) }
        }
        return await left()
    }

    /// What is claimed still; looked for again where the database did not answer.
    private func left() async -> [ExecutionID] {
        for _ in 0..<3 {
            if let refused = try? await refused() { return refused.map(\.id) }
            try? await Task.sleep(for: Self.pause)
        }
        return []
    }

    /// What is claimed, of schedules that may not be published any more.
    private func refused() async throws -> [RevocationTable.Claimed] {
        try await session.pool.withConnection { connection in
            try await session.compiler.targets.catchUp(on: connection)
            let claimed = try await RevocationTable.claimed(of: scope, limit: Self.most, on: connection)
            guard !claimed.isEmpty else { return [] }
            let ids = Array(Set(claimed.map(\.schedule)))
            let schedules = try await ScheduleTable.fetch(ids, on: connection).schedules
            try await session.compiler.load(schedules, on: connection)
            let refused = Set(
                schedules.filter { session.compiler.compile($0).publishingFault != nil }.map(\.id))
            return claimed.filter { refused.contains($0.schedule) }
        }
    }
}
