import NATSClient
import SchedulerCore
import SchedulerEngine
import SchedulerWire
import Synchronization

/// The rates at which namespaces may send commands: a token bucket for each namespace that has one. Every instance
/// watches over its own part, the rate divided by the members, so that nobody asks anybody.
final class CommandRates: Sendable {
    private let engine: Engine
    private let buckets = Mutex<[Namespace: TokenBucket]>([:])

    init(_ engine: Engine) { self.engine = engine }

    /// - Throws: ``ErrorCode/rateLimited``, with the time after which there is room again.
    func expect(_ namespace: Namespace) throws(WireError) {
        let limits = engine.limits.limits(of: namespace)
        guard limits.commandsPerSecond != nil else {
            buckets.withLock { if !$0.isEmpty { $0[namespace] = nil } }
            return
        }
        let members = engine.session?.membership.view.members.count ?? 1
        guard let share = limits.commandShare(among: members) else { return }
        let now = MonotonicClock.now()
        let wait = buckets.withLock { buckets in
            var bucket = buckets[namespace] ?? TokenBucket(rate: share.rate, burst: share.burst, at: now)
            bucket.set(rate: share.rate, burst: share.burst, at: now)
            defer { buckets[namespace] = bucket }
            return bucket.take(at: now)
        }
        guard let wait else { return }
        var error = WireError(
            .rateLimited,
            "namespace '\(namespace)' may send \(limits.commandsPerSecond ?? 0) commands a second; ask again later")
        error.retryAfterSeconds = (wait * 1000).rounded(.up) / 1000
        throw error
    }
}
