import Glibc

/// A state behind a mutex with a condition to wait on, for threads of our own: `Synchronization.Mutex` cannot wait.
///
/// Only threads outside Swift's cooperative pool may call `wait`.
///
/// `@unchecked Sendable`: the state is touched between `pthread_mutex_lock` and `unlock` only; the two pointers never
/// change after `init`.
final class Monitor<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    init(_ state: sending State) {
        self.state = state
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

    /// Runs `body` alone with the state, then wakes every waiter to look again.
    func update<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return body(&state)
    }

    /// Runs `body` alone with the state; nobody is woken.
    func read<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Waits until `body` gives a value, at most `nanoseconds`; nil when they passed.
    func wait<Result>(atMost nanoseconds: Int64? = nil, _ body: (inout State) -> Result?) -> Result? {
        var limit = timespec()
        if let nanoseconds {
            clock_gettime(CLOCK_MONOTONIC, &limit)
            let total = Int64(limit.tv_nsec) + max(0, nanoseconds)
            limit.tv_sec += Int(total / 1_000_000_000)
            limit.tv_nsec = Int(total % 1_000_000_000)
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            if nanoseconds == nil {
                pthread_cond_wait(condition, mutex)
            } else if pthread_cond_timedwait(condition, mutex, &limit) != 0 {
                return body(&state)
            }
        }
    }
}
