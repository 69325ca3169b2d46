import SchedulerWire
import ServiceMetrics
import Synchronization

/// What the micro protocol's STATS tells of each command, by the name of its page in the catalogue: a noun and a verb
/// may name a creator's command and an administrator's.
final class CommandStatistics: Sendable {
    private let byName = Mutex<[String: MicroEndpointStats]>([:])
    private let meters: ServiceMeters

    init(meters: ServiceMeters = ServiceMeters()) { self.meters = meters }

    private static let known = Set(CommandCatalogue.all.map(\.name) + [Help.name])

    func record(_ name: String, nanoseconds: Int64, error: WireError?) {
        let isKnown = Self.known.contains(name)
        meters.answered(isKnown ? name : nil, code: error?.code.httpStatus ?? 200, nanoseconds: nanoseconds)
        guard isKnown else { return }
        byName.withLock { $0[name, default: MicroEndpointStats()].record(nanoseconds: nanoseconds, error: error) }
    }

    func of(_ name: String) -> MicroEndpointStats {
        byName.withLock { $0[name] ?? MicroEndpointStats() }
    }
}
