import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore

/// Takes back what is claimed ahead and held by freezes from now on.
struct FreezeRecall: Sendable {
    let session: Session
    let freezes: [Freeze]
    private static let limit = Duration.seconds(2)
    /// Claims that were under way when the freeze was committed have ended by the second look.
    private static let pause = Duration.milliseconds(250)

    /// Ends when two looks in a row find nothing, or after the limit.
    func run() async {
        let deadline = ContinuousClock.now + Self.limit
        var quiet = 0
        while quiet < 2, ContinuousClock.now < deadline {
            let claimants = try? await session.pool.withConnection { connection in
                var claimants: Set<InstanceID> = []
                for freeze in freezes {
                    claimants.formUnion(
                        try await FreezeTable.claimants(of: freeze, at: session.clock.now(), on: connection))
                }
                return claimants
            }
            guard let claimants, claimants.isEmpty else {
                quiet = 0
                await session.recallFrozen(from: claimants ?? [], within: .milliseconds(1500))
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            quiet += 1
            if quiet < 2 { try? await Task.sleep(for: Self.pause) }
        }
    }
}
