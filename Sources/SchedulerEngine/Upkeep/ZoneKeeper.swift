import KeyValueLock
import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire
import ZoneData

/// Takes notice of a changed tzdata (semantics.md §2): the next fires of the schedules in the changed zones are computed
/// again, and one event tells of it.
///
/// Each instance looks at its own machine's data every ten seconds, and computes again when they change: what it had
/// claimed since a peer noticed was still advanced by the old rules. That is done by one instance at a time, in pages,
/// and twice the same is no change. PostgreSQL keeps which release was last: the first instance with another one tells
/// the event, and one that starts with a newer release than the stored one computes again as well.
struct ZoneKeeper: Sendable {
    let session: Session

    private static let round = Duration.seconds(10)
    /// Schedules that one statement looks at, and timers that one transaction moves.
    private static let page = 1000
    /// How often timers that somebody else holds are tried again, and how long apart.
    private static let tries = 100
    private static let pause = Duration.milliseconds(100)

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        var isStoredKnown = false
        while true {
            if !isStoredKnown {
                isStoredKnown = await session.attempt("comparing the zone data") { try await compareWithStored() }
            }
            if session.zones.look() { session.compiler.zonesChanged() }
            if let change = session.zones.pending {
                await session.attempt("computing zoned timers again") { try await carryOut(change) }
            }
            try await Task.sleep(for: Self.round)
        }
    }

    private var release: ZoneDataTable.Release? {
        let database = session.zones.database
        return database.fingerprint.map { ZoneDataTable.Release(fingerprint: $0, version: database.version) }
    }

    /// Whether timers were computed from older data than this machine's: before an update and a restart.
    private func compareWithStored() async throws {
        guard let own = release else { return }
        guard let stored = try await ZoneDataTable.fetch(on: session.connections.upkeep) else {
            _ = try await ZoneDataTable.store(own, at: session.clock.now(), on: session.connections.upkeep)
            return
        }
        guard own.fingerprint != stored.fingerprint else { return }
        // A machine that was not updated yet must not bring the old rules back. Releases sort as text.
        if let version = own.version, let newest = stored.version, version < newest {
            session.logger.warning(
                "this machine's zone data are older than what timers were computed from: update its tzdata",
                metadata: ["own": "\(version)", "newest": "\(newest)"])
            return
        }
        session.zones.add(ZoneWatch.Pending(zones: .all, before: stored.version))
    }

    private func carryOut(_ change: ZoneWatch.Pending) async throws {
        let moved = try await session.roleLock.withLock("zones", waitingUpTo: .seconds(5)) { [self] _ in
            try await computeAgain(change.zones)
        }
        // Another instance is at it: this one's turn comes in a later round.
        guard let moved else { return }
        session.zones.settle(change)
        if moved > 0 { session.hint() }
        guard let release = release else { return }
        guard try await ZoneDataTable.store(release, at: session.clock.now(), on: session.connections.upkeep) else {
            return
        }
        let zones = change.zones.names.map { "\($0.count) zones" } ?? "all zones"
        let releases = "tzdata \(change.before ?? "unknown") to \(release.version ?? "unknown")"
        session.logger.notice("the zone data changed", metadata: ["change": "\(releases)", "moved": "\(moved)"])
        session.tell(.tzdataChanged, "\(releases): \(zones) changed, \(moved) schedules fire at another time")
    }

    /// - Returns: how many timers moved.
    private func computeAgain(_ zones: ZoneWatch.Zones) async throws -> Int {
        var moved = 0
        var held: [ScheduleID] = []
        var cursor: ScheduleID?
        repeat {
            let page = try await ZoneDataTable.zoned(
                zones.names, after: cursor, limit: Self.page, on: session.connections.upkeep)
            cursor = page.next
            if !page.zoned.isEmpty { moved += try await retime(page.zoned, &held) }
        } while cursor != nil
        // Whoever holds a timer, a claim or a command, may have begun by the old rules.
        for _ in 0..<Self.tries where !held.isEmpty {
            try await Task.sleep(for: Self.pause)
            var still: [ScheduleID] = []
            for start in stride(from: 0, to: held.count, by: Self.page) {
                moved += try await retime(Array(held[start..<min(held.count, start + Self.page)]), &still)
            }
            held = still
        }
        if !held.isEmpty {
            throw EngineError(.notReady, "\(held.count) timers are held by others for long")
        }
        return moved
    }

    private func retime(_ ids: [ScheduleID], _ held: inout [ScheduleID]) async throws -> Int {
        let (moved, busy) = try await session.pool.withConnection { connection in
            try await connection.transaction { try await retime(ids, in: $0) }
        }
        held += busy
        return moved
    }

    private func retime(
        _ ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> (moved: Int, busy: [ScheduleID]) {
        let timers = try await ZoneDataTable.lock(ids, in: transaction)
        let waiting = timers.compactMapValues { $0 }
        let claimed = try await ZoneDataTable.lastClaimed(of: Array(waiting.keys), in: transaction)
        let schedules = try await ScheduleTable.fetch(Array(waiting.keys), on: transaction).schedules
        let now = session.clock.now()
        var moves: [(id: ScheduleID, nextFireAt: Instant?)] = []
        for schedule in schedules where schedule.state == .active {
            // A zone that is gone makes the schedule invalid when it is claimed, as any fault does.
            if let nextFireAt = waiting[schedule.id], !schedule.definition.timing.constraint.isEmpty {
                // Its claim knows which occurrence comes first; it is looked at now, and goes on from there.
                if nextFireAt > now { moves.append((schedule.id, now)) }
                continue
            }
            guard let nextFireAt = waiting[schedule.id],
                let source = try? schedule.occurrences(zones: session.compiler.zones)
            else { continue }
            let retimed = source.retimed(
                nextFireAt, offset: schedule.spreadOffset, lastClaimed: claimed[schedule.id], now: now)
            if retimed != nextFireAt { moves.append((schedule.id, retimed)) }
        }
        if !moves.isEmpty {
            var calls = [InstanceTable.hold(session.instance), ZoneDataTable.move(moves)]
            let over = moves.filter { $0.nextFireAt == nil }.map(\.id).sorted()
            if !over.isEmpty { calls.append(ExhaustionTable.exhaust(over, at: now)) }
            try await transaction.commit(with: calls)
        }
        return (moves.count, ids.filter { timers[$0] == nil })
    }
}
