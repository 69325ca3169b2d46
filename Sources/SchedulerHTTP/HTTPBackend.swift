package import SchedulerCore
package import SchedulerWire

/// What HTTP asks of the service behind it.
package struct HTTPBackend: Sendable {
    package struct Command: Sendable {
        package let page: CommandPage
        /// Nil for an administrative command.
        package let namespace: Namespace?
        package let body: [UInt8]
        /// The trace that it came in.
        package let trace: TraceContext?
    }

    package struct Answer: Sendable {
        package let body: [UInt8]
        package let failure: WireError?

        package init(body: [UInt8], failure: WireError?) {
            self.body = body
            self.failure = failure
        }
    }

    /// Carries a command out.
    package var command: @Sendable (Command) async -> Answer
    /// The longest body that any command reads, in bytes.
    package var mostBytes: @Sendable () -> Int
    /// Why the instance is not ready; empty when it is. Asks nobody.
    package var faults: @Sendable () -> [String]
    /// What there is to say about the service's health: a JSON object, and whether it is well.
    package var health: @Sendable () async -> (body: [UInt8], isWell: Bool)
    /// The metrics, as Prometheus reads them.
    package var metrics: @Sendable () async -> [UInt8]
    /// Passes events on until the given closure throws.
    package typealias Following = @Sendable ((EventItem) async throws -> Void) async throws -> Void

    /// Looks where the events begin; what it returns then passes them on. Throws a ``WireError`` where it cannot be known.
    package var events: @Sendable (EventQuery) async throws -> Following

    package init(
        command: @escaping @Sendable (Command) async -> Answer, mostBytes: @escaping @Sendable () -> Int,
        faults: @escaping @Sendable () -> [String],
        health: @escaping @Sendable () async -> (body: [UInt8], isWell: Bool),
        metrics: @escaping @Sendable () async -> [UInt8],
        events: @escaping @Sendable (EventQuery) async throws -> Following
    ) {
        self.command = command
        self.mostBytes = mostBytes
        self.faults = faults
        self.health = health
        self.metrics = metrics
        self.events = events
    }
}
