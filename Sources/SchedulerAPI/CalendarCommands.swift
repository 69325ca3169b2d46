import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `calendar.put`, `get`, `list`, `delete`: business calendars, which schedules name in `only_on` and `not_on`.
struct CalendarCommands: Sendable {
    let context: CommandContext

    /// How many calendars a namespace may have.
    private static let mostCalendars = 500
    /// How many schedules a refusal names.
    private static let mostNamed = 10
    /// Schedules that one round of a change reads and moves.
    private static let page = 500

    func put(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        let name = body.requiredCalendarName()
        let definition = body.calendar()
        if let definition { check(definition, &body) }
        let (wantedName, wanted) = try body.finish(with: name.flatMap { name in definition.map { (name, $0) } })
        let now = context.now
        let context = context
        return try await context.runner.run(request, options) { transaction in
            let before = try await CalendarTable.find(
                wantedName, in: request.namespace, locking: true, on: transaction)
            try expect(options.ifVersion, before)
            if before == nil {
                let others = try await CalendarTable.list(
                    in: request.namespace, after: "", limit: Self.mostCalendars, on: transaction)
                guard others.count < Self.mostCalendars else {
                    throw WireError(
                        .tooManyItems, "namespace '\(request.namespace)' has \(Self.mostCalendars) calendars, the most")
                }
            }
            let actor = options.actor ?? request.namespace.description
            let view = CalendarView(
                namespace: request.namespace, name: wantedName, definition: wanted, version: (before?.version ?? 0) + 1,
                createdAt: before?.createdAt ?? now, createdBy: before == nil ? actor : before?.createdBy,
                updatedAt: now, updatedBy: actor)
            var change = Change()
            change.reply = { $0.calendar(view) }
            let isSame = before.map { $0.definition == wanted } ?? false
            let note = entry("calendar_put", view, before: before, options, at: now)
            guard !options.isDryRun else {
                // The schedules that use it are looked at without their locks.
                change.outlook = Outlook(note) { [session = context.session] in
                    try await FireOutlook(calendar: view, in: session, at: now).members()
                }
                return change
            }
            change.write(AuditTable.note(note))
            // Written at once: the schedules below are compiled by it.
            _ = try await transaction.pipeline([CalendarTable.put(view)])
            if before != nil, !isSame {
                try await CalendarChange(context: context, name: wantedName, options: options, now: now)
                    .move(request.namespace, in: transaction, page: Self.page, into: &change)
            }
            return change
        }
    }

    func delete(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        let name = try body.finish(with: body.requiredCalendarName())
        let now = context.now
        return try await context.runner.run(request, options) { transaction in
            let found = try await CalendarTable.find(name, in: request.namespace, locking: true, on: transaction)
            guard let found else { throw calendarNotFound(name, in: request.namespace) }
            try expect(options.ifVersion, found)
            let users = try await CalendarTable.users(
                of: name, in: request.namespace, limit: Self.mostNamed + 1, on: transaction)
            guard users.isEmpty else {
                let named = users.prefix(Self.mostNamed).map { "'\($0.name)'" }.joined(separator: ", ")
                let more = users.count > Self.mostNamed ? " and others" : ""
                throw WireError(.calendarInUse, "calendar '\(name)' is used by \(named)\(more)")
            }
            var change = Change()
            let note = entry("calendar_deleted", nil, before: found, options, at: now)
            change.write(CalendarTable.delete(name, in: request.namespace))
            change.write(AuditTable.note(note))
            // Nobody uses it.
            change.outlook = Outlook(note)
            change.reply = { writer in
                writer.object("calendar") { writer in
                    writer.member("name", name.description)
                    writer.member("deleted", true)
                }
            }
            return change
        }
    }

    func get(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let name = try body.finish(with: body.requiredCalendarName())
        let found = try await context.session.pool.withConnection {
            try await CalendarTable.find(name, in: request.namespace, locking: false, on: $0)
        }
        guard let found else { throw calendarNotFound(name, in: request.namespace) }
        return { $0.calendar(found) }
    }

    func list(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let limit = body.limit()
        let after = body.calendarCursor()?.description ?? ""
        try body.finish()
        // One more than is shown tells whether there is a next page.
        let found = try await context.session.pool.withConnection {
            try await CalendarTable.list(in: request.namespace, after: after, limit: limit + 1, on: $0)
        }
        let page = found.prefix(limit)
        return { writer in
            writer.name("calendars")
            writer.array { writer in for view in page { writer.value(view) } }
            if found.count > limit { writer.member("next_cursor", ifPresent: page.last?.name.description) }
        }
    }

