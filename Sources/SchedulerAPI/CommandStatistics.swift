import SchedulerWire
import Synchronization

/// What the micro protocol's STATS tells of each command, by the name of its page in the catalogue: a noun and a verb
/// may name a creator's command and an administrator's.
final class CommandStatistics: Sendable {
    private let byName = Mutex<[String: MicroEndpointStats]>([:])

    private static let known = Set(CommandCatalogue.all.map(\.name) + [Help.name])

    func record(_ name: String, nanoseconds: Int64, error: WireError?) {
        guard Self.known.contains(name) else { return }
        byName.withLock { $0[name, default: MicroEndpointStats()].record(nanoseconds: nanoseconds, error: error) }
    }

    func of(_ name: String) -> MicroEndpointStats {
        byName.withLock { $0[name] ?? MicroEndpointStats() }
    }
}
