import Glibc
package import NATSClient
import Synchronization

/// An observer outside of the service: it notes every message on a subject with the time at which it came.
package final class FiredMessages: Sendable {
    package struct Arrival: Sendable, Hashable {
        package let subject: String
        package let executionID: String
        package let attempt: String
        package let scheduledFor: String
        /// Microseconds since 1970 on the machine's wall clock.
        package let at: Int64
    }

    private let arrivals = Mutex<[Arrival]>([])
    private let subscription = Mutex<NATSCallbackSubscription?>(nil)

    /// - Parameter filter: what to listen to. Core NATS: a stream's messages pass here too.
    package init(_ filter: String, on connection: NATSConnection) throws {
        let subscribed = try connection.subscribe(try SubjectFilter(filter), pendingLimit: 1_000_000) {
            [weak self] message in
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            let arrival = Arrival(
                subject: String(decoding: message.subject, as: UTF8.self),
                executionID: message.header("Scheduler-Execution-Id") ?? "",
                attempt: message.header("Scheduler-Attempt") ?? "",
                scheduledFor: message.header("Scheduler-Scheduled-For") ?? "",
                at: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
            self?.arrivals.withLock { $0.append(arrival) }
        }
        subscription.withLock { $0 = subscribed }
    }

    package var all: [Arrival] { arrivals.withLock { $0 } }
    package var count: Int { arrivals.withLock { $0.count } }

    package func cancel() { subscription.withLock { $0 }?.cancel() }
}
