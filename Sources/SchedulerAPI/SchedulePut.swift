import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.put`: makes what a definition says true, whatever there was; said twice, it changes nothing.
extension ScheduleDefinitions {
    /// What `put` did.
    private enum PutOutcome: String {
        case unchanged
        case created
        case updated
    }

    /// What a request to put says.
    private struct Put: Sendable {
        let name: ScheduleName
        /// The definition's members; they are read against what there is.
        let body: BodyReader
        /// Nil where the body is silent about it: then a schedule stays paused or active as it is.
        let isPaused: Bool?
        /// Of the target, for a warning.
        let life: TargetLife.Finding?
    }

    /// So often a name that somebody else took or gave free meanwhile is looked at again.
    private static let mostPutAttempts = 8

    func put(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&body), now: context.now)
        let isPaused = body.bool("paused")
        guard let name = body.requiredName() else {
            let missing = try await context.loadCalendars(namedIn: request)
            _ = try draft(&body, isPaused: false, by: origin, without: missing)
            throw WireError(.internalError, "a definition without a name could be read")
        }
        let put = Put(
            name: name, body: body, isPaused: isPaused, life: await context.life(ofTargetIn: request))
        var attempt = 1
        while true {
            do {
                return try await context.runner.run(request, origin.options) { transaction in
                    try await self.put(put, request, by: origin, in: transaction)
                }
            } catch let error as PostgresError
                where error.constraint == ScheduleTable.nameConstraint && attempt < Self.mostPutAttempts
            {
                // Somebody else made one of this name just now: that one is what there is.
                attempt += 1
            }
        }
    }

    private func put(
        _ put: Put, _ request: CommandRequest, by origin: ChangeOrigin, in transaction: PostgresTransaction
    ) async throws -> Change {
        try await context.session.compiler.targets.catchUp(on: transaction)
        // Before the timer, in the order in which a change of a calendar locks.
        let missing = try await context.loadCalendars(namedIn: request, sharing: true, on: transaction)
        guard let (schedule, timer) = try await transaction.held(called: put.name, in: origin.namespace) else {
            if let version = origin.options.ifVersion {
                throw WireError(.versionMismatch, "expected version \(version), there is no schedule '\(put.name)'")
            }
            return try await create(put, by: origin, without: missing, in: transaction)
        }
        try schedule.expect(version: origin.options.ifVersion)
        try await context.session.compiler.load([schedule], on: transaction)
        let definition = try read(put, against: schedule, at: origin.now, without: missing)
        // An exhausted one has given its name free: with another timing it is another schedule, and keeps its history.
        if schedule.state == .exhausted, definition.isRetimed(from: schedule.definition) {
            return try await create(put, by: origin, without: missing, in: transaction)
        }
        return try await replace(schedule, timer, by: definition, put, origin, in: transaction)
    }

    private func read(
        _ put: Put, against schedule: Schedule, at now: Instant, without missing: Set<CalendarName>
    ) throws -> ScheduleDefinition {
        var body = put.body
        return try read(
            &body, onto: nil, insteadOf: schedule.definition, id: schedule.id, namespace: schedule.namespace,
            anchor: schedule.anchor, now: now, without: missing
        ).definition
    }

    private func create(
        _ put: Put, by origin: ChangeOrigin, without missing: Set<CalendarName>, in transaction: PostgresTransaction
    ) async throws -> Change {
        var body = put.body
        let draft = try draft(&body, isPaused: put.isPaused ?? false, by: origin, without: missing)
        var (change, view) = try await create(draft, by: origin, in: transaction)
        change.reply = reply(.created, view, [], origin)
        change.warnings = put.life?.warnings(of: draft.schedule.definition) ?? []
        return change
    }

    private func replace(
        _ schedule: Schedule, _ timer: Timer, by definition: ScheduleDefinition, _ put: Put, _ origin: ChangeOrigin,
        in transaction: PostgresTransaction
    ) async throws -> Change {
        var before = ScheduleView(schedule: schedule, timer: timer)
        before.place(by: context.session.compiler.compile(schedule), now: origin.now)
        var revision = try await revise(
            HeldSchedule(schedule, timer, before: before), to: definition, paused: put.isPaused, by: origin,
            in: transaction)
        let changes = revision.isChanged ? ChangedField.between(before, revision.view) : []
        revision.change.reply = reply(revision.isChanged ? .updated : .unchanged, revision.view, changes, origin)
        revision.change.warnings = put.life?.warnings(of: definition) ?? []
        return revision.change
    }

    private func reply(
        _ outcome: PutOutcome, _ view: ScheduleView, _ changes: [ChangedField], _ origin: ChangeOrigin
    ) -> ReplyMembers {
        let isDryRun = origin.options.isDryRun
        return { writer in
            writer.schedule(view)
            writer.member("changed", outcome != .unchanged)
            writer.member("outcome", outcome.rawValue)
            // A dry run tells them for every command.
            if !isDryRun { writer.changes(changes) }
        }
    }
}

extension BodyReader {
    /// `name`, which must be there; nil with the problem reported. What is wrong with it the definition's reader says.
    fileprivate mutating func requiredName() -> ScheduleName? {
        guard let value = value("name") else {
            report("name", "is required: which schedule is created or replaced", as: .missingField)
            return nil
        }
        return value.string.flatMap { try? ScheduleName($0) }
    }
}

extension PostgresTransaction {
    /// The schedule of a name and its timer, both locked; nil where there is none by the time it is locked.
    fileprivate func held(called name: ScheduleName, in namespace: Namespace) async throws -> (Schedule, Timer)? {
        guard let found = try await ScheduleTable.find(.name(name), in: namespace, on: self),
            let timer = try await TimerTable.lock(found.id, in: self),
            let schedule = try await ScheduleTable.lock(found.id, in: namespace, in: self),
            schedule.definition.name == name
        else { return nil }
        return (schedule, timer)
    }
}
