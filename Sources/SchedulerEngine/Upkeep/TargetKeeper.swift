import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// Keeps this instance's rules as they are said: the allow-list of its file and of commands, and the limits of
/// namespaces; and makes a change of the allow-list felt within a second.
///
/// Claims need it for nothing, they look themselves (``TargetBoard``). What it does: what is claimed already and allowed
/// no longer is given back; schedules that lost their target become invalid before they are due (``TargetSweep``); those
/// that may have got one again are looked at (``StateKeeper``).
///
/// A revocation by command is a row in PostgreSQL until nobody who began under the old list can be under way any more, so
/// it is carried out whoever dies meanwhile. Each instance carries it out; they share the work by passing over what the
/// other one holds locked. A narrower file is the business of the instance whose file it is.
struct TargetKeeper: Sendable {
    let session: Session

    private static let round = Duration.milliseconds(250)
    /// Rounds after a change in which claims are given back: one that was under way comes to the publisher a little later.
    private static let recalls = 3
    /// How long a revocation is carried out again and again: a command that read the old list commits within this time.
    private static let aftermath: Int64 = 10_000
    private static let pause: Int64 = 1000

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        var known = session.compiler.targets.snapshot.change
        var recalls = 0
        var sweeps = Sweeps()
        while true {
            sweeps.narrowed += lookAtFile()
            await session.attempt("reading the rules") {
                let hasRevocations = try await catchUp()
                let change = session.compiler.targets.snapshot.change
                if change != known {
                    (known, recalls) = (change, Self.recalls)
                    session.heal()
                }
                // A claim that began under the old list may come to the publisher late.
                if recalls > 0 || hasRevocations {
                    try await session.pool.withConnection { try await session.recaller.recallRevoked(on: $0) }
                    recalls = max(0, recalls - 1)
                }
                if hasRevocations { try await carryOut(&sweeps) }
                while let scope = sweeps.narrowed.first {
                    try await TargetSweep(session: session).run(scope)
                    sweeps.narrowed.removeFirst()
                }
            }
            try Task.checkCancellation()
            await session.rulesChanged.wait(atMost: Self.round)
        }
    }

    /// What is to be swept, and what was.
    private struct Sweeps {
        /// What the file no longer allows.
        var narrowed: [TargetScope] = []
        /// When revocations were carried out last, on PostgreSQL's clock.
        var last: [Int64: Instant] = [:]
    }

    /// - Returns: what the file allowed, and allows no longer.
    private func lookAtFile() -> [TargetScope] {
        let targets = session.compiler.targets
        switch session.targetsWatch.look() {
        case nil: return []
        case .fault(let fault):
            session.logger.warning(
                "TARGETS_FILE is not used as it is now; what it said before holds", metadata: ["reason": "\(fault)"])
            return []
        case .rules(let rules):
            let before = targets.snapshot.file
            guard before != rules else { return [] }
            targets.set(file: rules)
            session.logger.notice("TARGETS_FILE has changed", metadata: ["entries": "\(rules.rules.count)"])
            return before.missing(in: rules).map { TargetScope(namespace: $0.namespace, subject: $0.subject) }
        }
    }

    /// - Returns: whether commands revoked something a moment ago.
    private func catchUp() async throws -> Bool {
        try await session.pool.withConnection { connection in
            guard let epoch = try await TargetTable.epoch(on: connection) else { return false }
            try await session.compiler.targets.catchUp(to: epoch.targets, on: connection)
            try await session.limits.catchUp(to: epoch.limits, on: connection)
            return epoch.hasRevocations
        }
    }

    private func carryOut(_ sweeps: inout Sweeps) async throws {
        let revocations = try await session.pool.withConnection { try await RevocationTable.list(on: $0) }
        let now = session.clock.now()
        for revocation in revocations {
            if let last = sweeps.last[revocation.id], now.milliseconds(since: last) < Self.pause { continue }
            if let scope = revocation.scope { try await TargetSweep(session: session).run(scope) }
            sweeps.last[revocation.id] = now
        }
        let ids = Set(revocations.map(\.id))
        sweeps.last = sweeps.last.filter { ids.contains($0.key) }
        // Not before each of them was carried out by somebody: by this instance, a moment ago.
        try await session.pool.withConnection {
            try await RevocationTable.forget(before: now.adding(milliseconds: -Self.aftermath), on: $0)
        }
    }
}
