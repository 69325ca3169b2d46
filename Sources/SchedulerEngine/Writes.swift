import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// The calls that end a transaction, and which of their rows name changes whose events are owed, so that these are told
/// as soon as the transaction is durable. Where its answer is lost, the outbox's sweep tells them.
struct Writes: Sendable {
    private(set) var calls: [Call]
    private var audits: [(call: Int, entry: AuditEntry)] = []
    private var exhaustions: [Int] = []

    init(_ calls: [Call]) { self.calls = calls }

    static func += (writes: inout Writes, calls: [Call]) { writes.calls += calls }

    mutating func audit(_ entry: AuditEntry) {
        audits.append((calls.count, entry))
        calls.append(AuditTable.insert(entry))
    }

    /// Exhausts those of `ids` that have nothing to come and nothing open; their timers are locked.
    mutating func exhaustIdle(_ ids: [ScheduleID], at now: Instant) {
        exhaustions.append(calls.count)
        calls.append(ExhaustionTable.exhaustIdle(ids, at: now))
    }

    /// The events of what was written.
    /// - Parameter rows: of the calls, in their order.
    func owed(_ rows: [PostgresRows]) throws -> [EventTeller.Owed] {
        var owed: [EventTeller.Owed] = []
        for (call, entry) in audits {
            guard let id = try AuditTable.insertedID(rows[call]) else { continue }
            owed.append(.change(ScheduleChange(entry, auditID: id)))
        }
        for call in exhaustions {
            owed += try ExhaustionTable.entries(of: rows[call]).map {
                .change(ScheduleChange($0.entry, auditID: $0.id))
            }
        }
        return owed
    }
}
