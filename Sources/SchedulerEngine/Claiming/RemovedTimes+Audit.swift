package import Recurrence
package import SchedulerCore
package import SchedulerStore

extension AuditEntry {
    /// An entry for each jump of the clocks that leaves local times of a schedule out between an instant and where its
    /// timer stands; each takes the timer's next fence.
    package static func removals(
        after start: Instant?, of schedule: CompiledSchedule, _ timer: inout Timer, at now: Instant
    ) -> [AuditEntry] {
        guard let start, let end = timer.position(offset: schedule.planner.offset) else { return [] }
        return schedule.planner.source.removedTimes(after: start, through: end).map { removed in
            timer.fireSequence += 1
            return AuditEntry(removed, of: timer, names: (schedule.namespace, schedule.name), at: now)
        }
    }
}
