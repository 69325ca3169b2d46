import Recurrence
import SchedulerCore
import Synchronization

/// The absences that this instance holds against streams, and which of their deadlines it has: the stream's last message
/// is older.
///
/// A claim tells an absence of a stream only where the same instance has looked after the deadline, so that neither a
/// stream that cannot be asked nor an instance that was away makes a false alarm. A memory, not a promise: what is
/// forgotten is looked at again.
package final class AbsenceBoard: Sendable {
    private struct State {
        var schedules: [Schedule] = []
        var checked: [ScheduleID: Instant] = [:]
    }

    private let state = Mutex(State())

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

    func note(_ id: ScheduleID, deadline: Instant) { state.withLock { $0.checked[id] = deadline } }

    func isChecked(_ id: ScheduleID, deadline: Instant) -> Bool { state.withLock { $0.checked[id] == deadline } }
}
