import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire
import Synchronization

/// The calendars that schedules were compiled with lately, ready to be asked.
///
/// A schedule's version grows with each change of a calendar that it uses, so whoever compiles it reads its calendars
/// anew (``load(for:sharing:on:)``), in the transaction that read the schedule; an entry only saves building the same
/// calendar twice.
final class CalendarCache: Sendable {
    private struct Key: Hashable {
        let namespace: Namespace
        let name: CalendarName
    }

    private struct Entry {
        let createdAt: Instant
        let version: Int64
        let calendar: BusinessCalendar
    }

    private struct Generations {
        var young: [Key: Entry] = [:]
        var old: [Key: Entry] = [:]
    }

    /// Some 20 KiB each; twice as many may be held.
    private static let capacity = 500
    private let generations = Mutex(Generations())

    init() {}

    /// Reads the calendars that schedules name.
    /// - Parameter sharing: none of them is changed until the transaction ends.
    func load(
        for schedules: some Collection<Schedule>, sharing: Bool = false, on runner: some StatementRunner
    ) async throws {
        var wanted: [Namespace: Set<CalendarName>] = [:]
        for schedule in schedules where !schedule.definition.timing.constraint.isEmpty {
            wanted[schedule.namespace, default: []].formUnion(schedule.definition.timing.constraint.calendars)
        }
        for (namespace, names) in wanted { try await load(names, of: namespace, sharing: sharing, on: runner) }
    }

    /// - Returns: the names that the namespace has no calendar of.
    @discardableResult
    func load(
        _ names: Set<CalendarName>, of namespace: Namespace, sharing: Bool, on runner: some StatementRunner
    ) async throws -> Set<CalendarName> {
        guard !names.isEmpty else { return [] }
        let found = try await CalendarTable.fetch(names, in: namespace, sharing: sharing, on: runner)
        for view in found { keep(view) }
        return names.subtracting(found.map(\.name))
    }

    /// The calendars of these names, as far as they were loaded.
    func calendars(_ names: Set<CalendarName>, of namespace: Namespace) -> [CalendarName: BusinessCalendar] {
        guard !names.isEmpty else { return [:] }
        return generations.withLock { generations in
            var found: [CalendarName: BusinessCalendar] = [:]
            for name in names {
                let key = Key(namespace: namespace, name: name)
                found[name] = (generations.young[key] ?? generations.old[key])?.calendar
            }
            return found
        }
    }

    /// A calendar that was read a moment ago never replaces a newer one.
    func keep(_ view: CalendarView) {
        let key = Key(namespace: view.namespace, name: view.name)
        let isKnown = generations.withLock { generations in
            guard let entry = generations.young[key] ?? generations.old[key] else { return false }
            let isCurrent = (entry.createdAt, entry.version) >= (view.createdAt, view.version)
            if isCurrent { Self.insert(entry, at: key, into: &generations) }
            return isCurrent
        }
        // One whose rules this program cannot read is missing: the schedules that use it are invalid, and say why.
        guard !isKnown, let calendar = try? BusinessCalendar(view.definition) else { return }
        generations.withLock { generations in
            let entry = Entry(createdAt: view.createdAt, version: view.version, calendar: calendar)
            if let other = generations.young[key], (other.createdAt, other.version) > (entry.createdAt, entry.version) {
                return
            }
            Self.insert(entry, at: key, into: &generations)
        }
    }

    private static func insert(_ entry: Entry, at key: Key, into generations: inout Generations) {
        if generations.young.count >= capacity, generations.young[key] == nil {
            generations.old = generations.young
            generations.young = [:]
        }
        generations.young[key] = entry
    }
}
