import CLinux
import Glibc
import NATSClient
import ThreadMonitor

/// A thread of its own for a loop that must keep time, or that makes calls which may block: neither belongs on Swift's
/// cooperative pool, which has as many threads as the machine has cores.
///
/// The body runs, says until when nothing is to be done, and sleeps until then or until `wake()`.
final class LoopThread: Sendable {
    private struct State {
        var isWoken = false
        var isStopped = false
    }

    private let state = Monitor(State())

    /// Starts the loop. `body` returns the monotonic instant, in nanoseconds, until which it has nothing to do; one
    /// that has passed means at once.
    /// - Parameter name: what `ps -L` shows, at most 15 bytes.
    func start(_ name: String, body: @escaping @Sendable () -> Int64) throws(EngineError) {
        let start = Start(thread: self, name: name, body: body)
        var handle = pthread_t()
        let status = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                pthread_setname_np(pthread_self(), start.name)
                // Sleeps end when they should: the default slack of 50 µs is for saving power.
                _ = carillon_set_timer_slack(1)
                start.thread.run(start.body)
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        guard status == 0 else { throw EngineError(.noThread, "expected a thread for '\(name)', got errno \(status)") }
        pthread_detach(handle)
    }

    private final class Start {
        let thread: LoopThread
        let name: String
        let body: @Sendable () -> Int64

        init(thread: LoopThread, name: String, body: @escaping @Sendable () -> Int64) {
            self.thread = thread
            self.name = name
            self.body = body
        }
    }

    private func run(_ body: () -> Int64) {
        while true {
            let left = body() - MonotonicClock.now()
            if left > 0 { _ = state.wait(atMost: left) { $0.isWoken || $0.isStopped ? true : nil } }
            let stops = state.read { state in
                state.isWoken = false
                return state.isStopped
            }
            if stops { return }
        }
    }

    /// Ends a sleep, or the next one at once.
    func wake() { state.update { $0.isWoken = true } }

    /// The loop ends after the body's present run.
    func stop() { state.update { $0.isStopped = true } }
}
