package import NATSClient
import Synchronization

/// Locks for single jobs, over a NATS key-value bucket, with fencing epochs from elsewhere.
///
/// ## The protocol
/// A lock `name` is the keys `role.<name>.<epoch>`; the holder is who wrote the one with the highest epoch. An epoch
/// comes from the injected source (PostgreSQL in the product: `UPDATE … SET epoch = epoch + 1 … RETURNING`), so that it
/// never comes twice, whatever the bucket forgets. A key is created once, renewed by its only writer, and never used
/// again: nothing here needs compare-and-set to be safe against a second writer, which on a replicated bucket before
/// nats-server 2.9.21 it is not. The bucket's TTL collects garbage and decides nothing.
///
/// A contender follows the keys with a watch. It asks for an epoch when the highest key is deleted, or when that key was
/// not rewritten for its lease **on the contender's own monotonic clock, while the server kept speaking to it**: the
/// count starts anew after every break of the watch, and only the server's word (a change or a heartbeat, every 0.5 s)
/// moves it on. So an outage of NATS makes nobody take over.
///
/// The holder renews each quarter of the lease, each twentieth while that fails, and trusts itself until (start of the last renewal that was confirmed)
/// + lease − margin, the margin being a fifth of the lease.
///
/// ## What can go wrong
/// - Two contenders ask at once: both get epochs, both create their keys; the higher one holds, the lower one sees it
///   in the watch and steps back. In between both may believe: the work's transactions must check the epoch, which the
///   source had already moved past the lower one.
/// - The holder stops and wakes: its trust is over by its own clock (which counts sleep); what it still does is refused
///   by the epoch.
/// - A create or renewal without an answer: counted as not done. A created key nobody holds expires unrenewed.
/// - The bucket is lost or made anew: renewals are refused, the lock is lost; the next epoch is higher all the same.
package final class KeyValueLock: Sendable {
    package typealias EpochSource = @Sendable (_ name: String) async throws -> Int64

    package let bucket: KeyValueBucket
    package let owner: String
    let lease: Duration
    let epochSource: EpochSource

    /// - Parameters:
    ///   - owner: who is shown as holder; letters and digits best.
    ///   - lease: at least 1 s; longer than an election where the bucket is replicated.
    package init(
        _ bucket: KeyValueBucket, owner: String, lease: Duration, epochSource: @escaping EpochSource
    ) {
        var jetstream = bucket.jetstream
        jetstream.timeout = lease / 5
        self.bucket = bucket.with(jetstream)
        self.owner = owner
        self.lease = lease
        self.epochSource = epochSource
    }

    /// Waits for the lock. Ends with the task's cancellation, too.
    /// - Returns: nil when the time passed and another still held it.
    package func acquire(_ name: String, waitingUpTo limit: Duration) async throws(NATSError) -> LockToken? {
        _ = try BucketKey("role.\(name).0")
        let session = try LockSession(self, name)
        return await session.acquire(within: limit)
    }

    /// Renews now, beside the renewals that go on by themselves.
    /// - Returns: whether the server confirmed it; the trust then runs from the start of this call.
    package func extend(_ token: LockToken) async throws(NATSError) -> Bool {
        guard token.session.lock === self, token.isHeld else {
            throw NATSError(.conflict, "Only the holder's own token extends a lock.", context: token.name)
        }
        return await token.session.extend()
    }

    /// Lets go.
    /// - Throws: `.conflict` when the token is not one of this lock object, or not held any more.
    package func release(_ token: LockToken) async throws(NATSError) {
        guard token.session.lock === self, token.isHeld else {
            throw NATSError(.conflict, "Only the holder's own token releases a lock.", context: token.name)
        }
        await token.session.release()
    }

    /// Runs `body` with the lock; its task is cancelled when the lock is lost.
    /// - Returns: nil when the lock was not had in time.
    package func withLock<Result: Sendable>(
        _ name: String, waitingUpTo limit: Duration, _ body: @escaping @Sendable (LockToken) async throws -> Result
    ) async throws -> Result? {
        guard let token = try await acquire(name, waitingUpTo: limit) else { return nil }
        let outcome: Swift.Result<Result, any Error> = await withTaskGroup(
            of: Swift.Result<Result, any Error>?.self
        ) { group in
            group.addTask {
                do { return .success(try await body(token)) } catch { return .failure(error) }
            }
            group.addTask {
                await token.lost()
                return nil
            }
            var outcome: Swift.Result<Result, any Error>?
            while outcome == nil, let next = await group.next() {
                outcome = next
                group.cancelAll()
            }
            if outcome == nil { outcome = await group.next() ?? nil }
            return outcome ?? .failure(NATSError(.conflict, "The lock was lost.", context: name))
        }
        await token.session.release()
        return try outcome.get()
    }

    /// Who wrote the highest key that is not deleted. It may have stopped since: a hint for people.
    package func holder(of name: String) async throws(NATSError) -> String? {
        let watch = try bucket.watch("role.\(name).*")
        defer { watch.cancel() }
        var highest: (epoch: Int64, owner: String?)?
        for await event in watch {
            switch event {
            case .entry(let entry):
                guard let epoch = LockValue.epoch(ofKey: entry.key), epoch >= highest?.epoch ?? 0 else { continue }
                highest = (epoch, entry.isDeleted ? nil : LockValue(entry.value)?.owner)
            case .snapshotEnded: return highest?.owner
            case .snapshotStarted: highest = nil
            case .heartbeat: break
            }
        }
        return highest?.owner
    }

    package func isLocked(_ name: String) async throws(NATSError) -> Bool { try await holder(of: name) != nil }
}

/// What a lock's key holds: readable, for people with `nats kv get`.
struct LockValue: Sendable, Equatable {
    var owner = ""
    var renewals = 0
    var leaseMilliseconds: Int64 = 0

    init(owner: String, renewals: Int, leaseMilliseconds: Int64) {
        self.owner = owner
        self.renewals = renewals
        self.leaseMilliseconds = leaseMilliseconds
    }

    init?(_ bytes: [UInt8]) {
        let isObject = bytes.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            return cursor.forEachMember { key, cursor in
                if key.equals("owner") {
                    owner = cursor.string() ?? ""
                } else if key.equals("renewals") {
                    renewals = Int(clamping: cursor.unsigned() ?? 0)
                } else if key.equals("lease_ms") {
                    leaseMilliseconds = cursor.signed() ?? 0
                }
            }
        }
        guard isObject else { return nil }
    }

    func encoded(since: String) -> [UInt8] {
        Array(
            #"{"owner":\#(jsonString(owner)),"since":"\#(since)","renewals":\#(renewals),"lease_ms":\#(leaseMilliseconds)}"#
                .utf8)
    }

    static func epoch(ofKey key: String) -> Int64? { key.split(separator: ".").last.flatMap { Int64($0) } }
}
