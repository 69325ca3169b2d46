/// What one member knows of the others' leases, judged on its own monotonic clock only. Pure.
///
/// A lease key is written by its member alone and never used again. A peer is *suspected* when its key has not changed
/// for a lease time **while this member could have seen a change**: whenever this member's own renewal or watch breaks,
/// the count against every peer begins anew. So an outage of NATS fences nobody: it stops all counts at once.
/// Suspicion is no verdict: the fence in PostgreSQL is.
///
/// What proves that a change would have been seen is this member's own last renewal, told by the watch. Neither half of
/// it is enough in a cluster: a renewal is acknowledged by the stream's leader while the watch, on another node, is dead,
/// is being made anew, or tells the past.
package struct MemberTable: Sendable {
    private struct Peer {
        var revision: UInt64
        var unchangedSince: Int64
    }

    private var peers: [InstanceID: Peer] = [:]
    private var sight: (since: Int64, latest: Int64)?
    /// The revision of this member's own key, as last acknowledged.
    private var acknowledged: UInt64 = 0
    private let lease: Int64

    /// - Parameter lease: nanoseconds after which an unchanged key makes its member suspected.
    package init(lease: Int64) { self.lease = lease }

    /// The members whose lease keys stand.
    package var members: Set<InstanceID> { Set(peers.filter { $0.value.revision > 0 }.keys) }

    /// An instance that is registered, and whose key nobody has seen: it died before it had one, or its key went. It is
    /// suspected as others are, but has no share meanwhile.
    package mutating func expect(_ member: InstanceID, at now: Int64) {
        if peers[member] == nil { peers[member] = Peer(revision: 0, unchangedSince: now) }
    }

    /// A key was written. A revision seen before is no news: a re-made watch tells all keys again.
    package mutating func sawLease(of member: InstanceID, revision: UInt64, at now: Int64) {
        if let peer = peers[member], peer.revision == revision { return }
        peers[member] = Peer(revision: revision, unchangedSince: now)
    }

    /// A key was deleted, by a member that left or by the one who fenced it.
    package mutating func sawEnd(of member: InstanceID) { peers[member] = nil }

    /// A snapshot of the whole bucket: members that are not in it are gone.
    package mutating func sawAll(_ members: Set<InstanceID>) {
        peers = peers.filter { members.contains($0.key) || $0.value.revision == 0 }
    }

    /// This member's own key has this revision by the server's word.
    package mutating func ownLeaseAcknowledged(revision: UInt64) { acknowledged = revision }

    /// The watch told this member's own key. One of an earlier renewal than the last acknowledged says that the watch is
    /// behind, and gives no sight. Two moments of sight further apart than half a lease are a break: the process slept,
    /// and what it would have seen meanwhile is still on its way.
    package mutating func sawOwnLease(revision: UInt64, at now: Int64) {
        guard revision >= acknowledged else { return }
        guard let sight, now - sight.latest <= lease / 2 else {
            self.sight = (now, now)
            return
        }
        self.sight = (sight.since, now)
    }

    /// The watch or the own renewal broke: nothing is known from here on.
    package mutating func sightBroke() { sight = nil }

    /// The peers whose leases stood unchanged, in unbroken sight, for a lease time.
    package func suspects(at now: Int64, own: InstanceID) -> [InstanceID] {
        guard let sight, now - sight.latest <= lease / 2 else { return [] }
        return peers.filter { member, peer in
            member != own && now - max(peer.unchangedSince, sight.since) >= lease
        }.keys.sorted()
    }
}
