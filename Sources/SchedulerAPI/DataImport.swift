import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// What became of one record.
struct RestoreResult: Sendable {
    enum Outcome: String, Sendable, CaseIterable {
        case imported
        case unchanged
        case overwritten
        case conflict
    }

    let kind: BackupKind
    /// The schedule's or freeze's id, or what it is called.
    let key: String
    var name: String?
    let outcome: Outcome
    var reason: String?
}

extension DataCommands {
    /// `admin.data.import`: puts records back, all of a request in one transaction. A record that is there already is
    /// left alone; one that is there and says something else is a conflict, and left alone unless `overwrite` asks.
    ///
    /// The request again gives the same: what it brought is there.
    func restore(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let overwrites = body.bool("overwrite") ?? false
        let records = try body.finish(with: body.backupRecords("records"))
        let context = CommandContext(
            session: session, defaults: DefinitionDefaults(), mostSchedules: .max, mostMessageBytes: mostMessageBytes)
        let now = context.now
        let reply = try await context.runner.run(request, options) { transaction in
            var restore = Restore(context: context, options: options, overwrites: overwrites, now: now)
            try await restore.run(records, in: transaction)
            var change = restore.change
            change.reply = { [results = restore.results] in Self.write(results, into: &$0) }
            if !restore.narrowed.isEmpty || !restore.frozen.isEmpty {
                change.settle = { [session, narrowed = restore.narrowed, frozen = restore.frozen] in
                    if !frozen.isEmpty { await FreezeRecall(session: session, freezes: frozen).run() }
                    var inFlight: [ExecutionID] = []
                    for scope in narrowed { inFlight += await RevocationRecall(session: session, scope: scope).run() }
                    return inFlight
                }
            }
            return change
        }
        session.hintRules()
        guard overwrites, !options.isDryRun else { return reply }
        do { try await overwriteCalendars(records, context, options) } catch { throw Unfinished(cause: error) }
        return reply
    }

    /// Calendars that are there are changed as by `calendar.put`, which moves the schedules that use them. Those that
    /// say the same stay as they are.
    private func overwriteCalendars(
        _ records: [BackupRecord], _ context: CommandContext, _ options: ChangeOptions
    ) async throws {
        for case .calendar(let view) in records {
            let found = try await session.pool.withConnection {
                try await CalendarTable.find(view.name, in: view.namespace, locking: false, on: $0)
            }
            guard let found, found.definition != view.definition else { continue }
            var writer = JSONWriter(capacity: 1024)
            writer.object { writer in
                writer.member("name", view.name.description)
                writer.members(of: view.definition)
                writer.member("actor", ifPresent: options.actor)
                writer.member("reason", options.reason ?? "import")
            }
            let put = try CommandRequest(namespace: view.namespace, noun: "calendar", verb: "put", bytes: writer.bytes)
            _ = try await CalendarCommands(context: context).put(put)
        }
    }

    private static func write(_ results: [RestoreResult], into writer: inout JSONWriter) {
        writer.object("import") { writer in
            for outcome in RestoreResult.Outcome.allCases {
                writer.name(dynamic: outcome.rawValue)
                writer.value(results.count { $0.outcome == outcome })
            }
        }
        // What went as everybody expects is counted only.
        writer.name("results")
        writer.array { writer in
            for result in results where result.outcome == .overwritten || result.outcome == .conflict {
                writer.object { writer in
                    writer.member("kind", result.kind.rawValue)
                    writer.member("key", result.key)
                    writer.member("name", ifPresent: result.name)
                    writer.member("outcome", result.outcome.rawValue)
                    writer.member("reason", ifPresent: result.reason)
                }
            }
        }
    }
}

/// Puts the records of one request back, in its transaction.
struct Restore {
    let context: CommandContext
    let options: ChangeOptions
    let overwrites: Bool
    let now: Instant
    var change = Change()
    private(set) var results: [RestoreResult] = []
    /// Entries of the allow-list that may allow less than they did.
    private(set) var narrowed: [TargetScope] = []
    /// Freezes that are new, or other ones than they were.
    private(set) var frozen: [Freeze] = []
    /// How many entries commands have allowed, these included; nil before the first new one.
    private var targets: Int64?
    /// How many more schedules count against each namespace's limit.
    private var counts: [Namespace: Int64] = [:]

