import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// Executions that a command opens on this instance, outside of the schedule's own time.
struct CommandedFires {
    let schedule: CompiledSchedule
    let generation: Int32
    let instance: InstanceID
    let now: Instant
    let origin: Origin
    /// Whom they yield to.
    var kind = FireClass.onTime
    /// The execution whose end makes them.
    var causedBy: ExecutionID?

    /// Opens one execution for each instant, each with a fence of its own, in one claim.
    /// - Parameters:
    ///   - timer: locked by the caller; its fence moves on.
    ///   - payload: what they send in place of the schedule's.
    /// - Returns: the executions as they stand now.
    func open(
        _ instants: [Instant], ordinal: Int64, trigger: Trigger, payload: [UInt8]? = nil, _ timer: inout Timer,
        into change: inout Change
    ) -> [Execution] {
        guard !instants.isEmpty else { return [] }
        let trace = Correlation.current.trace
        var random = SystemRandomNumberGenerator()
        let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
        let open = OpenClaim(claim, executions: instants.count)
        var openings: [ExecutionTable.Opening] = []
        var executions: [Execution] = []
        for instant in instants {
            timer.fireSequence += 1
            let occurrence = Occurrence(
                schedule: schedule.id, generation: generation, origin: origin, scheduledFor: instant, ordinal: ordinal)
            let id = occurrence.executionID
            openings.append(
                ExecutionTable.Opening(
                    id: id, occurrence: occurrence, dueAt: now, fence: timer.fireSequence, version: schedule.version,
                    missedCount: 0, trigger: trigger, isTracked: schedule.isTracked))
            var execution = Execution(
                id: id, schedule: schedule.id, scheduledFor: instant, dueAt: now, state: .claimed, origin: origin,
                trigger: trigger, generation: generation, scheduleVersion: schedule.version, attempt: 1,
                fence: timer.fireSequence, claimedAt: now)
            execution.isTracked = schedule.isTracked
            execution.causedBy = causedBy
            execution.trace = trace
            executions.append(execution)
            change.fires.append(
                Fire(
                    id: id, schedule: schedule, claim: open, scheduledFor: instant, dueAt: now,
                    fence: timer.fireSequence, generation: generation, ordinal: ordinal, origin: origin,
                    trigger: trigger, kind: kind, causedBy: causedBy, payload: payload, trace: trace))
        }
        change.schedule = schedule.id
        change.write(TimerTable.advanceFence(timer))
        change.write(ExecutionTable.open(openings, by: instance, at: now))
        if schedule.isTracked {
            let names = schedule.limits.names
            change.write(RunTable.open(openings, limits: names.isEmpty ? [:] : [schedule.id: names]))
        }
        // What is triggered, or follows an end, is of now as a rule, and lies where everything else does that is open.
        let isOfNow = origin == .manual || origin == .after
        change.write(
            ClaimTable.insert(
                claim, by: instance, at: now, executions: openings.map(\.id),
                isCommanded: !isOfNow || openings.contains { $0.occurrence.liesFarBack(at: now) }))
        if let trace { change.write(ExecutionTable.setTrace(trace, of: openings.map(\.id))) }
        if let payload {
            for opening in openings { change.write(ExecutionTable.setPayload(payload, of: opening.id)) }
        }
        return executions
    }
}

extension CommandContext {
    /// A schedule that a command may fire, with its timer, both locked: it is not invalid, and nothing keeps it from
    /// being fired now: the same gate, by the newest allow-list, as before a fire of its own time.
    func fireable(
        _ reference: ScheduleReference, _ origin: ChangeOrigin, isForced: Bool, in transaction: PostgresTransaction
    ) async throws -> (schedule: Schedule, timer: Timer, compiled: CompiledSchedule) {
        let (schedule, timer) = try await transaction.held(reference, in: origin.namespace)
        try schedule.expect(version: origin.options.ifVersion)
        guard schedule.state != .invalid else {
            throw WireError(.wrongState, "the schedule is invalid: \(schedule.pauseReason ?? "see its events")")
        }
        try await session.compiler.targets.catchUp(on: transaction)
        try await session.compiler.load([schedule], on: transaction)
        let compiled = session.compiler.compile(schedule)
        if let fault = compiled.fault { throw WireError(fault) }
        if !isForced { try await expectNoFreeze(of: compiled, now: origin.now, in: transaction) }
        return (schedule, timer, compiled)
    }

    /// A freeze is there so that nothing fires; who must fire all the same says so.
    func expectNoFreeze(
        of schedule: CompiledSchedule, now: Instant, in transaction: PostgresTransaction
    ) async throws {
        guard let freeze = try await FreezeBoard.holding(schedule, at: now, on: transaction) else { return }
        let reason = freeze.reason.map { " (\($0))" } ?? ""
        throw WireError(
            .frozen,
            "freeze \(freeze.id)\(reason) holds until \(freeze.until.rfc3339); \"force\": true fires all the same")
    }
}

extension Change {
    /// An entry of the audit log for what changes no schedule: what was asked for its executions.
    mutating func note(
        _ action: String, of schedule: Schedule, _ options: ChangeOptions, at now: Instant,
        _ members: (inout JSONWriter) -> Void
    ) {
        var entry = AuditEntry(at: now, namespace: schedule.namespace.description, action: action, fence: 0)
        entry.schedule = schedule.id
        entry.name = schedule.definition.name.description
        entry.version = schedule.version
        entry.actor = options.actor ?? schedule.namespace.description
        entry.reason = options.reason
        entry.requestID = options.requestID
        var writer = JSONWriter(capacity: 256)
        writer.object { members(&$0) }
        entry.after = writer.bytes
        write(AuditTable.note(entry))
    }
}
