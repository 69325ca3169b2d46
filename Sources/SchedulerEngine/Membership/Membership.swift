import Logging
import NATSClient
import PostgresClient
import Recurrence
package import SchedulerCore
import SchedulerStore
import ServiceMetrics
import Synchronization

/// One incarnation's lease, and its sight of the others'.
///
/// # The lease
/// The key `member.<incarnation>` is created once, renewed by its one writer every quarter of a lease, and never used
/// again. Nothing is granted by reading it: this member trusts in itself until
///
///     (its last acknowledged renewal's *start*) + lease − margin
///
/// on its own monotonic clock, and renews only while PostgreSQL answers it, so that a member which lost PostgreSQL
/// loses its share.
///
/// # The others
/// Who has watched a peer's key stand unchanged for a whole lease, in unbroken sight (``MemberTable``), fences the peer
/// *in PostgreSQL* and takes its claims over. The bucket decides who tries; the row `instances.fenced_at` decides who
/// may. An outage of NATS breaks everybody's sight and fences nobody.
///
/// # What can go wrong
/// | fault | what happens |
/// | --- | --- |
/// | the process dies | its key stands still; a peer fences it after one lease and rescues its claims |
/// | the process is stopped and wakes | it finds its trust expired, publishes nothing, and its first transaction fails with CR001; it joins anew |
/// | NATS is away | no renewal, no trust, no sight: nobody publishes, nobody is fenced; all goes on when it is back |
/// | the bucket's leader is lost | the same until another is elected; a lease longer than that outlasts it |
/// | the node of the watch is lost | renewals go on, sight does not: nobody is fenced by who cannot see |
/// | PostgreSQL is away | no renewal; with PostgreSQL nobody can fence either |
/// | the key or the bucket is deleted | this incarnation ends itself and joins anew under another key |
package final class Membership: Sendable {
    /// Who there is, and what of the work is this member's.
    package struct View: Sendable {
        package var members: Set<InstanceID> = []
        package var share: [Int16] = []
    }

    private struct State {
        var table: MemberTable
        var view = View()
        var revision: UInt64 = 0
        var renewals: Int64 = 0
    }

    private let instance: InstanceID
    private let key: BucketKey
    private let name: String
    private let lease: Duration
    private let bucket: KeyValueBucket
    private let trust: Trust
    private let clock: PostgresClock
    private let meters: ServiceMeters
    private let logger: Logger
    private let state: Mutex<State>

    init(
        instance: InstanceID, configuration: EngineConfiguration, bucket: KeyValueBucket, trust: Trust,
        clock: PostgresClock, meters: ServiceMeters, logger: Logger
    ) throws(NATSError) {
        self.instance = instance
        key = try Self.key(of: instance)
        name = configuration.instanceName
        lease = configuration.lease
        // A node that stands still must not cost more than one renewal.
        var jetstream = bucket.jetstream
        jetstream.timeout = lease / 4
        self.bucket = bucket.with(jetstream)
        self.trust = trust
        self.clock = clock
        self.meters = meters
        self.logger = logger
        state = Mutex(State(table: MemberTable(lease: configuration.lease.nanoseconds)))
    }

    package var view: View { state.withLock { $0.view } }

    private static let keyPrefix = "member."
    private var margin: Duration { max(.milliseconds(200), lease / 10) }

    private static func key(of member: InstanceID) throws(NATSError) -> BucketKey {
        try BucketKey(keyPrefix + member.description)
    }

    private static func member(of key: String) -> InstanceID? {
        key.hasPrefix(keyPrefix) ? InstanceID(text: key.dropFirst(keyPrefix.count)) : nil
    }

    /// Readable for an admin who looks into the bucket.
    private func value(renewals: Int64) -> [UInt8] {
        let text = """
            {"instance":"\(name)","renewed_at":"\(clock.now().rfc3339)","renewals":\(renewals),\
            "lease_seconds":\(Double(lease.nanoseconds) / 1e9)}
            """
        return Array(text.utf8)
    }

    /// Takes the lease. The instance's row must stand before.
    func join() async throws {
        let started = MonotonicClock.now()
        let revision = try await bucket.create(key, value(renewals: 0))
        renewed(revision, started: started)
        meters.lock(.acquired)
    }

    /// Gives the lease up; the row is fenced by the caller first.
    func leave() async {
        trust.revoke()
        let revision = state.withLock { $0.revision }
        _ = try? await bucket.delete(key, revision: revision)
    }

    private func renewed(_ revision: UInt64, started: Int64) {
        trust.renew(started: started, lease: lease, margin: margin)
        state.withLock { state in
            state.revision = revision
            state.renewals += 1
            state.table.sawLease(of: instance, revision: revision, at: started)
            state.table.ownLeaseAcknowledged(revision: revision)
            refreshView(&state)
        }
    }

    private func refreshView(_ state: inout State) {
        let now = MonotonicClock.now()
        let members = state.table.members.subtracting(state.table.suspects(at: now, own: instance)).union([instance])
        guard members != state.view.members else { return }
        state.view = View(members: members, share: Share.partitions(of: instance, among: members))
        logger.info(
            "the members changed", metadata: ["members": "\(members.count)", "share": "\(state.view.share.count)"])
    }

    /// Renews for as long as the incarnation lives, and more often while it fails: an election takes a good part of a
    /// lease. Throws when its key is lost: then it is over.
    func renew() async throws {
        let pause = lease / 4
        var isRenewed = true
        var isTrusted = true
        while true {
            try await Task.sleep(for: isRenewed ? pause : pause / 5)
            let isTrustedNow = trust.holds(at: MonotonicClock.now())
            if isTrusted, !isTrustedNow { meters.lock(.timedOut) }
            isTrusted = isTrustedNow
            guard MonotonicClock.now() - clock.lastAnswer < pause.nanoseconds else { continue }
            isRenewed = try await renewOnce()
        }
    }

    /// - Returns: whether the server confirmed it.
    private func renewOnce() async throws -> Bool {
        let (revision, renewals) = state.withLock { ($0.revision, $0.renewals) }
        let started = MonotonicClock.now()
        do {
            renewed(
                try await bucket.update(key, value(renewals: renewals), revision: revision), started: started)
            return true
        } catch {
            state.withLock { $0.table.sightBroke() }
            if error.code == .conflict { try await learnRevision() }
            return false
        }
    }

    /// Only this process writes the key: another revision is an update of ours whose answer got lost, or what a new
    /// leader has left of it. Where nobody can say, the next renewal asks again.
    private func learnRevision() async throws(EngineError) {
        let entry: BucketEntry?
        do throws(NATSError) {
            entry = try await bucket.get(key)
        } catch {
            return
        }
        guard let entry else { throw EngineError(.fenced, "the lease \(key) is gone") }
        state.withLock { state in
            state.revision = entry.revision
            state.table.ownLeaseAcknowledged(revision: entry.revision)
        }
    }

    /// Follows the bucket for as long as the incarnation lives.
    func watch() async throws {
        let watch = try bucket.watch()
        await withTaskCancellationHandler {
            await follow(watch)
        } onCancel: {
            watch.cancel()
        }
        try Task.checkCancellation()
        throw EngineError(.stream, "the watch of the bucket ended")
    }

    private func follow(_ watch: BucketWatch) async {
        var snapshot: Set<InstanceID>?
        for await event in watch {
            let now = MonotonicClock.now()
            state.withLock { state in
                switch event {
                case .snapshotStarted:
                    snapshot = []
                    state.table.sightBroke()
                case .snapshotEnded:
                    if let members = snapshot { state.table.sawAll(members.union([instance])) }
                    snapshot = nil
                case .heartbeat:
                    return
                case .entry(let entry):
                    guard let member = Self.member(of: entry.key) else { return }
                    if entry.isDeleted {
                        state.table.sawEnd(of: member)
                    } else {
                        snapshot?.insert(member)
                        state.table.sawLease(of: member, revision: entry.revision, at: now)
                        if member == instance { state.table.sawOwnLease(revision: entry.revision, at: now) }
                    }
                }
                refreshView(&state)
            }
        }
    }

    /// The peers that look dead now.
    func suspects() -> [InstanceID] {
        state.withLock { state in
            refreshView(&state)
            return state.table.suspects(at: MonotonicClock.now(), own: instance)
        }
    }

    /// Instances whose rows are unfenced and whose keys nobody has seen: counted as leases that never change.
    func expect(_ instances: Set<InstanceID>) {
        let now = MonotonicClock.now()
        state.withLock { state in
            for instance in instances { state.table.expect(instance, at: now) }
        }
    }

    /// A peer has been fenced: its key goes, and its share is free at once.
    func buried(_ victim: InstanceID) async {
        state.withLock { state in
            state.table.sawEnd(of: victim)
            refreshView(&state)
        }
        guard let key = try? Self.key(of: victim) else { return }
        _ = try? await bucket.delete(key, revision: nil)
    }
}