    /// What can be read may still mean nothing: a rule that no calendar can hold, or no business day for a year.
    private func check(_ definition: CalendarDefinition, _ body: inout BodyReader) {
        do throws(HolidayRuleError) {
            let calendar = try BusinessCalendar(definition)
            let closed = calendar.businessDays.longestAbsence
            if closed > CalendarDefinition.longestClosure {
                body.report(
                    "holidays",
                    "expected a business day at least once in \(CalendarDefinition.longestClosure) days, "
                        + "there is none for \(closed)")
            }
        } catch {
            let index = definition.holidays.firstIndex { holiday in
                if case .rule(let rule) = holiday { rule.rule == error.rule } else { false }
            }
            // Those of the calendar's text follow those of the list.
            let own = body.value("holidays")?.count ?? 0
            let path = index.map { $0 < own ? "holidays/\($0)/rrule" : "ical" } ?? "holidays"
            body.report(path, error.description, as: .invalidTiming)
        }
    }

    private func expect(_ version: Int64?, _ found: CalendarView?) throws(WireError) {
        guard let version, version != found?.version ?? 0 else { return }
        throw WireError(.versionMismatch, "expected version \(version), the calendar is at \(found?.version ?? 0)")
    }

    private func entry(
        _ action: String, _ after: CalendarView?, before: CalendarView?, _ options: ChangeOptions, at now: Instant
    ) -> AuditEntry {
        let view = after ?? before
        var entry = AuditEntry(at: now, namespace: view?.namespace.description ?? "", action: action, fence: 0)
        entry.name = view?.name.description
        entry.version = view?.version
        entry.actor = options.actor ?? view?.namespace.description
        entry.reason = options.reason
        entry.requestID = options.requestID
        entry.before = before.map(Self.text)
        entry.after = after.map(Self.text)
        return entry
    }

    private static func text(_ view: CalendarView) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.value(view)
        return writer.bytes
    }
}

/// What a change of a calendar does to the schedules that use it, in the transaction that changes it: each gets a new
/// version and its next due time by the calendar as it is now, and what is claimed of it is asked back.
private struct CalendarChange {
    let context: CommandContext
    let name: CalendarName
    let options: ChangeOptions
    let now: Instant

    func move(
        _ namespace: Namespace, in transaction: PostgresTransaction, page: Int, into change: inout Change
    ) async throws {
        // Its own, so that nothing that may be rolled back is remembered.
        let compiler = context.session.compiler.apart()
        let users = try await CalendarTable.users(of: name, in: namespace, limit: Int.max, on: transaction).map(\.id)
        for start in stride(from: 0, to: users.count, by: page) {
            let ids = Array(users[start..<min(start + page, users.count)])
            let timers = try await TimerTable.lockAll(ids, in: transaction)
            let schedules = try await ScheduleTable.fetch(ids, on: transaction).schedules
            try await compiler.load(schedules, on: transaction)
            var calls: [Call] = []
            for schedule in schedules {
                guard let timer = timers[schedule.id] else { continue }
                calls += move(schedule, timer, by: compiler, into: &change)
            }
            _ = try await transaction.pipeline(calls)
            change.recalled += try await RecallTable.mark(ids, in: transaction)
        }
    }

    private func move(
        _ old: Schedule, _ oldTimer: Timer, by compiler: ScheduleCompiler, into change: inout Change
    ) -> [Call] {
        var (schedule, timer) = (old, oldTimer)
        schedule.version += 1
        schedule.updatedAt = now
        schedule.updatedBy = options.actor ?? schedule.namespace.description
        timer.version = schedule.version
        timer.fireSequence += 1
        if schedule.state == .active, timer.nextFireAt != nil {
            let planner = compiler.compile(schedule).planner
            timer.stand(at: planner.position(at: timer.resumeFrom))
        }
        change.hints = change.hints || isSoon(timer.nextFireAt, now)
        var entry = SchedulerAPI.entry(
            "updated", ScheduleView(schedule: schedule, timer: timer),
            before: ScheduleView(schedule: old, timer: oldTimer), options, at: now)
        entry.reason = options.reason ?? "calendar '\(name)' was changed"
        change.audit(entry)
        return [
            ScheduleTable.update(schedule), TimerTable.update(timer, priority: schedule.definition.priority),
        ]
    }
}

func calendarNotFound(_ name: CalendarName, in namespace: Namespace) -> WireError {
    WireError(.calendarNotFound, "namespace '\(namespace)' has no calendar called '\(name)'")
}

extension JSONWriter {
    fileprivate mutating func calendar(_ view: CalendarView) {
        name("calendar")
        value(view)
    }
}

extension BodyReader {
    /// `cursor`: the last name of the page before.
    fileprivate mutating func calendarCursor() -> CalendarName? {
        guard let text = string("cursor", most: 128) else { return nil }
        let name = try? CalendarName(text)
        if name == nil { report("cursor", "is none that a list returned", as: .badCursor) }
        return name
    }

    fileprivate mutating func requiredCalendarName() -> CalendarName? {
        guard case .value = member("name") else {
            report("name", "is required: the calendar's name", as: .missingField)
            return nil
        }
        return calendarName("name")
    }
}
