import CLinux
import Glibc
import NATSClient
package import PostgresClient
package import Recurrence
package import SchedulerCore
import SchedulerStore
import Synchronization

/// What "now" is: PostgreSQL's clock, told from this machine's monotonic one (``ClockEstimate``).
package final class PostgresClock: Sendable {
    /// Beyond this difference between the machine's wall clock and PostgreSQL's, nothing is claimed: one of them is
    /// wrong, and nobody knows which.
    package static let mostSkewMilliseconds: Int64 = 2000

    private let scale = ClockScale.current
    private let estimate = Mutex(ClockEstimate())
    /// Microseconds to add to the (scaled) monotonic clock, for readers on the hot path; `Int64.min` before a sample.
    private let offset = Atomic<Int64>(.min)
    private let lastSample = Atomic<Int64>(0)
    private let failure = Mutex<String?>(nil)

    package init() {}

    /// Why PostgreSQL does not answer; nil while it does.
    package var fault: String? { failure.withLock { $0 } }

    /// - Returns: whether it is another reason than the last one.
    func note(fault: String?) -> Bool {
        failure.withLock { known in
            defer { known = fault }
            return known != fault
        }
    }

    /// Whether a sample has been taken.
    package var isSet: Bool { offset.load(ordering: .relaxed) != .min }

    /// When the last sample was taken, on the monotonic clock: PostgreSQL answered then.
    package var lastAnswer: Int64 { lastSample.load(ordering: .relaxed) }

    /// PostgreSQL's time, never ahead of it, rounded down to a millisecond.
    package func now() -> Instant { instant(at: MonotonicClock.now()) }

    package func instant(at monotonic: Int64) -> Instant {
        Instant(milliseconds: microseconds(at: monotonic) / 1000)
    }

    /// Microseconds since 1970.
    package func microseconds(at monotonic: Int64) -> Int64 {
        let offset = offset.load(ordering: .relaxed)
        return offset == .min ? 0 : scale.scaled(monotonic) / 1000 + offset
    }

    /// The monotonic instant at which PostgreSQL's clock will say `instant`, as far as is known now.
    package func monotonic(of instant: Instant) -> Int64 {
        let offset = offset.load(ordering: .relaxed)
        return offset == .min ? .max : scale.unscaled((instant.milliseconds * 1000 - offset) * 1000)
    }

    /// How far the machine's wall clock is from PostgreSQL's, in milliseconds.
    package func skewMilliseconds() -> Int64 { Self.machineNow().milliseconds - now().milliseconds }

    /// The machine's wall clock: for names and comparisons, never for what is due.
    package static func machineNow() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let microseconds = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
        return Instant(milliseconds: ClockScale.current.shows(wall: microseconds) / 1000)
    }

    /// Asks PostgreSQL once. - Returns: how far the clock jumped, in milliseconds, where it did.
    @discardableResult
    package func sample(on connection: PostgresConnection) async throws -> Int64? {
        let asked = MonotonicClock.now()
        let server = try await InstanceTable.clock(on: connection)
        let answered = MonotonicClock.now()
        let jump = take(
            ClockEstimate.Sample(server: server, asked: scale.scaled(asked), answered: scale.scaled(answered)))
        lastSample.store(answered, ordering: .relaxed)
        return jump
    }

    @discardableResult
    package func take(_ sample: ClockEstimate.Sample) -> Int64? {
        let jump = estimate.withLock { estimate in
            let jump = estimate.take(sample)
            offset.store(estimate.offset(at: sample.answered), ordering: .relaxed)
            return jump
        }
        return jump.map { $0 / 1000 }
    }

    /// Lets the slew advance; call it about once a second.
    package func slew() {
        let now = scale.scaled(MonotonicClock.now())
        estimate.withLock { estimate in
            if estimate.isSet { offset.store(estimate.offset(at: now), ordering: .relaxed) }
        }
    }
}

/// Until when this member may act: (its last acknowledged renewal's *start*) + lease − margin, on the monotonic clock.
package final class Trust: Sendable {
    private let until = Atomic<Int64>(0)

    package init() {}

    /// A renewal that was begun at `started` has been acknowledged.
    package func renew(started: Int64, lease: Duration, margin: Duration) {
        until.store(started + lease.nanoseconds - margin.nanoseconds, ordering: .relaxed)
    }

    /// Ends it now, for ever or until the next renewal.
    package func revoke() { until.store(0, ordering: .relaxed) }

    package func holds(at monotonic: Int64) -> Bool { monotonic < until.load(ordering: .relaxed) }
}
