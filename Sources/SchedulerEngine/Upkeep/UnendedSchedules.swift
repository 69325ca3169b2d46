package import SchedulerCore
import Synchronization

/// Schedules whose last occurrence is written down, but that an earlier one may keep active: one that was still open
/// then, on another instance as a rule. They are asked after until they are over.
///
/// A memory, not a promise: what does not fit, and what an instance knew that died, the hourly search finds.
package final class UnendedSchedules: Sendable {
    private static let most = 1000
    private let waiting = Mutex(Set<ScheduleID>())

    package init() {}

    package func add(_ ids: some Sequence<ScheduleID>) {
        waiting.withLock { waiting in
            for id in ids where waiting.count < Self.most { waiting.insert(id) }
        }
    }

    func remove(_ ids: some Sequence<ScheduleID>) { waiting.withLock { $0.subtract(ids) } }

    /// In the order of their ids.
    var all: [ScheduleID] { waiting.withLock { $0 }.sorted() }
}
