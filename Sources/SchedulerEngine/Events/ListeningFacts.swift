import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// What a claim knows of the schedules among its timers that messages drive.
struct ListeningFacts: Sendable {
    /// What waits for each, what is due first in front.
    var waiting: [ScheduleID: [WaitingEvent]] = [:]
    /// Absences of streams whose deadline was held against the stream.
    var checked: Set<ScheduleID> = []

    /// Asks nothing where there are none.
    init(
        _ due: [TimerTable.Due], _ ready: [ScheduleID: CompiledSchedule], _ absences: AbsenceBoard,
        in transaction: PostgresTransaction
    ) async throws {
        var events: [ScheduleID] = []
        for timer in due {
            let id = timer.timer.schedule
            guard let listening = ready[id]?.planner.listening else { continue }
            if listening.type == .event {
                events.append(id)
            } else if absences.isChecked(id, deadline: timer.nextFireAt) {
                checked.insert(id)
            }
        }
        guard !events.isEmpty else { return }
        waiting = try await EventTable.waiting(for: events, limit: ClaimPlanner.mostAhead + 1, in: transaction)
    }
}
