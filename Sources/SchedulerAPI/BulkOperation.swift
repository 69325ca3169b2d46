import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.bulk`: pauses, resumes, deletes or triggers many schedules, with a receipt for each.
///
/// Each schedule is a transaction of its own, so that one that is refused keeps no other and no lock is held for long;
/// what they recall is waited for once, together. With a `request_id` each schedule is done once: its part is
/// remembered in its own transaction as `<request_id>/<id or name>`, so that the same request, sent again after a crash
/// in the middle, does what is left and repeats nothing.
struct BulkCommand: Sendable {
    let context: CommandContext

    enum Operation: String, CaseIterable {
        case pause
        case resume
        case delete
        case trigger

        var outcome: String {
            switch self {
            case .pause: "paused"
            case .resume: "resumed"
            case .delete: "deleted"
            case .trigger: "triggered"
            }
        }
    }

    private enum Selection {
        case references([ScheduleReference])
        case filter(ScheduleFilter)
    }

    /// What is done with each schedule, and for whom.
    private struct Order: Sendable {
        let request: CommandRequest
        let origin: ChangeOrigin
        let operation: Operation
        let until: Instant?
        let hash: [UInt8]
    }

    /// One schedule's part of the reply.
    private struct Receipt: Sendable {
        let members: ReplyMembers
        var recalled: [RecallTable.Marked] = []
        /// Why it failed where it may go better another time.
        var transient: WireError?
    }

    static let mostSchedules = 1000
    /// Transactions side by side: the commands' connections less one.
    private static let mostAtOnce = 3

    func bulk(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&body), now: context.now)
        body.refuseVersion(origin.options)
        let operation = body.operation()
        let until = body.pauseEnd(after: origin.now)
        if until != nil, let operation, operation != .pause {
            body.report("until", "belongs to the operation 'pause'", as: .conflictingFields)
        }
        let selection = selection(&body)
        try body.finish()
        guard let operation, let selection else {
            throw WireError(.internalError, "a body without a problem could not be read")
        }
        let hash = ChangeRunner.hash(of: request)
        if let reply = try await context.runner.rememberedReply(request, origin.options, hash: hash) { return reply }
        let (references, cursor) = try await references(of: selection, in: request.namespace)
        let order = Order(request: request, origin: origin, operation: operation, until: until, hash: hash)
        let receipts = await carryOut(order, on: references)
        return try await reply(order, receipts, cursor: cursor)
    }

    private func references(
        of selection: Selection, in namespace: Namespace
    ) async throws -> (references: [ScheduleReference], cursor: String?) {
        switch selection {
        case .references(let references): return (references, nil)
        case .filter(let filter):
            let page = try await context.list { try await ScheduleTable.page(filter, in: namespace, on: $0) }
            return (page.schedules.map { .id($0.id) }, page.next.map { filter.cursor($0) })
        }
    }

    // MARK: - Each schedule

    private func carryOut(_ order: Order, on references: [ScheduleReference]) async -> [Receipt] {
        await withTaskGroup(of: (Int, Receipt).self) { tasks in
            var receipts = [Receipt?](repeating: nil, count: references.count)
            for (index, reference) in references.enumerated() {
                if index >= Self.mostAtOnce, let (done, receipt) = await tasks.next() { receipts[done] = receipt }
                tasks.addTask { (index, await carryOut(order, on: reference)) }
            }
            for await (done, receipt) in tasks { receipts[done] = receipt }
            return receipts.compactMap(\.self)
        }
    }

    private func carryOut(_ order: Order, on reference: ScheduleReference) async -> Receipt {
        do {
            let options = order.origin.options.part(reference.text)
            let step = step(order, reference)
            switch try await context.runner.apply(order.request, options, hash: order.hash, step) {
            case .done(let change): return Receipt(members: change.reply, recalled: change.recalled)
            case .rehearsed(let members): return Receipt(members: members)
            case .remembered(let reply): return Receipt(members: try Self.members(of: reply))
            }
        } catch {
            let error = WireError(mapping: error)
            return Receipt(
                members: { writer in
                    switch reference {
                    case .id(let id): writer.member("id", id.description)
                    case .name(let name): writer.member("name", name.description)
                    }
                    writer.name("error")
                    error.fitting(0).write(into: &writer)
                }, transient: error.code.httpStatus >= 500 ? error : nil)
        }
    }

    private func step(
        _ order: Order, _ reference: ScheduleReference
    ) -> @Sendable (PostgresTransaction) async throws -> Change {
        let (operation, origin) = (order.operation, order.origin)
        let states = StateCommands(context: context)
        let step: StateStep
        switch operation {
        case .pause: step = states.pauseStep(until: order.until)
        case .resume: step = states.resumeStep(catchUp: false)
        case .delete: step = states.deleteStep
        case .trigger:
            let trigger = TriggerCommand.Trigger(reference: reference, payload: nil, isForced: false)
            return { transaction in
                var change = try await TriggerCommand(context: context).fire(trigger, origin, in: transaction)
                let (id, name) = (change.schedule, change.triggered?.name)
                let execution = change.triggered?.execution
                change.reply = { writer in
                    writer.member("id", ifPresent: id?.description)
                    writer.member("name", ifPresent: name)
                    writer.member("outcome", operation.outcome)
                    writer.member("execution_id", ifPresent: execution?.description)
                }
                return change
            }
        }
        return { transaction in
            var change = try await states.change(reference, by: step, origin, in: transaction)
            let rehearsal = change.rehearsal
            // A rehearsal of each would be a long one.
            change.rehearsal = nil
            change.reply = { writer in
                guard let rehearsal, let before = rehearsal.before else { return }
                let isChanged = before.schedule.version != rehearsal.after.schedule.version
                writer.member("id", before.schedule.id.description)
                writer.member("name", before.schedule.definition.name.description)
                writer.member("outcome", isChanged ? operation.outcome : "unchanged")
            }
            return change
        }
    }

    /// The members of a receipt that was given before.
    private static func members(of reply: [UInt8]) throws -> ReplyMembers {
        let value = try JSONValue.parse(reply)
        return { writer in
            for member in value.members where member.name != "type" && member.name != "in_flight" {
                writer.name(dynamic: member.name)
                writer.value(member.value)
            }
        }
    }

    // MARK: - The whole

    private func reply(_ order: Order, _ receipts: [Receipt], cursor: String?) async throws -> [UInt8] {
        let transient = receipts.compactMap(\.transient).first
        // Of a submitted one nobody reads the reply: it is carried out again, and does what is left.
        if context.submission != nil, let transient { throw transient }
        let recalled = receipts.flatMap(\.recalled)
        let inFlight = recalled.isEmpty ? nil : await RecallWait(session: context.session).wait(for: recalled)
        let options = order.origin.options
        let envelope = Envelope(noun: order.request.noun, verb: order.request.verb)
        let reply = ChangeRunner.reply(
            envelope,
            { writer in
                writer.name("results")
                writer.array { writer in
                    for receipt in receipts { writer.object { receipt.members(&$0) } }
                }
                writer.member("next_cursor", ifPresent: cursor)
                if options.isDryRun { writer.member("dry_run", true) }
            }, inFlight: inFlight)
        // What may go better another time is asked for again, not remembered.
        guard let key = options.key, !options.isDryRun, transient == nil else { return reply }
        do {
            _ = try await context.session.pool.withConnection {
                try await $0.pipeline([
                    RequestTable.insert(
                        key, in: order.request.namespace, bodyHash: order.hash, reply: reply, at: context.now)
                ])
            }
        } catch let error as PostgresError where error.constraint == RequestTable.keyConstraint {
            // A twin was quicker: its reply is ours.
            let earlier = try await context.runner.rememberedReply(order.request, options, hash: order.hash)
            return earlier ?? reply
        }
        return reply
    }
}

extension ScheduleReference {
    /// As a part of a request is called; neither an id nor a name has a slash.
    fileprivate var text: String {
        switch self {
        case .id(let id): id.description
        case .name(let name): name.description
        }
    }
}

// MARK: - Reading

extension BulkCommand {
    /// `ids`, `names` or `filter`: exactly one of them; nil with the problem reported.
    private func selection(_ body: inout BodyReader) -> Selection? {
        let given = ["ids", "names", "filter"].filter { body.value($0) != nil }
        guard let field = given.first else {
            body.report("ids", "expected 'ids', 'names' or 'filter': which schedules are meant", as: .missingField)
            return nil
        }
        guard given.count == 1 else {
            body.report(given[1], "excludes '\(field)': which schedules are meant is said once", as: .conflictingFields)
            return nil
        }
        if field == "filter" { return body.bulkFilter().map { .filter($0) } }
        for name in ["limit", "cursor"] where body.value(name) != nil {
            body.report(name, "belongs to 'filter'", as: .conflictingFields)
        }
        return body.references(field).map { .references($0) }
    }
}

extension BodyReader {
    fileprivate mutating func operation() -> BulkCommand.Operation? {
        if let operation: BulkCommand.Operation = choice("operation") { return operation }
        if !hasProblem("operation") {
            report(
                "operation", "is required: one of 'pause', 'resume', 'delete', 'trigger'", as: .missingField)
        }
        return nil
    }

    /// A list of 1 to 1000 ids or names, none twice.
    fileprivate mutating func references(_ field: String) -> [ScheduleReference]? {
        guard let value = value(field) else { return nil }
        guard value.kind == .array else {
            report(field, "expected a list, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        guard value.count <= BulkCommand.mostSchedules else {
            report(field, "expected at most \(BulkCommand.mostSchedules), got \(value.count)", as: .tooManyItems)
            return nil
        }
        var references: [ScheduleReference] = []
        var seen: Set<ScheduleReference> = []
        for (index, element) in value.elements.enumerated() {
            guard let text = string(element, "\(field)/\(index)", most: 128) else { continue }
            let reference: ScheduleReference? =
                field == "ids"
                ? ScheduleID(text: text).map { .id($0) } : (try? ScheduleName(text)).map { .name($0) }
            guard let reference else {
                let what = field == "ids" ? "a schedule's id" : "a schedule's name"
                report("\(field)/\(index)", "expected \(what), got '\(text)'")
                continue
            }
            if !seen.insert(reference).inserted { report("\(field)/\(index)", "is there twice: '\(text)'") }
            references.append(reference)
        }
        if value.count == 0 { report(field, "expected 1 to \(BulkCommand.mostSchedules), got none") }
        return references
    }

    /// `filter`, `limit` and `cursor`. A filter without a condition is refused: nobody deletes all by a slip.
    fileprivate mutating func bulkFilter() -> ScheduleFilter? {
        guard let value = value("filter") else { return nil }
        var filter = ScheduleFilter()
        var nested = BodyReader(value, at: "/filter")
        nested.conditions(&filter)
        absorb(&nested)
        if value.kind == .object, value.count == 0 {
            report("filter", "expected one condition at least; for all, name the states")
        }
        filter.limit = Int(integer("limit", in: 1...Int64(BulkCommand.mostSchedules)) ?? 1000)
        position(in: &filter)
        return filter
    }
}
