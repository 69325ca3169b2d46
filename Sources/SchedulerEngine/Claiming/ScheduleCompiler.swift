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

    package func compile(_ schedule: Schedule) throws -> CompiledSchedule {
        try CompiledSchedule(schedule, zones: zones, rules: targetRules)
    }

    /// The schedules that timers name, at their versions; those not kept are read in the transaction that holds the
    /// timers' locks, so that no change comes between. One that cannot be compiled is missing.
    func schedules(
        for timers: [(id: ScheduleID, version: Int64)], in transaction: PostgresTransaction
    ) async throws -> [ScheduleID: CompiledSchedule] {
        var found: [ScheduleID: CompiledSchedule] = [:]
        found.reserveCapacity(timers.count)
        var missing: [ScheduleID] = []
        for (id, version) in timers {
            if let schedule = compiled.find(id, version: version) { found[id] = schedule } else { missing.append(id) }
        }
        guard !missing.isEmpty else { return found }
        let generation = compiled.generation
        for schedule in try await ScheduleTable.fetch(missing, on: transaction) {
            let ready = try compile(schedule)
            compiled.keep(ready, from: generation)
            found[schedule.id] = ready
        }
        return found
    }
}
