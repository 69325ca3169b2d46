import PostgresClient
import Recurrence
package import SchedulerCore
package import SchedulerStore
package import SchedulerWire

/// Turns stored schedules into ones that can be fired, and keeps them.
package final class ScheduleCompiler: Sendable {
    package let zones: ZoneLookup
    /// The allow-list: a change of it holds for what is kept too.
    package let targets: TargetBoard
    private let compiled: CompiledSchedules
    private let calendars = CalendarCache()

    package init(zones: @escaping ZoneLookup, rules: TargetRules) {
        self.zones = zones
        let compiled = CompiledSchedules()
        self.compiled = compiled
        targets = TargetBoard(rules) { compiled.removeAll() }
    }

    /// The allow-list in force.
    package var targetRules: TargetRules { targets.rules }

    /// One that keeps nothing of what this one keeps.
    package func apart() -> ScheduleCompiler { ScheduleCompiler(zones: zones, rules: targetRules) }

    /// One that keeps nothing of what this one keeps, and knows a calendar as it would be: what is stored of it is older.
    package func apart(knowing calendar: CalendarView) -> ScheduleCompiler {
        let compiler = apart()
        compiler.calendars.keep(calendar)
        return compiler
    }

    /// One that keeps nothing of what this one keeps, and goes by other rules.
    package func apart(under rules: TargetRules) -> ScheduleCompiler { ScheduleCompiler(zones: zones, rules: rules) }

    /// The zones' rules are others from now on, for what is kept too.
    package func zonesChanged() { compiled.removeAll() }

    /// Never fails: what is wrong with a schedule is in its ``CompiledSchedule/fault``. Its calendars are those that
    /// ``load(_:sharing:on:)`` read last.
    package func compile(_ schedule: Schedule) -> CompiledSchedule {
        CompiledSchedule(schedule, zones: zones, calendars: calendars(of: schedule), rules: targetRules)
    }

    /// Reads the calendars of schedules, to compile them by; in the transaction that read the schedules.
    /// - Parameter sharing: the calendars stay as they are until the transaction ends.
    package func load(
        _ schedules: [Schedule], sharing: Bool = false, on runner: some StatementRunner
    ) async throws {
        try await calendars.load(for: schedules, sharing: sharing, on: runner)
    }

    /// Reads calendars by their names.
    /// - Returns: the names that the namespace has no calendar of.
    package func load(
        _ names: Set<CalendarName>, of namespace: Namespace, sharing: Bool = false, on runner: some StatementRunner
    ) async throws -> Set<CalendarName> {
        try await calendars.load(names, of: namespace, sharing: sharing, on: runner)
    }

    private func calendars(of schedule: Schedule) -> [CalendarName: BusinessCalendar] {
        calendars(schedule.definition.timing.constraint.calendars, of: schedule.namespace)
    }

    /// Those of these calendars that there were when they were read last.
    package func calendars(
        _ names: Set<CalendarName>, of namespace: Namespace
    ) -> [CalendarName: BusinessCalendar] {
        calendars.calendars(names, of: namespace)
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
        try await load(fetched.schedules, on: transaction)
        for schedule in fetched.schedules {
            let ready = compile(schedule)
            if ready.fault == nil { compiled.keep(ready, from: generation) }
            found.ready[schedule.id] = ready
        }
        for unreadable in fetched.unreadable { found.unreadable[unreadable.id] = unreadable }
        return found
    }
}
