import KeyValueLock
import NATSClient
import Synchronization

/// What the contenders for some locks did, with moments on the machine's monotonic clock; judged afterwards.
final class TakeoverLog: Sendable {
    struct Holding: Sendable {
        let role: String
        let epoch: Int64
        let holder: String
        /// When it asked for its epoch, and when it had the lock.
        let askedAt: Int64
        let acquiredAt: Int64
    }

    /// Work that was tried under an epoch.
    struct Deed: Sendable {
        let role: String
        let epoch: Int64
        let begunAt: Int64
        let isAdmitted: Bool
    }

    private struct Epoch: Hashable, Sendable {
        let role: String
        let number: Int64
    }

    private struct Last: Sendable {
        var holding: Holding
        var token: LockToken
        var isReleased = false
    }

    private struct State {
        var holdings: [Holding] = []
        var deeds: [Deed] = []
        var asked: [Epoch: Int64] = [:]
        var last: [String: Last] = [:]
        var forced = 0
        var doubted = 0
        var kills = 0
    }

    private let state = Mutex(State())

    /// Acquisitions after a holder that had not let go.
    var forced: Int { state.withLock { $0.forced } }
    var acquired: Int { state.withLock { $0.holdings.count } }
    /// Acquisitions at which the former holder still trusted its lease: what the epoch is for.
    var doubted: Int { state.withLock { $0.doubted } }
    var refusedDeeds: Int { state.withLock { $0.deeds.count { !$0.isAdmitted } } }
    var highestEpoch: Int64 { state.withLock { $0.holdings.map(\.epoch).max() ?? 0 } }
    var kills: Int { state.withLock { $0.kills } }

    /// Call it with the moment before the epoch was asked for.
    func issued(_ epoch: Int64, of role: String, askedAt: Int64) {
        state.withLock { $0.asked[Epoch(role: role, number: epoch)] = askedAt }
    }

    /// - Returns: the former holding of the role.
    func acquired(_ token: LockToken, by holder: String) -> Holding? {
        state.withLock { state in
            let holding = Holding(
                role: token.name, epoch: token.epoch, holder: holder,
                askedAt: state.asked[Epoch(role: token.name, number: token.epoch)] ?? .min,
                acquiredAt: MonotonicClock.now())
            state.holdings.append(holding)
            let former = state.last.updateValue(Last(holding: holding, token: token), forKey: token.name)
            guard let former else { return nil }
            if !former.isReleased { state.forced += 1 }
            if former.token.isHeld { state.doubted += 1 }
            return former.holding
        }
    }

    /// Call it before letting go.
    func releases(_ token: LockToken) {
        state.withLock { state in
            guard state.last[token.name]?.holding.epoch == token.epoch else { return }
            state.last[token.name]?.isReleased = true
        }
    }

    func did(_ role: String, _ epoch: Int64, begunAt: Int64, isAdmitted: Bool) {
        state.withLock {
            $0.deeds.append(Deed(role: role, epoch: epoch, begunAt: begunAt, isAdmitted: isAdmitted))
        }
    }

    func killed() { state.withLock { $0.kills += 1 } }

    /// What must never be: two holders of one epoch, an epoch that does not grow, a deed under an epoch that is past.
    func problems() -> [String] {
        let (holdings, deeds) = state.withLock { ($0.holdings, $0.deeds) }
        var problems: [String] = []
        var owners: [Epoch: String] = [:]
        for holding in holdings {
            let epoch = Epoch(role: holding.role, number: holding.epoch)
            if let other = owners.updateValue(holding.holder, forKey: epoch) {
                problems.append("\(holding.role): \(other) and \(holding.holder) held under \(holding.epoch)")
            }
        }
        let roles = Dictionary(grouping: holdings, by: \.role)
        for (role, holdings) in roles {
            // Of two that ask at once, the lower may believe a moment later than the higher. Who asks after another had
            // the lock must come out above it.
            for (index, next) in holdings.enumerated() {
                let former = holdings[..<index].last { $0.acquiredAt < next.askedAt && $0.epoch >= next.epoch }
                if let former { problems.append("\(role) went from \(former.epoch) to \(next.epoch)") }
            }
        }
        for deed in deeds where deed.isAdmitted {
            let past = roles[deed.role]?.first { $0.acquiredAt < deed.begunAt && $0.epoch > deed.epoch }
            if let past {
                problems.append("\(deed.role): a deed under \(deed.epoch) was admitted after \(past.epoch)")
            }
        }
        return problems
    }
}
