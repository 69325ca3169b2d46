import JSONSchema
import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// The commands that change nothing.
struct QueryCommands: Sendable {
    let context: CommandContext

    func getSchedule(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let reference = try body.finish(with: body.reference())
        let view = try await context.session.pool.withConnection { connection in
            guard
                let schedule = try await ScheduleTable.find(
                    reference, in: request.namespace, on: connection)
            else { throw notFound(reference, in: request.namespace) }
            return try await views(of: [schedule], on: connection)[0]
        }
        return { $0.schedule(view) }
    }

    func views(of schedules: [Schedule], on connection: PostgresConnection) async throws -> [ScheduleView] {
        let ids = schedules.map(\.id)
        let timers = try await TimerTable.fetch(ids, on: connection)
        let last = try await ScheduleTable.lastFires(of: ids, on: connection)
        try await context.session.compiler.load(schedules, on: connection)
        let now = context.now
        return zip(schedules, last).map { schedule, last in
            var view = ScheduleView(
                schedule: schedule, timer: timers[schedule.id] ?? Timer(schedule: schedule.id, nextFireAt: nil),
                lastFireAt: last.firedAt, lastStatus: last.status)
            guard !schedule.definition.timing.constraint.isEmpty else { return view }
            view.place(by: context.session.compiler.compile(schedule), now: now)
            return view
        }
    }

    func preview(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let now = context.now
        let from = body.instant("from") ?? now
        let count = Int(body.integer("count", in: 1...1000) ?? 10)
        // What `create` takes besides a definition says nothing here: one body serves both.
        _ = body.bool("paused")
        for name in ["request_id", "actor", "reason"] { _ = body.string(name) }
        let schedule: Schedule
        if body.value("schedule_type") == nil {
            let reference = try body.finish(with: body.reference())
            let found = try await context.session.pool.withConnection {
                let found = try await ScheduleTable.find(reference, in: request.namespace, on: $0)
                if let found { try await context.session.compiler.load([found], on: $0) }
                return found
            }
            guard let found else { throw notFound(reference, in: request.namespace) }
            schedule = found
        } else {
            var random = SystemRandomNumberGenerator()
            let id = ScheduleID(.version7(at: now, random: &random))
            let missing = try await context.loadCalendars(namedIn: request)
            let checked = try ScheduleDefinitions(context: context).read(
                &body, onto: nil, id: id, namespace: request.namespace, anchor: from, now: from, without: missing)
            schedule = Schedule(
                id: id, namespace: request.namespace, definition: checked.definition, anchor: from, createdAt: from,
                updatedAt: from)
        }
        let compiled = context.session.compiler.compile(schedule)
        if let fault = compiled.faults.first(where: { $0.kind == .timing }) { throw WireError(fault) }
        let planner = compiled.planner
        let fires = nextFires(planner, schedule, from, count: count).filter { $0 >= from }
        let zone = try? context.session.compiler.zones(schedule.definition.timing.timezone)
        let recurrence = planner.source.recurrence
        let words = planner.listening?.sentence ?? recurrence.sentence
        return { writer in
            writer.member("timing", words)
            writer.name("fires")
            writer.array { writer in
                for fire in fires {
                    writer.object { writer in
                        writer.member("at", fire.rfc3339)
                        if let due = planner.placement?.place(of: fire).due, due != fire {
                            writer.member("moved_to", due.rfc3339)
                        }
                        guard let zone else { return }
                        writer.member("local", zone.localTime(at: fire).iso8601)
                        let change = recurrence.clockChange(at: fire)
                        if let change { writer.member("dst", change.rawValue) } else { writer.nullMember("dst") }
                    }
                }
            }
        }
    }

    func getExecution(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let id = try body.finish(with: body.executionID("id"))
        let (found, detail) = try await context.session.pool.withConnection { connection in
            let found = try await ExecutionList.find(id, in: request.namespace, on: connection)
            let details = try await ExecutionDetailTable.find(found.map { [$0.execution] } ?? [], on: connection)
            return (found, details[id])
        }
        guard let found else {
            throw WireError(.executionNotFound, "namespace '\(request.namespace)' has no execution \(id)")
        }
        return { writer in
            writer.name("execution")
            writer.value(
                found.execution, scheduleName: found.name, namespace: request.namespace.description, detail: detail)
        }
    }

