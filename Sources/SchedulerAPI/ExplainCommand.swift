import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.explain`: why it fired at a moment, did not, or did twice.
struct ExplainCommand: Sendable {
    let context: CommandContext

    private static let day: Int64 = 86_400_000
    /// What was asked for by hand so near the moment is told of.
    private static let near: Int64 = 60_000
    /// So many of those that wait are told of.
    private static let mostOthers = 10
    /// Members of a schedule that decide when it fires.
    private static let timing: Set<String> = [
        "schedule_type", "cron_expression", "interval_seconds", "run_at", "rrule", "timezone", "dst_policy", "start_at",
        "end_at", "max_runs", "spread_seconds", "only_on", "not_on", "shift", "windows", "outside",
    ]

    func explain(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let now = context.now
        let at = body.instant("at")
        if at == nil, !body.hasProblem("at") {
            body.report("at", "is required: the moment to explain", as: .missingField)
        }
        let reference = try body.finish(with: body.reference())
        guard let at else { throw WireError(.internalError, "a moment without a problem could not be read") }
        let facts = try await context.list { try await gather(reference, at: at, now: now, request, on: $0) }
        let explanation = Explanation(facts)
        // Asked when no connection is held.
        let warnings = await context.warnings(of: facts.schedule.definition)
        return { writer in
            writer.warnings(warnings)
            writer.object("explanation") { writer in
                writer.member("at", at.rfc3339)
                writer.member("schedule_id", facts.schedule.id.description)
                writer.member("schedule_name", facts.schedule.definition.name.description)
                writer.member("occurrence", ifPresent: facts.occurrence)
                writer.member("due_at", ifPresent: facts.due)
                writer.member("verdict", explanation.verdict.rawValue)
                writer.strings("sentences", explanation.sentences)
                writer.name("executions")
                writer.array { writer in
                    for execution in facts.executions + (facts.range.map { [$0] } ?? []) {
                        writer.value(
                            execution, scheduleName: facts.schedule.definition.name.description,
                            namespace: request.namespace.description)
                    }
                }
            }
        }
    }

    private func gather(
        _ reference: ScheduleReference, at: Instant, now: Instant, _ request: CommandRequest,
        on connection: PostgresConnection
    ) async throws -> ExplanationFacts {
        guard let schedule = try await ScheduleTable.find(reference, in: request.namespace, on: connection) else {
            throw notFound(reference, in: request.namespace)
        }
        try await context.session.compiler.load([schedule], on: connection)
        let planner = context.session.compiler.compile(schedule).planner
        let timer = try await TimerTable.fetch([schedule.id], on: connection)[schedule.id]
        // An occurrence whose due time is meant lies a spread before it.
        let before = planner.source.latest(through: at)
        let early = planner.source.latest(through: at.adding(milliseconds: -planner.offset))
        let nearer = ExplanationFacts.Neighbours(before: early, after: before).nearest(to: at, offset: planner.offset)
        let neighbours = ExplanationFacts.Neighbours(
            before: nearer?.occurrence, after: planner.source.next(after: at))
        let days = Int64(context.session.configuration.historyRetentionDays)
        var facts = ExplanationFacts(
            at: at, now: now, schedule: schedule, neighbours: neighbours,
            standing: timer?.position(offset: planner.offset), keptFrom: now.adding(milliseconds: -days * Self.day))
        describe(&facts, planner)
        try await look(&facts, on: connection)
        return facts
    }

    private func describe(_ facts: inout ExplanationFacts, _ planner: ClaimPlanner) {
        facts.removed = planner.source.removedTimes(
            after: facts.at.adding(milliseconds: -3 * 3_600_000), through: facts.at.adding(milliseconds: 3 * 3_600_000))
        guard let occurrence = facts.occurrence else { return }
        if let place = planner.placement?.place(of: occurrence) {
            facts.due = place.due.adding(milliseconds: planner.offset)
            facts.fires = place.fires
        }
        facts.clockChange = planner.source.recurrence.clockChange(at: occurrence)
        let zone = facts.schedule.definition.timing.timezone
        if zone != "UTC" {
            facts.local = (try? context.session.compiler.zones(zone))?.localTime(at: occurrence).iso8601
        }
    }

    private func look(_ facts: inout ExplanationFacts, on connection: PostgresConnection) async throws {
        let id = facts.schedule.id
        let near = try await ExplanationTable.executions(
            of: id, from: facts.at.adding(milliseconds: -Self.near), through: facts.at.adding(milliseconds: Self.near),
            on: connection)
        // What was triggered near it, and what lies at the second itself whatever its generation.
        facts.executions = near.filter { [at = facts.at] row in
            row.origin != .time || abs(row.scheduledFor.milliseconds(since: at)) < 1000
        }
        try await lookAtWaiting(&facts, on: connection)
        guard let occurrence = facts.occurrence else { return }
        let own = try await ExplanationTable.executions(of: id, from: occurrence, through: occurrence, on: connection)
        let known = Set(facts.executions.map(\.id))
        facts.executions = (facts.executions + own.filter { !known.contains($0.id) }).sorted { $0.id < $1.id }
        facts.range = try await ExplanationTable.range(of: id, around: occurrence, on: connection)
        if let range = facts.range { facts.executions.removeAll { $0.id == range.id } }
        let open = facts.executions.filter { !$0.isOver }.map(\.id)
        facts.deadlines = try await ExplanationTable.deadlines(of: open, on: connection)
        let due = facts.due ?? occurrence
        facts.stateChange = try await ExplanationTable.stateChange(of: id, through: due, on: connection)
        facts.timingChange = try await ExplanationTable.updates(of: id, after: occurrence, on: connection).first {
            AuditChanges.between($0.before, $0.after).contains { Self.timing.contains($0.name) }
        }?.change
        let freezes = try await FreezeTable.current(endingAfter: due, on: connection)
        facts.freeze = freezes.first { [schedule = facts.schedule] freeze in
            freeze.holds(at: due)
                && freeze.concerns(
                    namespace: schedule.namespace.description, target: schedule.definition.target.description)
        }
    }

    /// What waits for a place has no row yet: the occurrence itself, and what else was asked for near the moment.
    private func lookAtWaiting(_ facts: inout ExplanationFacts, on connection: PostgresConnection) async throws {
        let id = facts.schedule.id
        let found = try await BufferTable.occupancies(of: [id], on: connection)[id]
        guard let occupancy = found, !occupancy.waiting.isEmpty else { return }
        let limits = try await limits(of: facts.schedule, on: connection)
        for (place, one) in occupancy.waiting.enumerated() {
            let isMeant = one.occurrence.scheduledFor == facts.occurrence
            // How the limits stand is told once.
            let waiting = ExplanationFacts.Waiting(
                since: one.since, ahead: place, open: occupancy.open,
                limits: isMeant || facts.others.isEmpty ? limits : [])
            if isMeant {
                facts.waiting = facts.waiting ?? waiting
            } else if abs(one.occurrence.scheduledFor.milliseconds(since: facts.at)) <= Self.near,
                facts.others.count < Self.mostOthers
            {
                facts.others.append((one, waiting))
            }
        }
    }

    /// How the limits stand that a schedule shares, and who of its namespace holds their places.
    private func limits(
        of schedule: Schedule, on connection: PostgresConnection
    ) async throws -> [ExplanationFacts.SharedLimit] {
        let limits = context.session.compiler.compile(schedule).limits
        var shared: [ExplanationFacts.SharedLimit] = []
        for names in [ConcurrencyNames(key: limits.names.key), ConcurrencyNames(target: limits.names.target)]
        where !names.isEmpty {
            let book = try await ConcurrencyTable.standings(of: [names], on: connection)
            guard let standing = book.keys.values.first ?? book.targets.values.first else { continue }
            let holders = try await ConcurrencyTable.holders(
                of: names, in: schedule.namespace, limit: ExplanationFacts.SharedLimit.mostHolders, on: connection)
            shared.append(
                ExplanationFacts.SharedLimit(
                    name: names.target.map { "max_in_flight of target \($0)" }
                        ?? "concurrency_key \(schedule.definition.concurrencyKey ?? "")",
                    places: standing.places ?? limits.targetPlaces, open: standing.open, waiting: standing.waiting,
                    holders: holders.map { "\($0.schedule) (\($0.execution))" }))
        }
        return shared
    }
}
