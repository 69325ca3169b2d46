package import SchedulerCore
package import SchedulerStore
import Synchronization

/// The allow-list as this instance knows it: what its file says, and what commands allowed.
///
/// Each claim reads the epoch of the commands' list with its timers, and reads the list anew where it has moved: so no
/// claim that begins after a change was committed acts without it, on any instance. The file is this instance's own.
package final class TargetBoard: Sendable {
    package struct Snapshot: Sendable {
        package fileprivate(set) var file: TargetRules
        package fileprivate(set) var entries: [TargetEntry] = []
        /// Both together.
        package fileprivate(set) var rules: TargetRules
        /// Of the entries; nil before they were read.
        package fileprivate(set) var epoch: Int64?
        /// Grows with each change of the rules.
        package fileprivate(set) var change = 0
    }

    private let state: Mutex<Snapshot>
    private let forget: @Sendable () -> Void

    /// - Parameter forget: forgets what was decided by the rules that held so far.
    init(_ file: TargetRules, forget: @escaping @Sendable () -> Void) {
        state = Mutex(Snapshot(file: file, rules: file))
        self.forget = forget
    }

    package var snapshot: Snapshot { state.withLock { $0 } }
    package var rules: TargetRules { state.withLock { $0.rules } }

    /// The file says something else from now on.
    package func set(file: TargetRules) {
        state.withLock { state in
            state.file = file
            follow(&state)
        }
    }

    /// Makes sure that the commands' list is as new as `epoch`.
    package func catchUp(to epoch: Int64?, on runner: some StatementRunner) async throws {
        guard let epoch, state.withLock({ $0.epoch.map { $0 < epoch } ?? true }) else { return }
        try await load(on: runner)
    }

    /// Makes sure that the commands' list is as new as what PostgreSQL has.
    package func catchUp(on runner: some StatementRunner) async throws {
        try await catchUp(to: try await TargetTable.epoch(on: runner)?.targets, on: runner)
    }

    /// Reads the commands' list.
    /// - Parameter isAnew: whatever is known of it is no measure: PostgreSQL may have been restored.
    func load(isAnew: Bool = false, on runner: some StatementRunner) async throws {
        guard let (epoch, entries) = try await TargetTable.list(on: runner) else { return }
        state.withLock { state in
            // Two claims may read at once; whoever read first must not win last.
            guard isAnew || state.epoch.map({ $0 < epoch }) ?? true else { return }
            state.entries = entries
            follow(&state)
            state.epoch = epoch
        }
    }

    /// Under the lock: nobody sees the new epoch together with what was decided by the old rules.
    private func follow(_ state: inout Snapshot) {
        let rules = state.file.joined(with: state.entries)
        guard rules != state.rules else { return }
        state.rules = rules
        state.change += 1
        forget()
    }
}
