import JSONText
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerWire

/// What a change does to one schedule, as a dry run tells it: the fields that it sets, and the fires of the next 7 days
/// before and after.
struct Rehearsal: Sendable {
    /// Nil of a schedule that is created.
    var before: ScheduleView?
    var after: ScheduleView

    var changes: [ChangedField] { ChangedField.between(before, after) }

    /// Compares what would fire. The calendars of both are those that were loaded last.
    func fires(by compiler: ScheduleCompiler, at now: Instant) -> FireDifference {
        FireDifference(
            before: before.map { upcoming($0, by: compiler, at: now) } ?? .none,
            after: upcoming(after, by: compiler, at: now), through: now.adding(milliseconds: FireDifference.reach))
    }

    private func upcoming(_ view: ScheduleView, by compiler: ScheduleCompiler, at now: Instant) -> UpcomingFires {
        let schedule = view.schedule
        guard schedule.state == .active || schedule.pausedUntil != nil && schedule.state == .paused else {
            return .none
        }
        let compiled = compiler.compile(schedule)
        guard compiled.fault == nil else { return .none }
        guard schedule.state == .paused, let until = schedule.pausedUntil else {
            return UpcomingFires(of: compiled.planner, schedule, from: now, runCount: view.timer.runCount)
        }
        let planner = compiled.planner
        return UpcomingFires(
            of: planner.source, placement: planner.placement, from: planner.firstOccurrence(afterPauseUntil: until),
            left: planner.runsLeft(after: view.timer.runCount))
    }
}

extension ClaimPlanner {
    /// How many occurrences may fire yet.
    func runsLeft(after runCount: Int64) -> Int64 { max(0, (runLimit ?? Int64.max) - runCount) }
}

extension UpcomingFires {
    /// What an active schedule fires from an instant on.
    init(of planner: ClaimPlanner, _ schedule: Schedule, from now: Instant, runCount: Int64 = 0) {
        self.init(
            of: planner.source, placement: planner.placement,
            from: planner.listening == nil
                ? schedule.definition.timing.firstOccurrence(
                    of: planner.source, placement: planner.placement, now: now) : nil,
            left: planner.runsLeft(after: runCount))
    }
}

/// The next fires that replies show: what is still to come, within `max_runs`.
func nextFires(
    _ planner: ClaimPlanner, _ schedule: Schedule, _ now: Instant, runCount: Int64 = 0, count: Int = 5
) -> [Instant] {
    Array(UpcomingFires(of: planner, schedule, from: now, runCount: runCount).prefix(count))
}

extension JSONWriter {
    mutating func fires(_ fires: FireDifference) {
        object("fires") { writer in
            writer.name("before")
            writer.instants(fires.before)
            writer.name("after")
            writer.instants(fires.after)
            writer.member("before_count", fires.beforeCount)
            writer.member("after_count", fires.afterCount)
            writer.member("added", fires.added)
            writer.member("removed", fires.removed)
            writer.member("until", fires.until.rfc3339)
            writer.member("truncated", fires.isTruncated)
        }
    }

    private mutating func instants(_ instants: [Instant]) {
        array { writer in
            for instant in instants { writer.value(instant.rfc3339) }
        }
    }
}
