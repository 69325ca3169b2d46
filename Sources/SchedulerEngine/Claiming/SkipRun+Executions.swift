package import Recurrence
package import SchedulerCore

extension SkipRun {
    /// The rows of this run: one for each occurrence, or one for the range. Each takes the next fence.
    package func executions(
        of schedule: ScheduleID, offset: Int64, trigger: Trigger, version: Int64, timer: inout Timer, now: Instant
    ) -> [Execution] {
        (instants.isEmpty ? [last] : instants).map { instant in
            timer.fireSequence += 1
            let occurrence = Occurrence(schedule: schedule, generation: timer.generation, scheduledFor: instant)
            var execution = Execution(
                id: occurrence.executionID, schedule: schedule, scheduledFor: instant,
                dueAt: instant.adding(milliseconds: offset), state: .skipped, origin: .time, trigger: trigger,
                generation: timer.generation, scheduleVersion: version, attempt: 0, fence: timer.fireSequence,
                claimedAt: now)
            execution.reason = reason.rawValue
            execution.finishedAt = now
            if instants.isEmpty {
                execution.rangeFrom = from
                execution.rangeCount = count
            }
            return execution
        }
    }
}
