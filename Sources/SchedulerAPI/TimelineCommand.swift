import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.timeline`: what a schedule has fired and will fire, in one row around now.
///
/// Each occurrence of the schedule's own time that is shown stands in it once: one state of the database says which of
/// them have a row, and where the timer goes on.
struct TimelineCommand: Sendable {
    let context: CommandContext

    private static let most: Int64 = 500
    private static let usual: Int64 = 20

    fileprivate enum Entry {
        case execution(Execution)
        case waiting(WaitingOccurrence)
        case fire(ForeseenFire)

        var at: Instant {
            switch self {
            case .execution(let execution): execution.scheduledFor
            case .waiting(let waiting): waiting.occurrence.scheduledFor
            case .fire(let fire): fire.scheduledFor
            }
        }
    }

    private struct Found: Sendable {
        let schedule: Schedule
        /// The latest first.
        let past: [ExecutionList.Row]
        /// Where a list of executions goes on.
        let older: ExecutionID?
        let waiting: [WaitingOccurrence]
        let coming: ForeseenFires
    }

    func timeline(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let past = Int(body.integer("past", in: 1...Self.most) ?? Self.usual)
        let coming = Int(body.integer("coming", in: 0...Self.most) ?? Self.usual)
        let reference = try body.finish(with: body.reference())
        let now = context.now
        let found = try await context.list { connection in
            try await connection.transaction(.readOnly) {
                try await find(reference, past: past, at: now, request, in: $0)
            }
        }
        let entries =
            found.past.map { Entry.execution($0.execution) } + found.waiting.map { Entry.waiting($0) }
            + found.coming.prefix(coming).map { Entry.fire($0) }
        let ordered = entries.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
        return { writer in
            writer.object("timeline") { writer in
                writer.member("schedule_id", found.schedule.id.description)
                writer.member("schedule_name", found.schedule.definition.name.description)
                writer.member("state", found.schedule.state.rawValue)
                writer.member("now", now.rfc3339)
                writer.array("entries") { writer in
                    for (_, entry) in ordered { writer.value(entry, of: found.schedule) }
                }
            }
            writer.member("next_cursor", ifPresent: found.older?.description)
        }
    }

    private func find(
        _ reference: ScheduleReference, past: Int, at now: Instant, _ request: CommandRequest,
        in transaction: PostgresTransaction
    ) async throws -> Found {
        guard let schedule = try await ScheduleTable.find(reference, in: request.namespace, on: transaction) else {
            throw notFound(reference, in: request.namespace)
        }
        var filter = ExecutionList.Filter()
        filter.schedule = schedule.id
        filter.limit = past
        let page = try await ExecutionList.page(filter, in: request.namespace, on: transaction)
        let timer = try await TimerTable.fetch([schedule.id], on: transaction)[schedule.id]
        let freezes = try await FireOutlook.freezes(at: now, on: transaction)
        try await context.session.compiler.load([schedule], on: transaction)
        var coming = ForeseenFires.none
        if let timer, !schedule.definition.timing.isListening {
            coming = FireOutlook.fires(
                of: schedule, timer, by: context.session.compiler, under: freezes, turn: timer.nextFireAt, at: now)
        }
        let occupancy = try await BufferTable.occupancies(of: [schedule.id], on: transaction)[schedule.id]
        return Found(
            schedule: schedule, past: page.rows, older: page.next, waiting: occupancy?.waiting ?? [], coming: coming)
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ entry: TimelineCommand.Entry, of schedule: Schedule) {
        object { writer in
            writer.member("at", entry.at.rfc3339)
            switch entry {
            case .execution(let execution):
                writer.member("kind", "execution")
                writer.name("execution")
                writer.value(
                    execution, scheduleName: schedule.definition.name.description,
                    namespace: schedule.namespace.description)
            case .waiting(let waiting):
                writer.member("kind", "waiting")
                writer.member("due_at", waiting.dueAt.rfc3339)
                writer.member("execution_id", waiting.id.description)
                writer.member("trigger", waiting.trigger.rawValue)
            case .fire(let fire):
                writer.member("kind", "fire")
                writer.member("due_at", fire.dueAt.rfc3339)
            }
        }
    }
}
