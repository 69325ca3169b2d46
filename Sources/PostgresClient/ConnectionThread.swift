import Glibc
import Synchronization

/// A thread that runs the jobs of one `PostgresConnection` one after another, so that its methods may wait in
/// `poll` while Swift's own few threads go on.
///
/// Lifetime: the thread holds the executor, so it outlives every job. The connection calls `stop()` when it goes
/// away; no job can follow, since a job keeps its actor alive.
///
/// Sendable although unchecked: the queue is behind a mutex, `wake` never changes and is a POSIX semaphore.
final class ConnectionThread: SerialExecutor, @unchecked Sendable {
    private struct Queue {
        var jobs: [UnownedJob] = []
        var isStopped = false
    }

    private let queue = Mutex(Queue())
    private let wake: UnsafeMutablePointer<sem_t>

    /// Throws `.resourceLimit` if the system has no thread to give.
    init() throws(PostgresError) {
        wake = .allocate(capacity: 1)
        sem_init(wake, 0, 0)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, 1 << 20)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let retained = Unmanaged.passRetained(self)
        let status = pthread_create(
            &thread, &attributes,
            { context in
                Unmanaged<ConnectionThread>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, retained.toOpaque())
        guard status == 0 else {
            retained.release()
            throw PostgresError(.resourceLimit, "expected a thread for a connection, got errno \(status)")
        }
    }

    deinit {
        sem_destroy(wake)
        wake.deallocate()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.withLock { $0.jobs.append(job) }
        sem_post(wake)
    }

    func stop() {
        queue.withLock { $0.isStopped = true }
        sem_post(wake)
    }

    private func run() {
        let executor = asUnownedSerialExecutor()
        while true {
            while sem_wait(wake) != 0 {}
            let (jobs, isStopped) = queue.withLock { queue in
                defer { queue.jobs = [] }
                return (queue.jobs, queue.isStopped)
            }
            for job in jobs { job.runSynchronously(on: executor) }
            if isStopped { return }
        }
    }
}
