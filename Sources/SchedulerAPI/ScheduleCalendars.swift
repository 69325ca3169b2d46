import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

extension ScheduleView {
    /// Tells when it fires next where calendars and windows move and leave out; the timer tells it for all others.
    mutating func place(by compiled: CompiledSchedule, now: Instant) {
        guard let placement = compiled.planner.placement, schedule.state == .active, let from = timer.resumeFrom
        else { return }
        // A freeze may hold it until later.
        let held = timer.nextFireAt ?? now
        nextFireAt = placement.firstFiring(from: from).map {
            max(held, placement.place(of: $0).due.adding(milliseconds: compiled.planner.offset))
        }
    }
}

extension CommandContext {
    /// Reads the calendars that a request names.
    /// - Returns: the names that the namespace has no calendar of.
    func loadCalendars(namedIn request: CommandRequest) async throws -> Set<CalendarName> {
        guard !request.calendarNames.isEmpty else { return [] }
        return try await session.pool.withConnection {
            try await loadCalendars(namedIn: request, sharing: false, on: $0)
        }
    }

    /// - Parameter sharing: they stay as they are until the transaction ends.
    func loadCalendars(
        namedIn request: CommandRequest, sharing: Bool, on runner: some StatementRunner
    ) async throws -> Set<CalendarName> {
        try await session.compiler.load(
            request.calendarNames, of: request.namespace, sharing: sharing, on: runner)
    }

    /// Keeps the calendars of a schedule as they are until the transaction ends.
    func hold(calendarsOf schedule: Schedule, in transaction: PostgresTransaction) async throws {
        let names = schedule.definition.timing.constraint.calendars
        let missing = try await session.compiler.load(names, of: schedule.namespace, sharing: true, on: transaction)
        if let name = missing.first { throw calendarNotFound(name, in: schedule.namespace) }
    }
}

extension CommandRequest {
    /// The calendars that the body names, itself or in one of its `schedules`, as far as they are names.
    fileprivate var calendarNames: Set<CalendarName> {
        let definitions = [body].compactMap(\.self) + (body?["schedules"].map { Array($0.elements) } ?? [])
        return Set(
            definitions.flatMap { definition in
                ["only_on", "not_on"].compactMap { definition[$0]?.string }.compactMap { try? CalendarName($0) }
            })
    }
}
