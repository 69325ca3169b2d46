import Glibc
import Synchronization
import Telemetry
import UnixSignals

/// What a signal asks of the work that is under way.
final class StopRequest: Sendable {
    private struct State {
        var isRequested = false
        var handler: (@Sendable () async -> Void)?
    }

    private let state = Mutex(State())

    /// Thrown by ``check()``: the work was asked to end before it had begun in earnest.
    struct Stopped: Error {}

    var isRequested: Bool { state.withLock { $0.isRequested } }

    /// - Throws: `Stopped` once a stop was asked for.
    func check() throws(Stopped) {
        if isRequested { throw Stopped() }
    }

    /// What a stop does from now on. Called at once where one was asked for already.
    func handle(by handler: @escaping @Sendable () async -> Void) async {
        let isLate = state.withLock { state in
            state.handler = handler
            return state.isRequested
        }
        if isLate { await handler() }
    }

    func request() async {
        let handler = state.withLock { state in
            state.isRequested = true
            return state.handler
        }
        await handler?()
    }
}

/// Work that SIGINT and SIGTERM end: the first asks for a good end, a second one ends the process at once, with the
/// exit code of a shell (128 + the signal).
enum Termination {
    /// Signals this close together are one wish: `timeout` and some supervisors signal the process and its group.
    private static let oneWish = Duration.seconds(1)

    static func run(
        trapping signals: [UnixSignal] = [.sigterm, .sigint],
        _ work: @escaping @Sendable (StopRequest) async throws -> Void
    ) async throws {
        // A reader that goes away, of a pipe or a socket, is an error of a write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let arrivals = await UnixSignalsSequence(trapping: signals)
        let stop = StopRequest()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await work(stop) }
            group.addTask {
                var first: ContinuousClock.Instant?
                for await signal in arrivals {
                    guard let asked = first else {
                        first = .now
                        await stop.request()
                        continue
                    }
                    if .now - asked > oneWish { _exit(128 + signal.rawValue) }
                }
            }
            // The second ends only when it is cancelled.
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
