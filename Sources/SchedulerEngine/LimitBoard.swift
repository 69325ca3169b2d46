package import SchedulerCore
import SchedulerStore
import Synchronization

/// The limits of namespaces as this instance knows them: at most a second old.
package final class LimitBoard: Sendable {
    private let state = Mutex<(epoch: Int64?, limits: [Namespace: NamespaceLimits])>((nil, [:]))

    package init() {}

    /// Those of a namespace; where it has none of its own, none.
    package func limits(of namespace: Namespace) -> NamespaceLimits {
        state.withLock { $0.limits[namespace] } ?? NamespaceLimits()
    }

    /// Makes sure that they are as new as `epoch`.
    func catchUp(to epoch: Int64, on runner: some StatementRunner) async throws {
        guard state.withLock({ $0.epoch.map { $0 < epoch } ?? true }) else { return }
        try await load(on: runner)
    }

    /// - Parameter isAnew: whatever is known of them is no measure: PostgreSQL may have been restored.
    func load(isAnew: Bool = false, on runner: some StatementRunner) async throws {
        guard let (epoch, limits) = try await LimitTable.current(on: runner) else { return }
        state.withLock { state in
            guard isAnew || state.epoch.map({ $0 < epoch }) ?? true else { return }
            state = (epoch, limits)
        }
    }
}
