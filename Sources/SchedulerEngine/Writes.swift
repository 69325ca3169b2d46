package import PostgresClient
package import Recurrence
package import SchedulerCore
package import SchedulerStore
import SchedulerWire

/// The calls that end a transaction, and which of their rows name changes whose events are owed, so that these are told
/// as soon as the transaction is durable. Where its answer is lost, the outbox's sweep tells them.
package struct Writes: Sendable {
    package private(set) var calls: [Call]
    private var audits: [(call: Int, entry: AuditEntry)] = []
    private var exhaustions: [Int] = []
    private var messages: [(call: Int, messages: [OwedMessage], steps: [LifeStep?])] = []
    /// Calls that tell followers.
    private var chains: [Int] = []

    package init(_ calls: [Call]) { self.calls = calls }

    package static func += (writes: inout Writes, calls: [Call]) { writes.calls += calls }

    /// Puts others behind these.
    package static func += (writes: inout Writes, other: Writes) {
        let first = writes.calls.count
        writes.calls += other.calls
        writes.audits += other.audits.map { ($0.call + first, $0.entry) }
        writes.exhaustions += other.exhaustions.map { $0 + first }
        writes.chains += other.chains.map { $0 + first }
        writes.messages += other.messages.map { ($0.call + first, $0.messages, $0.steps) }
    }

    package mutating func audit(_ entry: AuditEntry) {
        audits.append((calls.count, entry))
        calls.append(AuditTable.insert(entry))
    }

    /// Tells those that follow the schedules of what these writes end.
    mutating func tellFollowers(_ ends: [ChainTable.End], at now: Instant) {
        chains.append(calls.count)
        calls.append(ChainTable.tell(ends, at: now))
    }

    /// Owes messages, to be published in their order.
    package mutating func owe(_ messages: [OwedMessage], at now: Instant) {
        owe(messages, steps: messages.map { _ in nil }, at: now)
    }

    /// - Parameter steps: what is counted and traced of each of them, once it is durable.
    mutating func owe(_ messages: [OwedMessage], steps: [LifeStep?], at now: Instant) {
        guard !messages.isEmpty else { return }
        self.messages.append((calls.count, messages, steps))
        calls.append(OwedTable.insert(messages, at: now))
    }

    /// Exhausts those of `ids` whose last execution these writes end; their timers are locked.
    mutating func exhaust(_ ids: [ScheduleID], at now: Instant) {
        exhaustions.append(calls.count)
        calls.append(ExhaustionTable.exhaust(ids, at: now))
    }

    /// Exhausts those of `ids` that have nothing to come and nothing open; their timers are locked.
    package mutating func exhaustIdle(_ ids: [ScheduleID], at now: Instant) {
        exhaustions.append(calls.count)
        calls.append(ExhaustionTable.exhaustIdle(ids, at: now))
    }

    /// Whether anybody follows what was ended.
    func hasFollowers(_ rows: [PostgresRows]) -> Bool { chains.contains { rows[$0].affected > 0 } }

    /// The events of what was written.
    /// - Parameter rows: of the calls, in their order.
    package func owed(_ rows: [PostgresRows]) throws -> [EventTeller.Owed] { try told(rows).owed }

    /// The same, and who was exhausted.
    func told(_ rows: [PostgresRows]) throws -> (owed: [EventTeller.Owed], exhausted: Set<ScheduleID>) {
        var exhausted: Set<ScheduleID> = []
        var owed: [EventTeller.Owed] = []
        for (call, entry) in audits {
            guard let id = try AuditTable.insertedID(rows[call]) else { continue }
            owed.append(.change(ScheduleChange(entry, auditID: id)))
        }
        for call in exhaustions {
            for (id, entry) in try ExhaustionTable.entries(of: rows[call]) {
                owed.append(.change(ScheduleChange(entry, auditID: id)))
                if let schedule = entry.schedule { exhausted.insert(schedule) }
            }
        }
        for (call, messages, steps) in messages {
            owed += zip(try OwedTable.insertedIDs(rows[call]), zip(messages, steps)).map {
                .message($1.0, id: $0, step: $1.1)
            }
        }
        return (owed, exhausted)
    }
}
