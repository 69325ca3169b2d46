import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerStore
import Synchronization

/// Whether this instance may claim, and whether it is ready; both with the reasons in words.
package final class Gate: Sendable {
    private let configuration: EngineConfiguration
    private let clock: PostgresClock
    private let trust: Trust
    private let publisher: Publisher
    private let records: RecordQueue
    private let teller: EventTeller
    private let membership: Membership
    private let partitionDays = Atomic<Int>(PartitionTable.daysAhead)
    private let isLeaving = Atomic<Bool>(false)

    /// Payloads held in memory beyond this stop the claims.
    private static let mostBytes = 256 << 20
    /// PostgreSQL answers the clock's question every second: silent for this long, it is gone.
    private static let silence: Int64 = 5_000_000_000

    init(
        configuration: EngineConfiguration, clock: PostgresClock, trust: Trust, publisher: Publisher,
        records: RecordQueue, teller: EventTeller, membership: Membership
    ) {
        self.configuration = configuration
        self.clock = clock
        self.trust = trust
        self.publisher = publisher
        self.records = records
        self.teller = teller
        self.membership = membership
    }

    /// The janitor tells how many days ahead have partitions.
    func set(partitionDays days: Int) { partitionDays.store(days, ordering: .relaxed) }

    /// The instance is about to stop: it claims no more.
    func leave() { isLeaving.store(true, ordering: .relaxed) }

    func claim() -> Claimer.ClaimGate {
        let view = membership.view
        publisher.shareRates(among: view.members.count)
        return Claimer.ClaimGate(
            refusal: refusals().first, share: view.share, members: view.members.count, heldBack: publisher.heldBack)
    }

    /// Everything that keeps this instance from being ready.
    func faults() -> [String] {
        var faults = refusals()
        // Claims go on: the default partition takes what no day's takes.
        let days = partitionDays.load(ordering: .relaxed)
        if days < PartitionTable.leastDaysAhead {
            faults.append("the executions' partitions reach only \(days) days ahead, expected at least 2")
        }
        if let fault = teller.fault { faults.append(fault) }
        return faults
    }

    /// Everything that stops claims.
    private func refusals() -> [String] {
        let now = MonotonicClock.now()
        var refusals: [String] = []
        if isLeaving.load(ordering: .relaxed) { refusals.append("the instance is stopping") }
        if !clock.isSet {
            refusals.append("PostgreSQL's clock is not known yet")
        } else {
            if now - clock.lastAnswer > Self.silence {
                refusals.append("PostgreSQL does not answer" + (clock.fault.map { ": \($0)" } ?? ""))
            }
            let skew = clock.skewMilliseconds()
            if abs(skew) > PostgresClock.mostSkewMilliseconds {
                refusals.append("this machine's clock is \(skew) ms off PostgreSQL's: claims stop beyond 2000 ms")
            }
        }
        if !trust.holds(at: now) { refusals.append("the lease in \(configuration.names.lockBucket) is not renewed") }
        // What silent targets and workers keep waiting has a bound of its own, as large; beyond it everybody is concerned.
        let (total, apart) = publisher.loadApart
        let held = total.count - min(apart.count, configuration.mostInFlight) + teller.owedCount
        if held >= configuration.mostInFlight {
            let why = teller.fault ?? "targets do not acknowledge as fast as schedules fall due"
            refusals.append("\(held) executions are in flight, the bound is \(configuration.mostInFlight): \(why)")
        }
        let bytes = total.bytes - min(apart.bytes, Self.mostBytes)
        if bytes > Self.mostBytes {
            refusals.append("payloads of \(bytes >> 20) MiB are in flight, the bound is 256 MiB")
        }
        return refusals
    }
}