    init(context: CommandContext, options: ChangeOptions, overwrites: Bool, now: Instant) {
        self.context = context
        self.options = options
        self.overwrites = overwrites
        self.now = now
    }

    mutating func run(_ records: [BackupRecord], in transaction: PostgresTransaction) async throws {
        for record in records {
            switch record {
            case .namespace(let namespace, let limits):
                try await restore(namespace, limits, in: transaction)
            case .target(let entry): try await restore(entry, in: transaction)
            case .calendar(let view): try await restore(view, in: transaction)
            case .freeze(let freeze): try await restore(freeze, in: transaction)
            case .schedule: continue
            }
        }
        var schedules: [(schedule: Schedule, timer: Timer)] = []
        for case .schedule(let schedule, let timer) in records { schedules.append((schedule, timer)) }
        if !schedules.isEmpty { try await restore(schedules, in: transaction) }
        for (namespace, count) in counts.sorted(by: { $0.key < $1.key }) where count > 0 {
            change.write(BackupTable.count(count, in: namespace))
        }
    }

    private mutating func tell(
        _ kind: BackupKind, _ key: String, _ outcome: RestoreResult.Outcome, name: String? = nil,
        _ reason: String? = nil
    ) {
        results.append(RestoreResult(kind: kind, key: key, name: name, outcome: outcome, reason: reason))
    }

    /// What becomes of a record whose key is taken by something else.
    private mutating func decide(_ kind: BackupKind, _ key: String, _ reason: String) -> Bool {
        tell(kind, key, overwrites ? .overwritten : .conflict, overwrites ? nil : reason)
        return overwrites
    }

    /// An entry of the audit log: the record as it was here, and as it is.
    private mutating func note(
        _ action: String, namespace: String, name: String, before: BackupRecord? = nil, after: BackupRecord
    ) {
        var entry = AuditEntry(at: now, namespace: namespace, action: action, fence: 0)
        entry.name = name
        entry.actor = options.actor
        entry.reason = options.reason ?? "import"
        entry.requestID = options.requestID
        entry.before = before.map(Self.text)
        entry.after = Self.text(after)
        change.write(AuditTable.note(entry))
    }

    private static func text(_ record: BackupRecord) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.value(record)
        return writer.bytes
    }

    private mutating func restore(
        _ namespace: Namespace, _ limits: NamespaceLimits, in transaction: PostgresTransaction
    ) async throws {
        let found = try await LimitTable.find(namespace, in: transaction)?.limits ?? NamespaceLimits()
        let key = namespace.description
        if found == limits { return tell(.namespace, key, .unchanged) }
        if found == NamespaceLimits() {
            tell(.namespace, key, .imported)
        } else if !decide(.namespace, key, "it has other limits here") {
            return
        }
        change.write(LimitTable.put(limits, of: namespace))
        note(
            "namespace_restored", namespace: key, name: key, before: .namespace(namespace, found),
            after: .namespace(namespace, limits))
    }

    private mutating func restore(_ entry: TargetEntry, in transaction: PostgresTransaction) async throws {
        let key = "\(TargetTable.text(entry.namespace))/\(entry.subject)"
        let found = try await TargetTable.find(entry.namespace, entry.subject, in: transaction)
        if let found, found.says(entry) { return tell(.target, key, .unchanged) }
        if found == nil {
            let count = if let targets { targets } else { try await TargetTable.count(on: transaction) }
            guard count < TargetCommands.most else {
                targets = count
                return tell(
                    .target, key, .conflict,
                    "commands have allowed \(count) targets, the most is \(TargetCommands.most)")
            }
            targets = count + 1
            tell(.target, key, .imported)
        } else if !decide(.target, key, "it allows something else here") {
            return
        }
        if found != nil { narrowed.append(entry.scope) }
        change.write(TargetTable.put(entry, before: found))
        note(
            "target_restored", namespace: entry.namespace?.description ?? Namespace.administration.description,
            name: entry.subject.description, before: found.map { .target($0) }, after: .target(entry))
    }

    private mutating func restore(_ view: CalendarView, in transaction: PostgresTransaction) async throws {
        let key = "\(view.namespace)/\(view.name)"
        let found = try await CalendarTable.find(view.name, in: view.namespace, locking: true, on: transaction)
        guard let found else {
            tell(.calendar, key, .imported)
            // Written at once: the schedules of this request may use it.
            _ = try await transaction.pipeline([CalendarTable.put(view)])
            return note(
                "calendar_restored", namespace: view.namespace.description, name: view.name.description,
                after: .calendar(view))
        }
        if found.definition == view.definition { return tell(.calendar, key, .unchanged) }
        // That is done in a transaction of its own, with the schedules that use it.
        _ = decide(.calendar, key, "another calendar of that name is at version \(found.version) here")
    }

    private mutating func restore(_ freeze: Freeze, in transaction: PostgresTransaction) async throws {
        let key = freeze.id.description
        let found = try await BackupTable.freezes([freeze.id], in: transaction).first
        if found == freeze { return tell(.freeze, key, .unchanged) }
        if found == nil {
            tell(.freeze, key, .imported)
        } else if !decide(.freeze, key, "the freeze says something else here") {
            return
        }
        change.write(FreezeTable.put(freeze))
        if let found { change.release(found, for: freeze, at: now) }
        frozen.append(freeze)
        note(
            "freeze_restored", namespace: freeze.namespace?.description ?? Namespace.administration.description,
            name: key, before: found.map { .freeze($0) }, after: .freeze(freeze))
    }
}

