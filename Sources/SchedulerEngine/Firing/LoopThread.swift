import CLinux
import Glibc
import NATSClient
import Synchronization

/// A thread of its own for a loop that must keep time, or that makes calls which may block: neither belongs on Swift's
/// cooperative pool, which has as many threads as the machine has cores.
///
/// The body runs, says until when nothing is to be done, and sleeps until then or until `wake()`.
final class LoopThread: @unchecked Sendable {
    // SAFETY: `mutex` guards `isWoken` and `isStopped`; the condition is used with it alone; both live as long as the
    // object, which the thread holds until it ends.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isWoken = false
    private var isStopped = false

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

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
            let until = body()
            pthread_mutex_lock(mutex)
            while !isWoken, !isStopped {
                let left = until - MonotonicClock.now()
                if left <= 0 { break }
                var deadline = timespec()
                clock_gettime(CLOCK_MONOTONIC, &deadline)
                let nanoseconds = Int64(deadline.tv_nsec) + left % 1_000_000_000
                deadline.tv_sec += Int(left / 1_000_000_000 + nanoseconds / 1_000_000_000)
                deadline.tv_nsec = Int(nanoseconds % 1_000_000_000)
                pthread_cond_timedwait(condition, mutex, &deadline)
            }
            isWoken = false
            let stops = isStopped
            pthread_mutex_unlock(mutex)
            if stops { return }
        }
    }

    /// Ends a sleep, or the next one at once.
    func wake() {
        pthread_mutex_lock(mutex)
        if !isWoken {
            isWoken = true
            pthread_cond_signal(condition)
        }
        pthread_mutex_unlock(mutex)
    }

    /// The loop ends after the body's present run.
    func stop() {
        pthread_mutex_lock(mutex)
        isStopped = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }
}
