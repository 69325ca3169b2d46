import Recurrence
import SchedulerCore
import Synchronization

/// What this instance knows of schedules that messages drive, between its watches and its claims: which of them it holds
/// against streams, what it found there, and which wait for a place.
///
/// A claim tells an absence of a stream, or ends a schedule that reads one, only where the same instance has looked after
/// the deadline, so that neither a stream that cannot be asked nor an instance that was away makes a false alarm, or loses
/// a message. A memory, not a promise: what is forgotten is looked at again.
package final class ListeningBoard: Sendable {
    private struct State {
        var schedules: [Schedule] = []
        var checked: [ScheduleID: Instant] = [:]
        var placeless: [ScheduleID: Instant] = [:]
    }

    private let state = Mutex(State())
    /// Something waits for a place.
    let waits = Wakeup()

    package init() {}

    /// Those whose streams this instance asks.
    var all: [Schedule] { state.withLock { $0.schedules } }

    func set(_ schedules: [Schedule]) {
        let ids = Set(schedules.map(\.id))
        state.withLock { state in
            state.schedules = schedules
            state.checked = state.checked.filter { ids.contains($0.key) }
        }
    }

    /// By its deadline a schedule's stream has nothing that it has not heard.
    func note(_ id: ScheduleID, deadline: Instant) { state.withLock { $0.checked[id] = deadline } }

    func isChecked(_ id: ScheduleID, deadline: Instant) -> Bool { state.withLock { $0.checked[id] == deadline } }

    /// These have messages that are due, and no place; a claim looks at them again by then.
    func note(placeless: [ScheduleID: Instant]) {
        guard !placeless.isEmpty else { return }
        state.withLock { $0.placeless.merge(placeless) { $1 } }
        waits.signal()
    }

    /// Those that wait for a place, and that no claim has looked at again.
    func placeless(at now: Instant) -> [ScheduleID] {
        state.withLock { state in
            state.placeless = state.placeless.filter { $0.value > now }
            return Array(state.placeless.keys)
        }
    }

    /// A claim looks at these now.
    func forget(placeless ids: [ScheduleID]) {
        state.withLock { state in for id in ids { state.placeless[id] = nil } }
    }
}
