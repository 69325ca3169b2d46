import Logging

/// Waits for a server that is not there yet: a service and its servers are often started together, in any order.
struct ServerWait: Sendable {
    let logger: Logger
    let stop: StopRequest

    private static let pause = Duration.milliseconds(250)

    /// Tries until it works. Says once that it waits, and again only when the reason is another.
    ///
    /// - Parameter retries: whether a failure may pass by itself; others are thrown.
    func until<Value>(
        _ server: String, _ attempt: () async throws -> Value, retries: (any Error) -> Bool
    ) async throws -> Value {
        var told: String?
        while true {
            try stop.check()
            do {
                let value = try await attempt()
                if told != nil { logger.notice("\(server) is there") }
                return value
            } catch {
                guard retries(error) else { throw error }
                let reason = "\(error)"
                if told != reason {
                    logger.notice("waiting for \(server)", metadata: ["reason": "\(reason)"])
                    told = reason
                }
            }
            try await Task.sleep(for: Self.pause)
        }
    }
}
