import LocalServers
import NATSClient
import Synchronization
import Testing

extension NATSServer {
    /// Started. It ends with its last reference, which `withExtendedLifetime` keeps to the end of a test.
    static func running(port: UInt16? = nil, configuration: String = "") async throws -> NATSServer {
        let server = try NATSServer(port: port, configuration: configuration)
        try await server.start()
        return server
    }

    /// A connection that gives up after ten seconds.
    nonisolated func connect(
        _ change: (inout NATSConfiguration) -> Void = { _ in }
    ) async throws -> NATSConnection {
        var configuration = NATSConfiguration(servers: [await url], name: "test")
        configuration.reconnectWait = .milliseconds(50)
        change(&configuration)
        return try await NATSConnection.connect(configuration, within: .seconds(10))
    }
}

/// Collects what callbacks tell, and lets a test await it with a limit.
final class Recorder<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var waiters: [(id: Int, isMet: @Sendable ([Element]) -> Bool, CheckedContinuation<Bool, Never>)] = []
        var next = 0
    }

    private let state = Mutex(State())

    var all: [Element] { state.withLock { $0.elements } }

    func record(_ element: Element) { record(contentsOf: [element]) }

    func record(contentsOf elements: [Element]) {
        let met = state.withLock { state in
            state.elements += elements
            let met = state.waiters.filter { $0.isMet(state.elements) }
            state.waiters.removeAll { waiter in met.contains { $0.id == waiter.id } }
            return met.map(\.2)
        }
        for waiter in met { waiter.resume(returning: true) }
    }

    /// True when `isMet` came true within the limit.
    func wait(
        within limit: Duration = .seconds(10), until isMet: @escaping @Sendable ([Element]) -> Bool
    ) async -> Bool {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        let timer = Task {
            try await Task.sleep(for: limit)
            let late = self.state.withLock { state in
                let late = state.waiters.filter { $0.id == id }
                state.waiters.removeAll { $0.id == id }
                return late.map(\.2)
            }
            for waiter in late { waiter.resume(returning: false) }
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let isAlready = state.withLock { state in
                if isMet(state.elements) { return true }
                state.waiters.append((id, isMet, continuation))
                return false
            }
            if isAlready { continuation.resume(returning: true) }
        }
    }

    func wait(count: Int, within limit: Duration = .seconds(10)) async -> Bool {
        await wait(within: limit) { $0.count >= count }
    }
}

extension NATSConnection {
    /// The events from now on, recorded.
    func recordEvents() -> Recorder<ConnectionEvent> {
        let recorder = Recorder<ConnectionEvent>()
        let stream = eventStream()
        Task { for await event in stream { recorder.record(event) } }
        return recorder
    }
}

func errorCode<Value>(_ body: () async throws -> Value) async -> NATSError.Code? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? NATSError)?.code
    }
}
