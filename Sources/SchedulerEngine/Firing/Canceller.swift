package import SchedulerCore

/// What claimants are to be told: to give an execution up that they have not sent, and to send no further copy of one
/// that they have.
package final class CancellationLine: Sendable {
    package typealias Entry = (cancellation: Cancellation, claimant: InstanceID)

    /// What is beyond is left out: the deadline in its row ends it all the same.
    private static let most = 10_000

    fileprivate let entries: AsyncStream<Entry>
    private let continuation: AsyncStream<Entry>.Continuation

    init() {
        (entries, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.most))
    }

    /// Returns at once. What says so in the rows is committed.
    package func add(_ cancellation: Cancellation, at claimant: InstanceID) {
        continuation.yield((cancellation, claimant))
    }
}

/// Tells them, each by itself: whoever is slow, or gone, keeps nobody waiting.
struct Canceller: Sendable {
    let session: Session

    private static let patience = Duration.milliseconds(500)
    /// A claimant that does not answer so often is asked no more: its row has a deadline, and is not rescued.
    private static let attempts = 3

    /// The service's loop.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await (cancellation, claimant) in session.cancellations.entries {
                group.addTask { await tell(cancellation, at: claimant) }
            }
        }
    }

    private func tell(_ cancellation: Cancellation, at claimant: InstanceID) async {
        for _ in 0..<Self.attempts where !Task.isCancelled {
            let answer = await session.cancel(cancellation, at: claimant, within: Self.patience)
            if answer != nil { return }
        }
    }
}
