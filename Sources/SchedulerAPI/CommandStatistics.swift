import SchedulerWire
import Synchronization

/// What the micro protocol's STATS tells of each command.
final class CommandStatistics: Sendable {
    private let byName = Mutex<[CommandHandlers.Name: MicroEndpointStats]>([:])

    func record(_ name: CommandHandlers.Name, nanoseconds: Int64, error: WireError?) {
        guard CommandHandlers.names.contains(name) || AdministrationCommands.names.contains(name) else { return }
        byName.withLock { $0[name, default: MicroEndpointStats()].record(nanoseconds: nanoseconds, error: error) }
    }

    func of(_ name: CommandHandlers.Name) -> MicroEndpointStats {
        byName.withLock { $0[name] ?? MicroEndpointStats() }
    }
}
