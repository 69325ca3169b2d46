import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import carillon

/// A process ends in good order, whatever ends first.
@Suite("The run of services", .timeLimit(.minutes(1)))
struct ServiceRunTests {
    private final class Order: Sendable {
        private let names = Mutex<[String]>([])

        var ended: [String] { names.withLock { $0 } }
        func add(_ name: String) { names.withLock { $0.append(name) } }
    }

    private struct Part: Service {
        let work: @Sendable () async throws -> Void

        func run() async throws { try await work() }
    }

    private struct Broken: Error {}

    private let order = Order()

    private func run(_ parts: [(String, @Sendable () async throws -> Void)], _ stop: StopRequest) async throws {
        let services = parts.map { [order] name, work in
            NamedService(
                name,
                Part {
                    try await work()
                    order.add(name)
                })
        }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        try await ServiceRun.run(services, stop: stop, logger: logger)
    }

    private static let untilAsked: @Sendable () async throws -> Void = { try? await gracefulShutdown() }

    @Test("A part that ends before its turn, while others shut down, is no failure")
    func outOfTurn() async throws {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let watcher: @Sendable () async throws -> Void = { for await _ in ends {} }
        let stop = StopRequest()
        // As the log of connections: its source ends while the connections are being closed.
        let connections: @Sendable () async throws -> Void = { [order] in
            try? await gracefulShutdown()
            end.finish()
            while order.ended != ["work", "watcher"] { await Task.yield() }
        }
        let work: @Sendable () async throws -> Void = { await stop.request() }
        try await run([("watcher", watcher), ("connections", connections), ("work", work)], stop)
        #expect(order.ended == ["work", "watcher", "connections"])
    }

    @Test("A part that ends by itself ends all, the dependent ones first")
    func byItself() async throws {
        try await run(
            [("first", Self.untilAsked), ("engine", {}), ("last", Self.untilAsked)], StopRequest())
        #expect(order.ended == ["engine", "last", "first"])
    }

    @Test("A part that fails ends all, and its error is the run's")
    func failing() async throws {
        await #expect(throws: Broken.self) {
            try await run(
                [("first", Self.untilAsked), ("engine", { throw Broken() }), ("last", Self.untilAsked)], StopRequest())
        }
        #expect(order.ended == ["last", "first"])
    }
}
