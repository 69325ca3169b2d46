import Logging
import PostgresClient
import SchedulerCore
import SchedulerStore
import Synchronization

/// Messages whose target did not acknowledge them, and that are about to go out again.
final class DoubtQueue: Sendable {
    private let fires = Mutex<[Fire]>([])
    private let wakeup = Wakeup()

    func add(_ fires: [Fire]) {
        self.fires.withLock { $0 += fires }
        wakeup.signal()
    }

    func take(atMost most: Int) -> [Fire] {
        fires.withLock { fires in
            defer { fires.removeFirst(min(most, fires.count)) }
            return Array(fires.prefix(most))
        }
    }

    func wait(atMost limit: Duration) async { await wakeup.wait(atMost: limit) }
}

/// Looks, before a message goes out once more that may have arrived, whether its execution still waits for it.
///
/// A worker that reports has the message, whether or not its acknowledgement has come; its report may have been taken by
/// any instance, and may have ended the execution. Then the message is withdrawn. The publisher asks for those alone that
/// have a row in `runs`; all others it sends again unasked.
struct SecondLook: Sendable {
    private static let batch = 500
    private static let pause = Duration.milliseconds(500)

    let session: Session

    /// The service's loop.
    func run() async {
        while !Task.isCancelled {
            let fires = session.doubts.take(atMost: Self.batch)
            guard !fires.isEmpty else {
                await session.doubts.wait(atMost: .seconds(1))
                continue
            }
            await look(at: fires)
        }
    }

    /// Tries until the database answers: without it nobody may publish for long.
    private func look(at fires: [Fire]) async {
        while !Task.isCancelled {
            do {
                let awaited = try await session.pool.withConnection {
                    try await RunTable.awaited(Set(fires.map(\.id)).sorted(), on: $0)
                }
                // A fence grows with each attempt, and what is over stays so: an answer holds for ever.
                session.publisher.settle(doubts: fires) { awaited[$0.id] == $0.fence }
                return
            } catch {
                session.logger.debug("a second look failed", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: Self.pause)
            }
        }
    }
}
