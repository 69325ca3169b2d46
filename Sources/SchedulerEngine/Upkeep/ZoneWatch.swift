import Recurrence
import Synchronization
package import ZoneData

/// What this process knows of changes of its machine's zone data that are not carried out yet. It outlives incarnations:
/// a change that one noticed is the next one's to carry out.
package final class ZoneWatch: Sendable {
    /// Which zones' timers are to be computed again.
    enum Zones: Hashable, Sendable {
        case all
        case named(Set<String>)

        /// Nil for all.
        var names: Set<String>? {
            switch self {
            case .all: nil
            case .named(let names): names
            }
        }

        func union(_ other: Zones) -> Zones {
            guard let names, let others = other.names else { return .all }
            return .named(names.union(others))
        }
    }

    /// A change, and the release that held before it.
    struct Pending: Hashable, Sendable {
        var zones: Zones
        var before: String?
    }

    let database: ZoneDatabase
    private let state = Mutex<Pending?>(nil)

    /// Takes note of how the data stand.
    package init(_ database: ZoneDatabase) {
        self.database = database
        _ = database.look()
    }

    var pending: Pending? { state.withLock { $0 } }

    /// Looks at the folder. - Returns: whether the data have changed; they hold from now on.
    func look() -> Bool {
        guard let change = database.look() else { return false }
        add(Pending(zones: .named(change.zones), before: change.before))
        return true
    }

    func add(_ change: Pending) {
        state.withLock { pending in
            guard let earlier = pending else {
                pending = change
                return
            }
            pending = Pending(zones: earlier.zones.union(change.zones), before: earlier.before)
        }
    }

    /// A change was carried out.
    func settle(_ change: Pending) {
        state.withLock { if $0 == change { $0 = nil } }
    }
}
