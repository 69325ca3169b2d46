import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.bulk_create`: up to 1000 schedules in one transaction, with a result for each; `atomic` makes all or none.
///
/// The namespace's row is locked before the names are looked at, and everybody who makes a schedule locks it: what is
/// free then stays free. Only a rename takes a name without that lock; then the transaction is run again.
extension ScheduleDefinitions {
    private struct Batch: Sendable {
        let drafts: [ItemResult<ScheduleDraft>]
        let isAtomic: Bool
        let origin: ChangeOrigin
    }

    private static let mostAttempts = 4

    func bulkCreate(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&body), now: context.now)
        body.refuseVersion(origin.options)
        let isAtomic = body.bool("atomic") ?? false
        let items = try body.finish(with: body.definitions())
        let missing = try await context.loadCalendars(namedIn: request)
        try await context.loadNewestRules()
        let drafts = drafts(items, by: origin, without: missing)
        if isAtomic, let error = problems(of: drafts) { throw error }
        let batch = Batch(drafts: drafts, isAtomic: isAtomic, origin: origin)
        var attempt = 1
        while true {
            do {
                return try await context.runner.run(request, origin.options) { transaction in
                    try await create(batch, request, in: transaction)
                }
            } catch let error as PostgresError
                where error.constraint == ScheduleTable.nameConstraint && attempt < Self.mostAttempts
            {
                attempt += 1
            }
        }
    }

    private func create(
        _ batch: Batch, _ request: CommandRequest, in transaction: PostgresTransaction
    ) async throws -> Change {
        let origin = batch.origin
        // Calendars before the namespace, in the order in which `create` locks.
        let missing = try await context.loadCalendars(namedIn: request, sharing: true, on: transaction)
        try await context.session.compiler.targets.catchUp(on: transaction)
        var room = try await NamespaceTable.hold(origin.namespace, limit: context.mostSchedules, in: transaction)
        let names = batch.drafts.compactMap { try? $0.get().schedule.definition.name }
        let taken = try await ScheduleTable.taken(names, in: origin.namespace, on: transaction)
        let unfit = try await unfollowable(batch.drafts, in: transaction)
        let accepted = batch.drafts.enumerated().map { index, draft in
            draft.flatMap { draft -> ItemResult<ScheduleDraft> in
                let definition = draft.schedule.definition
                if let error = unfit[index] { return .failure(error) }
                if taken.contains(definition.name.description) { return .failure(nameTaken(index, "is taken")) }
                if let gone = definition.timing.constraint.calendars.first(where: missing.contains) {
                    return .failure(calendarNotFound(gone, in: origin.namespace))
                }
                // Its target was revoked since it was read.
                if let fault = context.session.compiler.compile(draft.schedule).publishingFault {
                    return .failure(WireError(fault))
                }
                guard room > 0 else { return .failure(limitReached(origin.namespace)) }
                room -= 1
                return .success(draft)
            }
        }
        if batch.isAtomic, let error = problems(of: accepted) { throw error }
        var change = Change()
        let results = accepted.map { $0.map { add($0, to: &change, by: origin) } }
        let created = results.count { (try? $0.get()) != nil }
        change.write(NamespaceTable.count(created, more: origin.namespace))
        let most = context.mostMessageBytes
        change.reply = { writer in
            writer.member("created", created)
            writer.member("failed", results.count - created)
            writer.results(results, fitting: most)
        }
        return change
    }
}

extension ScheduleDefinitions {
    /// Those that follow what is not there and is not made before them by the same request, by their places.
    private func unfollowable(
        _ drafts: [ItemResult<ScheduleDraft>], in transaction: PostgresTransaction
    ) async throws -> [Int: WireError] {
        var unfit: [Int: WireError] = [:]
        var before: Set<ScheduleName> = []
        for (index, draft) in drafts.enumerated() {
            guard let schedule = try? draft.get().schedule else { continue }
            if schedule.definition.after != nil {
                do { try await expectFollowable(schedule, besides: before, in: transaction) } catch let refusal
                    as WireError
                { unfit[index] = refusal }
            }
            before.insert(schedule.definition.name)
        }
        return unfit
    }
}

extension JSONWriter {
    /// A result for each item. Whole schedules, or a thousand errors with all their details, would not fit a message.
    fileprivate mutating func results(_ results: [ItemResult<ScheduleView>], fitting most: Int) {
        // What the details of errors may take; their sentences have the rest.
        var room = most / 4
        name("results")
        array { writer in
            for (index, result) in results.enumerated() {
                writer.object { writer in
                    writer.member("index", index)
                    switch result {
                    case .success(let view): writer.brief(view)
                    case .failure(let error):
                        let shown = error.fitting(room)
                        room -= shown.size
                        writer.name("error")
                        shown.write(into: &writer)
                    }
                }
            }
        }
    }

    private mutating func brief(_ view: ScheduleView) {
        object("schedule") { writer in
            writer.member("id", view.schedule.id.description)
            writer.member("name", view.schedule.definition.name.description)
            writer.member("version", view.schedule.version)
            writer.member("state", view.schedule.state.rawValue)
            writer.member("next_fire_at", ifPresent: view.schedule.state == .active ? view.nextFireAt : nil)
        }
    }
}

extension WireError {
    /// The longest sentence of an error that is one of many, in bytes of JSON.
    private static let longestOfMany = 240

    /// The same in short, as one of many in a reply: its details as far as there is room.
    func fitting(_ room: Int) -> WireError {
        WireError(code, shortened, details: size <= min(room, 4096) ? details : [])
    }

    /// What the details take, in bytes of JSON.
    var size: Int {
        details.reduce(0) { $0 + Self.bytes(of: $1.message) + Self.bytes(of: $1.pointer.description) + 32 }
    }

    private var shortened: String {
        var left = Self.longestOfMany
        let prefix = description.unicodeScalars.prefix { scalar in
            left -= Self.bytes(of: scalar)
            return left >= 0
        }
        return String(String.UnicodeScalarView(prefix))
    }

    private static func bytes(of text: String) -> Int { text.unicodeScalars.reduce(0) { $0 + bytes(of: $1) } }

    /// As JSON writes it: a control character is six bytes.
    private static func bytes(of scalar: Unicode.Scalar) -> Int {
        scalar.value < 0x20 ? 6 : scalar == "\"" || scalar == "\\" ? 2 : UTF8.width(scalar)
    }
}
