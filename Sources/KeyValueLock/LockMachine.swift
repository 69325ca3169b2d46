/// The decisions of one contender for one lock: no clock, no I/O. Times are nanoseconds on the monotonic clock.
///
///     waiting ──vacant──▶ askingEpoch ──epoch──▶ creating ──created──▶ confirming ──own key seen──▶ held
///        ▲                    │ failed              │ failed               │ higher epoch seen       │
///        └────────────────────┴─────────────────────┴──────────────────────┘                        ▼
///                                                                                          ended (released or lost)
package struct LockMachine: Sendable, Equatable {
    package struct Settings: Sendable, Equatable {
        package var lease: Int64
        /// Trust in one's own lease ends this much earlier than others may take over.
        package var margin: Int64
        package var renewEvery: Int64

        package init(lease: Duration) {
            self.lease = lease.components.seconds * 1_000_000_000 + lease.components.attoseconds / 1_000_000_000
            margin = self.lease / 5
            renewEvery = self.lease / 4
        }
    }

    package struct Holding: Sendable, Equatable {
        package var epoch: Int64
        package var revision: UInt64
        package var renewals: Int
        package var trustUntil: Int64
        package var nextRenewal: Int64
    }

    package enum Phase: Sendable, Equatable {
        case waiting
        case askingEpoch
        case creating(epoch: Int64)
        /// The key is written, but whether a higher one was written before is not known yet.
        case confirming(Holding)
        case held(Holding)
        case ended
    }

    /// The key with the highest epoch, as the watch told it.
    package struct Seen: Sendable, Equatable {
        var epoch: Int64
        var revision: UInt64
        var isReleased: Bool
        /// What its holder promised; others wait for that long.
        var lease: Int64
        /// When this observer first saw this revision.
        var since: Int64
    }

    package enum Event: Sendable, Equatable {
        case watchBroke
        case snapshotEnded
        /// A key of this lock was written or deleted.
        case seen(epoch: Int64, revision: UInt64, isReleased: Bool, lease: Int64)
        /// The server spoke: all that was stored before has been told.
        case heard
        case epochIssued(Int64)
        case epochFailed
        case created(revision: UInt64, startedAt: Int64)
        case createFailed
        case renewed(revision: UInt64, startedAt: Int64)
        /// The server refused: another writer, or the key is gone.
        case renewRefused
        /// Nobody knows whether it was written.
        case renewUnknown
        case tick
        /// Renew without waiting for the time of it.
        case extend
        case release
    }

    package enum Action: Sendable, Equatable {
        case askEpoch
        case create(epoch: Int64)
        case renew(Holding)
        case delete(epoch: Int64, revision: UInt64)
        case acquired(epoch: Int64)
        case lost(epoch: Int64)
    }

    package let settings: Settings
    package private(set) var phase = Phase.waiting
    private var seen: Seen?
    private var isWatchWhole = false
    private var lastHeard = Int64.min
    private var notBefore = Int64.min

    package init(_ settings: Settings) { self.settings = settings }

    /// The end of the trust in one's own lease; nil when nothing is held.
    package var trustUntil: Int64? {
        if case .held(let holding) = phase { return holding.trustUntil }
        return nil
    }

    /// - Parameter pause: a random part of a second or so, so that contenders do not all ask for an epoch at once.
    package mutating func handle(_ event: Event, now: Int64, pause: Int64 = 0) -> [Action] {
        switch event {
        case .watchBroke:
            // What was counted against a peer counts no more; the snapshot tells the present keys anew.
            isWatchWhole = false
            seen = nil
            lastHeard = .min
            return []
        case .snapshotEnded:
            isWatchWhole = true
            lastHeard = now
        case .heard: lastHeard = now
        case .seen(let epoch, let revision, let isReleased, let lease):
            lastHeard = now
            note(Seen(epoch: epoch, revision: revision, isReleased: isReleased, lease: lease, since: now))
            if let actions = judgeHolding() { return actions }
        case .epochIssued(let epoch): return epochIssued(epoch)
        case .created(let revision, let startedAt): return created(revision, startedAt)
        case .epochFailed, .createFailed: return backToWaiting(now, pause)
        case .renewed(let revision, let startedAt): return renewed(revision, startedAt, now)
        case .renewRefused: return loseHolding()
        case .renewUnknown: retrySoon(now)
        case .tick: break
        case .extend: hasten(now)
        case .release: return release()
        }
        return proceed(now, pause)
    }

    /// Nothing is held as far as this observer can know: the last holder let go, or has been silent for its lease
    /// while the server spoke.
    private var isVacant: Bool {
        guard isWatchWhole else { return false }
        guard let seen, !seen.isReleased else { return true }
        return lastHeard - seen.since >= max(seen.lease, settings.lease)
    }

    private mutating func note(_ new: Seen) {
        if let seen, seen.epoch > new.epoch || (seen.epoch == new.epoch && seen.revision >= new.revision) { return }
        seen = new
    }

    private mutating func proceed(_ now: Int64, _ pause: Int64) -> [Action] {
        switch phase {
        case .waiting:
            guard isVacant else {
                notBefore = .min
                return []
            }
            if notBefore == .min { notBefore = now + pause }
            guard now >= notBefore else { return [] }
            phase = .askingEpoch
            return [.askEpoch]
        case .confirming(let holding), .held(let holding):
            if now >= holding.trustUntil { return loseHolding() }
            guard now >= holding.nextRenewal else { return [] }
            var next = holding
            next.renewals += 1
            next.nextRenewal = now + settings.renewEvery
            replace(next)
            return [.renew(next)]
        case .askingEpoch, .creating, .ended: return []
        }
    }

    /// An election takes a good part of a lease: the first renewal after it must not come too late.
    private mutating func retrySoon(_ now: Int64) {
        switch phase {
        case .confirming(var holding), .held(var holding):
            holding.nextRenewal = min(holding.nextRenewal, now + settings.renewEvery / 5)
            replace(holding)
        default: break
        }
    }

    private mutating func hasten(_ now: Int64) {
        guard case .held(var holding) = phase else { return }
        holding.nextRenewal = now
        phase = .held(holding)
    }

    private mutating func replace(_ holding: Holding) {
        switch phase {
        case .confirming: phase = .confirming(holding)
        case .held: phase = .held(holding)
        default: break
        }
    }

    private mutating func epochIssued(_ epoch: Int64) -> [Action] {
        guard case .askingEpoch = phase else { return [] }
        phase = .creating(epoch: epoch)
        return [.create(epoch: epoch)]
    }

    private mutating func created(_ revision: UInt64, _ startedAt: Int64) -> [Action] {
        guard case .creating(let epoch) = phase else { return [] }
        phase = .confirming(
            Holding(
                epoch: epoch, revision: revision, renewals: 0, trustUntil: startedAt + settings.lease - settings.margin,
                nextRenewal: startedAt + settings.renewEvery))
        return judgeHolding() ?? []
    }

    /// Compares what is held with the highest key seen; nil when that changes nothing.
    private mutating func judgeHolding() -> [Action]? {
        guard let seen else { return nil }
        switch phase {
        case .confirming(let holding):
            if seen.epoch > holding.epoch { return loseHolding() }
            guard seen.epoch == holding.epoch else { return nil }
            if seen.isReleased { return loseHolding() }
            phase = .held(holding)
            return [.acquired(epoch: holding.epoch)]
        case .held(let holding):
            let isGone = seen.epoch > holding.epoch || (seen.epoch == holding.epoch && seen.isReleased)
            return isGone ? loseHolding() : nil
        default: return nil
        }
    }

    private mutating func renewed(_ revision: UInt64, _ startedAt: Int64, _ now: Int64) -> [Action] {
        switch phase {
        case .confirming(var holding), .held(var holding):
            let trustUntil = startedAt + settings.lease - settings.margin
            // Where only the revision was learnt, nothing is gained yet.
            let isGain = trustUntil > holding.trustUntil
            holding.revision = revision
            holding.trustUntil = max(holding.trustUntil, trustUntil)
            replace(holding)
            if !isGain { retrySoon(now) }
        default: break
        }
        return []
    }

    private mutating func loseHolding() -> [Action] {
        switch phase {
        case .confirming(let holding):
            phase = .waiting
            notBefore = .min
            return [.delete(epoch: holding.epoch, revision: holding.revision)]
        case .held(let holding):
            phase = .ended
            return [.lost(epoch: holding.epoch), .delete(epoch: holding.epoch, revision: holding.revision)]
        default: return []
        }
    }

    private mutating func backToWaiting(_ now: Int64, _ pause: Int64) -> [Action] {
        phase = .waiting
        notBefore = now + settings.renewEvery + pause
        return []
    }

    private mutating func release() -> [Action] {
        defer { phase = .ended }
        switch phase {
        case .confirming(let holding), .held(let holding):
            return [.delete(epoch: holding.epoch, revision: holding.revision)]
        default: return []
        }
    }
}
