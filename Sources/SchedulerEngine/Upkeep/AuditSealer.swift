import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Seals the audit log: gives what was written its place in the hash chain, a second later at most, and publishes the
/// chain's head, so that somebody outside can keep it.
///
/// Every instance tries; the chain's own row lock lets one seal at a time. Where none runs nothing is written either, and
/// what was left is sealed by the next start.
struct AuditSealer: Sendable {
    let session: Session

    private static let round = Duration.seconds(1)
    /// Between two publications of a head that moves.
    private static let publication: Int64 = 600_000

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        var publishedAt: Instant?
        while true {
            var head: AuditLink?
            await session.attempt("sealing the audit log") { head = try await sealAll() }
            let now = session.clock.now()
            if let head, publishedAt.map({ now.milliseconds(since: $0) >= Self.publication }) ?? true {
                publishedAt = now
                session.tell(.auditSealed, "entry \(head.sequence), hash \(Digest.hexadecimal(head.hash))")
            }
            try await Task.sleep(for: Self.round)
        }
    }

    /// - Returns: the head, if this instance moved it.
    private func sealAll() async throws -> AuditLink? {
        var head: AuditLink?
        // A connection of the pool: upkeep's own is shared, and no transaction may hold it.
        while let sealed = try await session.pool.withConnection({
            try await AuditChainTable.seal(at: session.clock.now(), on: $0)
        }) {
            head = sealed.head
            if sealed.count < AuditChainTable.page { break }
        }
        return head
    }
}
