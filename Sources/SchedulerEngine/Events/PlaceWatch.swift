import Logging
import PostgresClient
import SchedulerStore

/// Looks for places for messages that are due and have none. Their timers are put off, so that they are in nobody's way;
/// when a place may be free, a claim is asked to look at once.
///
/// Whoever put a timer off watches it. Where he is gone, a claim looks again by itself (`ClaimPlanner.nextLook`).
struct PlaceWatch: Sendable {
    let session: Session

    private static let round = Duration.milliseconds(100)
    private static let idleRound = Duration.seconds(60)

    func run() async {
        while !Task.isCancelled {
            let begun = ContinuousClock.now
            let now = session.clock.now()
            let ids = session.listeningBoard.placeless(at: now)
            guard !ids.isEmpty else {
                await session.listeningBoard.waits.wait(atMost: Self.idleRound)
                continue
            }
            await session.attempt("looking for places for messages") {
                let free = try await session.pool.withConnection {
                    try await EventTable.lookForPlaces(of: ids, at: now, on: $0)
                }
                session.listeningBoard.forget(placeless: free)
                if !free.isEmpty { session.claimer.hint() }
            }
            // Where much waits, a look takes a while: half of the time at most goes into looking.
            try? await Task.sleep(for: max(Self.round, ContinuousClock.now - begun))
        }
    }
}
