import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// What a claim knows of the schedules among its timers that messages drive.
struct ListeningFacts: Sendable {
    /// What waits for each, what is due first in front.
    var waiting: [ScheduleID: [WaitingEvent]] = [:]
    /// Those that read a stream and whose deadline, or end, was held against it.
    var checked: Set<ScheduleID> = []

    /// Asks nothing where there are none.
    init(
        _ due: [TimerTable.Due], _ ready: [ScheduleID: CompiledSchedule], _ board: ListeningBoard,
        in transaction: PostgresTransaction
    ) async throws {
        var events: [ScheduleID] = []
        for timer in due {
            let id = timer.timer.schedule
            guard let listening = ready[id]?.planner.listening else { continue }
            let isEvent = listening.type == .event
            if isEvent { events.append(id) }
            let deadline = isEvent ? listening.endAt : timer.timer.resumeFrom ?? timer.nextFireAt
            if let deadline, board.isChecked(id, deadline: deadline) { checked.insert(id) }
        }
        // After that look: what was heard by then is among what is read now.
        guard !events.isEmpty else { return }
        waiting = try await EventTable.waiting(for: events, limit: ClaimPlanner.mostAhead + 1, in: transaction)
    }
}
