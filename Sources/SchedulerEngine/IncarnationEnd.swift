import PostgresClient

/// What ends an incarnation from within: a transaction of which nobody can tell whether it took place.
///
/// What it opened or adopted would be under this incarnation's name and known to nobody; what it gave back would be fired
/// all the same. The next incarnation reads what stands: it fences this one, and rescues its claims.
final class IncarnationEnd: Sendable {
    private let stream: AsyncStream<PostgresError>
    private let continuation: AsyncStream<PostgresError>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1)) }

    /// Says why it ends.
    func come(_ error: PostgresError) { continuation.yield(error) }

    /// Waits until it comes, and throws why; or until the task is cancelled.
    func wait() async throws {
        for await error in stream { throw error }
    }
}

extension Session {
    /// Ends this incarnation where an error says that nobody can tell what it has done. Where it is over, nobody hears it.
    package func endIfUnsettled(_ error: any Error) {
        if let error = error as? PostgresError, error.isUnsettled { ending.come(error) }
    }
}
