import PostgresClient
import Recurrence
package import SchedulerCore
import SchedulerStore
import Synchronization

/// Turns stored schedules into ones that can be fired, and keeps them.
package final class ScheduleCompiler: Sendable {
    package let zones: ZoneLookup
    private let rules: Mutex<TargetRules>
    private let compiled = CompiledSchedules()

    package init(zones: @escaping ZoneLookup, rules: TargetRules) {
        self.zones = zones
        self.rules = Mutex(rules)
    }

    /// The allow-list in force.
    package var targetRules: TargetRules { rules.withLock { $0 } }

    /// Another allow-list holds from now on, for what is kept too.
    package func allow(_ rules: TargetRules) {
        self.rules.withLock { $0 = rules }
        compiled.removeAll()
    }

    /// The zones' rules are others from now on, for what is kept too.
    package func zonesChanged() { compiled.removeAll() }

    /// Never fails: what is wrong with a schedule is in its ``CompiledSchedule/fault``.
    package func compile(_ schedule: Schedule) -> CompiledSchedule {
        CompiledSchedule(schedule, zones: zones, rules: targetRules)
    }

    /// Schedules that can be decided over, and those whose rows cannot be read. One that is in neither has no row.
    struct Found {
        var ready: [ScheduleID: CompiledSchedule] = [:]
        var unreadable: [ScheduleID: ScheduleTable.Unreadable] = [:]
    }

    /// The schedules that timers name, at their versions; those not kept are read in the transaction that holds the
    /// timers' locks, so that no change comes between. One with a fault is not kept: it is looked at anew when its cause
    /// may be gone.
    func schedules(
        for timers: [(id: ScheduleID, version: Int64)], in transaction: PostgresTransaction
    ) async throws -> Found {
        var found = Found()
        found.ready.reserveCapacity(timers.count)
        var missing: [ScheduleID] = []
        for (id, version) in timers {
            if let schedule = compiled.find(id, version: version) {
                found.ready[id] = schedule
            } else {
                missing.append(id)
            }
        }
        guard !missing.isEmpty else { return found }
        let generation = compiled.generation
        let fetched = try await ScheduleTable.fetch(missing, on: transaction)
        for schedule in fetched.schedules {
            let ready = compile(schedule)
            if ready.fault == nil { compiled.keep(ready, from: generation) }
            found.ready[schedule.id] = ready
        }
        for unreadable in fetched.unreadable { found.unreadable[unreadable.id] = unreadable }
        return found
    }
}