    func listExecutions(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        var filter = ExecutionList.Filter()
        let reference = body.scheduleFilter()
        filter.state = body.choice("status")
        filter.limit = body.limit()
        filter.before = body.cursor().map { ExecutionID($0) }
        try body.finish()
        if let reference { filter.schedule = try await scheduleID(reference, in: request.namespace) }
        let wanted = filter
        let (page, details) = try await context.list { connection in
            let page = try await ExecutionList.page(wanted, in: request.namespace, on: connection)
            return (page, try await ExecutionDetailTable.find(page.rows.map(\.execution), on: connection))
        }
        return { writer in
            writer.name("executions")
            writer.array { writer in
                for row in page.rows {
                    // What workers said of a thousand executions may not fit a message: one by one it is shown.
                    let detail = ExecutionDetail(life: details[row.execution.id]?.life)
                    writer.value(
                        row.execution, scheduleName: row.name, namespace: request.namespace.description, detail: detail)
                }
            }
            writer.member("next_cursor", ifPresent: page.next?.description)
        }
    }

    private func scheduleID(_ wanted: ScheduleReference, in namespace: Namespace) async throws -> ScheduleID {
        let found = try await context.session.pool.withConnection {
            try await ScheduleTable.find(wanted, in: namespace, on: $0)
        }
        guard let found else { throw notFound(wanted, in: namespace) }
        return found.id
    }

    func listTargets(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let place = TargetPlace(&body)
        try body.finish()
        let board = context.session.compiler.targets
        try await context.session.pool.withConnection { try await board.catchUp(on: $0) }
        let snapshot = board.snapshot
        return { $0.targets(snapshot, for: request.namespace, place) }
    }
}

extension CommandContext {
    func list<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        try await session.list(body)
    }
}

extension Session {
    /// Lends a connection to a list. Lists have few of their own, with a short queue and a short time-out, so that no
    /// number of them keeps another command waiting.
    func list<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        do {
            return try await lists.withConnection(deadline: .now + SessionConnections.listTimeout) {
                try await body($0)
            }
        } catch let error as PostgresError {
            switch error.code {
            case .queryCancelled, .timedOut:
                throw WireError(
                    .timedOut,
                    "the list was not found within \(SessionConnections.listTimeout): name a schedule, or ask for less")
            case .poolExhausted:
                throw WireError(.databaseUnavailable, "as many lists as are made at once are under way; ask again")
            default: throw error
            }
        }
    }
}

extension BodyReader {
    /// `limit`: 1 to 1000, 100 where it is absent.
    mutating func limit() -> Int { Int(integer("limit", in: 1...1000) ?? 100) }

    /// `id` of an execution; nil with the problem reported.
    mutating func executionID(_ name: String) -> ExecutionID? {
        guard case .value(let value) = member(name) else {
            report(name, "is required: an execution's id", as: .missingField)
            return nil
        }
        guard let text = string(value, name, most: 64) else { return nil }
        let id = ExecutionID(text: text)
        if id == nil { report(name, "expected an execution's id, got '\(text)'") }
        return id
    }

    /// `schedule_id` or `schedule_name`: whose executions are listed; nil for all, or with the problem reported.
    mutating func scheduleFilter() -> ScheduleReference? {
        let (id, name) = (string("schedule_id", most: 64), string("schedule_name", most: 4096))
        if let id {
            if let id = ScheduleID(text: id) { return .id(id) }
            report("schedule_id", "expected a schedule's id, got '\(id)'")
        } else if let name {
            do { return .name(try ScheduleName(name)) } catch {
                report("schedule_name", "\(error), got '\(name.prefix(160))'")
            }
        }
        return nil
    }

    /// `cursor`: where the last page ended. Opaque to requesters.
    mutating func cursor() -> UUIDValue? {
        guard let text = string("cursor", most: 64) else { return nil }
        guard let uuid = UUIDValue(text: text) else {
            report("cursor", "is none that a list returned", as: .badCursor)
            return nil
        }
        return uuid
    }
}