// MARK: - Schedules

extension Restore {
    private mutating func restore(
        _ records: [(schedule: Schedule, timer: Timer)], in transaction: PostgresTransaction
    ) async throws {
        let ids = Array(Set(records.map(\.schedule.id))).sorted()
        let timers = try await TimerTable.lockAll(ids, in: transaction)
        let held = try await BackupTable.hold(ids, in: transaction)
        let known = Dictionary(held.schedules.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let unreadable = Set(held.unreadable.map(\.id))
        var holders = try await BackupTable.holders(
            of: records.map { ($0.schedule.namespace, $0.schedule.definition.name) }, on: transaction)
        var seen: Set<ScheduleID> = []
        for (schedule, timer) in records {
            let (key, called) = (schedule.id.description, "\(schedule.namespace)/\(schedule.definition.name)")
            if !seen.insert(schedule.id).inserted || unreadable.contains(schedule.id) {
                tell(.schedule, key, .conflict, name: called, "the id comes twice, or its row here cannot be read")
                continue
            }
            if schedule.isLive, let holder = holders[called], holder != schedule.id {
                tell(.schedule, key, .conflict, name: called, "the name is taken by \(holder)")
                continue
            }
            if let found = known[schedule.id] {
                try await meet(found, timers[schedule.id], by: schedule, called, in: transaction)
            } else {
                insert(schedule, timer, called)
            }
            if schedule.isLive { holders[called] = schedule.id }
        }
    }

    /// Puts one back that is not there: as it was saved. It goes on from where it stood, so what passed since is late,
    /// and its misfire policy decides.
    private mutating func insert(_ schedule: Schedule, _ timer: Timer, _ called: String) {
        change.write(ScheduleTable.insert(schedule))
        change.write(TimerTable.insert(timer, priority: schedule.definition.priority))
        if schedule.isLive {
            counts[schedule.namespace, default: 0] += 1
            change.follow(schedule, insteadOf: nil)
        }
        change.hints = change.hints || isSoon(timer.nextFireAt, now)
        // As a created one is told.
        var entry = SchedulerAPI.entry(
            AuditEntry.scheduleRestored, ScheduleView(schedule: schedule, timer: timer), before: nil, options, at: now)
        entry.actor = options.actor
        entry.reason = options.reason ?? "import"
        change.write(AuditTable.note(entry))
        tell(.schedule, schedule.id.description, .imported, name: called)
    }

    /// One that is there. Where it stands, its fence and its ledger are this store's, and newer: what is saved of them
    /// does not count.
    private mutating func meet(
        _ found: Schedule, _ timer: Timer?, by saved: Schedule, _ called: String, in transaction: PostgresTransaction
    ) async throws {
        let key = saved.id.description
        if found.definition == saved.definition, found.version == saved.version, found.state != .deleted {
            return tell(.schedule, key, .unchanged, name: called)
        }
        guard overwrites, let timer, found.namespace == saved.namespace else {
            let state = found.state == .deleted ? "deleted" : "at version \(found.version)"
            return tell(
                .schedule, key, .conflict, name: called, "it is \(state) here, saved was version \(saved.version)")
        }
        if let fault = try await replace(found, timer, by: saved, in: transaction) {
            return tell(.schedule, key, .conflict, name: called, fault)
        }
        tell(.schedule, key, .overwritten, name: called)
    }

    /// An edit back to what was saved, from now on.
    /// - Returns: why not.
    private mutating func replace(
        _ found: Schedule, _ foundTimer: Timer, by saved: Schedule, in transaction: PostgresTransaction
    ) async throws -> String? {
        var (schedule, timer) = (found, foundTimer)
        schedule.definition = saved.definition
        // What was invalid then may be no longer; it becomes so again where it is.
        schedule.state = saved.state == .invalid ? .active : saved.state
        schedule.pauseReason = schedule.state == .paused ? saved.pauseReason : nil
        schedule.pausedUntil = schedule.state == .paused ? saved.pausedUntil : nil
        schedule.version += 1
        schedule.updatedAt = now
        schedule.updatedBy = options.actor ?? schedule.namespace.description
        let isMoved = schedule.state != found.state || schedule.definition.isRetimed(from: found.definition)
        if isMoved {
            schedule.generation += 1
            schedule.anchor = now
        }
        // Its own, so that nothing that may be rolled back is remembered.
        let compiler = context.session.compiler.apart()
        try await compiler.load([found, schedule], on: transaction)
        let compiled = compiler.compile(schedule)
        if let fault = compiled.faults.first(where: { $0.kind == .timing }) { return fault.description }
        if isMoved {
            if found.isLive {
                try await context.session.compiler.load([found], on: transaction)
                change.skipPassed(of: found, &timer, as: .superseded, in: context.session, at: now)
            }
            timer.generation = schedule.generation
            let planner = compiled.planner
            let first = schedule.definition.timing.firstOccurrence(
                of: planner.source, placement: planner.placement, now: now)
            timer.stand(at: planner.position(at: first))
            if schedule.state != .active { (timer.nextFireAt, timer.resumeFrom) = (nil, first) }
        }
        timer.version = schedule.version
        timer.fireSequence += 1
        change.write(FailureTable.settle(schedule.id))
        change.recalled += try await RecallTable.mark(schedule.id, in: transaction)
        count(from: found, to: schedule)
        change.hints = change.hints || isSoon(timer.nextFireAt, now)
        var entry = SchedulerAPI.entry(
            "updated", ScheduleView(schedule: schedule, timer: timer),
            before: ScheduleView(schedule: found, timer: foundTimer), options, at: now)
        entry.reason = options.reason ?? "import"
        change.audit(entry)
        change.write([
            ScheduleTable.update(schedule), TimerTable.update(timer, priority: schedule.definition.priority),
        ])
        if schedule.isLive {
            if found.isLive {
                change.follow(schedule, insteadOf: found.definition)
            } else {
                change.followAgain(schedule)
            }
        } else if found.isLive {
            change.write(LinkTable.remove(of: schedule.id))
        }
        return nil
    }

    private mutating func count(from found: Schedule, to schedule: Schedule) {
        if schedule.isLive, !found.isLive { counts[schedule.namespace, default: 0] += 1 }
        if found.isLive, !schedule.isLive { change.write(NamespaceTable.giveBack(schedule.namespace)) }
    }
}

extension Schedule {
    /// It has its name, and counts against the limit.
    fileprivate var isLive: Bool { state != .exhausted && state != .deleted }
}
