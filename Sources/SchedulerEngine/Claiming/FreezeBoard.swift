import PostgresClient
package import Recurrence
package import SchedulerCore
package import SchedulerStore
import Synchronization

/// The freezes as this instance knows them.
///
/// Each claim reads the epoch of the freezes with its timers, and reads the list anew where it has moved: so no claim
/// that begins after a freeze was committed acts without it, on any instance.
package final class FreezeBoard: Sendable {
    /// How long a freeze is known after its end: what it held and nobody released since is not late for that time.
    package static let memory: Int64 = 7 * 86_400_000

    private let state = Mutex<(epoch: Int64?, freezes: [Freeze])>((nil, []))

    package init() {}

    /// Makes sure that the list is as new as `epoch`.
    func catchUp(to epoch: Int64?, now: Instant, in transaction: PostgresTransaction) async throws {
        guard let epoch, state.withLock({ $0.epoch != epoch }) else { return }
        let freezes = try await FreezeTable.current(
            endingAfter: now.adding(milliseconds: -Self.memory), on: transaction)
        state.withLock { $0 = (epoch, freezes) }
    }

    /// Those that concern a schedule, as its occurrences meet them.
    func frozen(_ schedule: CompiledSchedule) -> [FrozenTime] {
        state.withLock { state in
            guard !state.freezes.isEmpty else { return [] }
            return state.freezes.filter { $0.concerns(namespace: schedule.namespace, target: schedule.target) }
                .map { FrozenTime($0, offset: schedule.planner.offset) }
        }
    }

    /// The freeze that holds a schedule at a moment, whether it defers or skips.
    package static func holding(
        _ schedule: CompiledSchedule, at now: Instant, on runner: some StatementRunner
    ) async throws -> Freeze? {
        try await FreezeTable.current(endingAfter: now, on: runner).first {
            $0.holds(at: now) && $0.concerns(namespace: schedule.namespace, target: schedule.target)
        }
    }
}
