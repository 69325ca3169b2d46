package final class KeyValueLock: Sendable {
    package func withLock(_ name: String, waitingUpTo: Duration, _ body: (Int64) async throws -> Void) async throws {}
}
