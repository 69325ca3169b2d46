import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// Who of those that wait may have its turn, as it looks without a lock.
///
/// It costs what the schedules do of which something waits, one search of an index each, and nothing for those that wait
/// behind the first of a schedule. Of those that need a place of a limit it names as many as there are places free, those
/// first that have waited longest: where a thousand wait for one place, one of them is looked at.
struct BufferLook: Sendable {
    let session: Session

    private static let page = 500

    /// The schedules whose timers are worth a lock.
    func ready(on connection: PostgresConnection) async throws -> [ScheduleID] {
        var ready: [ScheduleID] = []
        var limited: [BufferTable.Candidate] = []
        var cursor: ScheduleID?
        repeat {
            let page = try await BufferTable.candidates(after: cursor, limit: Self.page, on: connection)
            for candidate in page.candidates {
                if candidate.isLoose || candidate.mayStop && !candidate.isFree {
                    ready.append(candidate.schedule)
                } else if candidate.isFree, candidate.limits.isEmpty {
                    ready.append(candidate.schedule)
                } else if candidate.isFree {
                    limited.append(candidate)
                }
            }
            cursor = page.next
        } while cursor != nil
        guard !limited.isEmpty else { return ready }
        // What a freeze holds would keep the place from those behind it.
        let now = session.clock.now()
        let freezes = try await FreezeTable.current(endingAfter: now, on: connection).filter { $0.holds(at: now) }
        limited.removeAll { candidate in
            freezes.contains { $0.concerns(namespace: candidate.namespace, target: candidate.target) }
        }
        var book = try await ConcurrencyTable.standings(of: limited.map(\.limits), on: connection)
        let rules = session.compiler.targetRules
        let granted = book.grant(
            limited.map { candidate in
                let places = candidate.limits.target.map { rules.places(ofLimit: $0) ?? .max } ?? .max
                return ConcurrencyBook.Queue(
                    schedule: candidate.schedule,
                    limits: ConcurrencyLimits(candidate.limits, targetPlaces: places), since: [candidate.since])
            })
        return ready + granted.keys.sorted()
    }
}
