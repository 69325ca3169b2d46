import NATSClient
package import PostgresClient
import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Gives back what a command takes back: what this instance has claimed and not yet handed to NATS.
///
/// ``RecallRule`` says what becomes of each. What goes back has no row any more, and the counter and the timer go back,
/// as if nobody had claimed it; a message waits again, a further attempt waits for its time; what cannot come again is
/// written down as skipped.
///
/// Where the command changed neither the time nor the state (another payload, say), the claim stands: the execution is
/// fired as the schedule is now. Given back a moment before its time, it would meet the next one at its second claim,
/// and a misfire policy would decide over occurrences that nobody missed.
package final class Recaller: Sendable {
    private let instance: InstanceID
    private let names: SubjectNames
    private let clock: PostgresClock
    private let compiler: ScheduleCompiler
    private let publisher: Publisher
    private let records: RecordQueue
    private let teller: EventTeller

    package init(
        instance: InstanceID, names: SubjectNames, clock: PostgresClock, compiler: ScheduleCompiler,
        publisher: Publisher, records: RecordQueue, teller: EventTeller
    ) {
        self.instance = instance
        self.names = names
        self.clock = clock
        self.compiler = compiler
        self.publisher = publisher
        self.records = records
        self.teller = teller
    }

    /// Gives back what can be given back of a schedule. What was handed to NATS is recorded soon after.
    package func recall(_ schedule: ScheduleID, on connection: PostgresConnection) async throws {
        let (withdrawn, sent) = publisher.recall(schedule)
        if publisher.hasCommanded(of: schedule) { try await endCommanded(of: schedule, on: connection) }
        if !sent.isEmpty { records.hurry() }
        try await giveBack([schedule: withdrawn], for: .command, on: connection)
    }

    /// What backfills and retries opened ends with the schedule, and with its pause. An edit leaves it alone: what is
    /// waiting goes out as it was asked for, and the edit's reply names it.
    private func endCommanded(of id: ScheduleID, on connection: PostgresConnection) async throws {
        let schedule = try await ScheduleTable.fetch([id], on: connection).schedules.first
        let rule = schedule.map { schedule in
            RecallRule(
                .command, state: schedule.state, generation: schedule.generation, changedAt: schedule.updatedAt,
                now: clock.now())
        }
        guard rule?.endsCommanded ?? true else { return }
        publisher.endCommanded(of: id, reason: "the schedule is \(schedule?.state.rawValue ?? "gone")")
    }

    /// Gives back what a freeze holds from now on. The freezes are read anew, so it may be asked at any time.
    package func recallFrozen(on connection: PostgresConnection) async throws {
        let now = clock.now()
        let freezes = try await FreezeTable.current(endingAfter: now, on: connection)
        guard !freezes.isEmpty else { return }
        // What waits for its target goes out at any moment from now on.
        func holds(_ freeze: Freeze, _ fire: Fire) -> Bool {
            freeze.holds(at: max(fire.dueAt, now))
                && freeze.concerns(namespace: fire.schedule.namespace, target: fire.schedule.target)
        }
        let withdrawn = publisher.recall(for: .freeze) { fire in freezes.contains { holds($0, fire) } }
        for (schedule, fires) in Dictionary(grouping: withdrawn, by: \.schedule.id) {
            let from = freezes.filter { freeze in fires.contains { holds(freeze, $0) } }.map(\.from).min()
            try await giveBack([schedule: fires], for: .freeze, frozenFrom: from, on: connection)
        }
    }

    /// Gives back what the allow-list refuses from now on: its schedule becomes invalid when it is claimed again, and the
    /// occurrence is skipped when it heals.
    package func recallRevoked(on connection: PostgresConnection) async throws {
        let rules = compiler.targetRules
        let refused = Set(publisher.heldSchedules.filter { $0.refusal(by: rules) != nil }.map(ObjectIdentifier.init))
        guard !refused.isEmpty else { return }
        let isRefused = { (fire: Fire) in refused.contains(ObjectIdentifier(fire.schedule)) }
        publisher.endCommanded(where: isRefused, reason: "the target is allowed no longer")
        records.hurry()
        let withdrawn = publisher.recall(for: .refusal, where: isRefused)
        try await giveBack(Dictionary(grouping: withdrawn, by: \.schedule.id), for: .refusal, on: connection)
    }

    /// Gives back everything, for a member that leaves: what is due first comes first, for a second at most. What is
    /// left then is rescued as soon as the member has fenced itself, which takes claims whole and is quicker for many.
    package func recallAll(on connection: PostgresConnection) async throws {
        let withdrawn = Dictionary(grouping: publisher.recall(for: .leaving) { _ in true }, by: \.schedule.id)
            .map { (schedule: $0, fires: $1, dueAt: $1.map(\.dueAt).min() ?? .latest) }
            .sorted { $0.dueAt < $1.dueAt }
        let deadline = ContinuousClock.now + .seconds(1)
        for (schedule, fires, _) in withdrawn where ContinuousClock.now < deadline {
            try await giveBack(fires, of: schedule, for: .leaving, on: connection)
        }
    }

    /// Gives back what was withdrawn of many schedules. One's trouble is its own: the others are given back all the same.
    private func giveBack(
        _ withdrawn: [ScheduleID: [Fire]], for cause: RecallCause, frozenFrom: Instant? = nil,
        on connection: PostgresConnection
    ) async throws {
        var failure: (any Error)?
        for (schedule, fires) in withdrawn where !fires.isEmpty {
            do {
                try await giveBack(fires, of: schedule, for: cause, frozenFrom: frozenFrom, on: connection)
            } catch let error as PostgresError where error.isUnsettled {
                // Given back or not: the incarnation ends, and whoever rescues its claims reads which.
                throw error
            } catch {
                // Nothing was given back: they stay this instance's, and the record tells.
                publisher.admitAgain(fires)
                failure = error
            }
        }
        if let failure { throw failure }
    }
}

// MARK: - One schedule's

extension Recaller {
    /// What became of claims that were taken back, once that is durable.
    private struct Outcome: Sendable {
        /// Those that stand, as the schedule is now.
        var kept: Set<ExecutionID> = []
        let schedule: CompiledSchedule
        /// Skipped ones are owed their events.
        var events: [EventTeller.Owed] = []
    }

    private func giveBack(
        _ fires: [Fire], of id: ScheduleID, for cause: RecallCause, frozenFrom: Instant? = nil,
        on connection: PostgresConnection
    ) async throws {
        let (outcome, _) = try await SettledTransaction.run(on: connection) {
            [self] transaction -> (value: Outcome, calls: [Call]) in
            guard let timer = try await TimerTable.lock(id, in: transaction),
                let schedule = try await ScheduleTable.fetch([id], on: transaction).schedules.first
            else { throw EngineError(.unreadable, "schedule \(id) cannot be read: its claims cannot be given back") }
            try await compiler.targets.catchUp(on: transaction)
            try await compiler.load([schedule], on: transaction)
            let compiled = compiler.compile(schedule)
            let now = clock.now()
            let claims = fires.map { $0.recalled(since: now) }
            let stands = claims.allSatisfy { claim in
                claim.kind != .time
                    || compiled.planner.stillFires(claim.waiting.occurrence.scheduledFor, by: claim.waiting.dueAt)
            }
            let rule = RecallRule(
                cause, state: schedule.state, generation: timer.generation, changedAt: schedule.updatedAt, now: now,
                isPublishable: compiled.publishingFault == nil, timeStands: compiled.fault == nil && stands,
                frozenFrom: frozenFrom)
            let plan = RecallPlan(claims, of: schedule, compiled.planner, timer, by: rule)
            return try await carryOut(plan, fires, schedule, compiled, in: transaction)
        }
        follow(outcome, of: fires)
    }

    /// Under the timer's lock: rows that go, rows that stay, attempts that wait again.
    private func carryOut(
        _ plan: RecallPlan, _ fires: [Fire], _ schedule: Schedule, _ compiled: CompiledSchedule,
        in transaction: PostgresTransaction
    ) async throws -> (value: Outcome, calls: [Call]) {
        var plan = plan
        var outcome = Outcome(schedule: compiled)
        var calls = [InstanceTable.hold(instance)]
        if !plan.kept.isEmpty {
            outcome.kept = try await RecallTable.refresh(
                plan.kept.sorted(), of: instance, version: schedule.version, in: transaction)
        }
        if !plan.retries.isEmpty { calls += try await waitAgain(plan, fires, compiled, in: transaction) }
        guard !plan.leaving.isEmpty else { return (outcome, calls) }
        let given = try await RecallTable.giveBack(plan.leaving.sorted(), of: instance, in: transaction)
        plan.settle(Set(given.keys))
        let tracked = fires.filter { $0.isTracked && given[$0.id] != nil }
        if !tracked.isEmpty { calls.append(RunTable.delete(tracked.map(\.id).sorted())) }
        if !plan.waiting.isEmpty { calls.append(BufferTable.insert(plan.waiting, at: plan.rule.now)) }
        if !plan.heard.isEmpty {
            let additions = plan.heard.map {
                EventTable.Addition(occurrence: $0.occurrence, dueAt: $0.dueAt, message: given[$0.id] ?? nil)
            }
            calls.append(EventTable.add(additions, to: plan.timer))
        }
        var timer = plan.timer
        if !plan.skipped.isEmpty {
            let told = skip(plan, &timer, schedule, compiled)
            calls += told.calls
            outcome.events = told.events
        }
        // A deleted schedule's timer stands; fences count on, all the same.
        if timer != plan.timer || schedule.state != .deleted {
            calls.append(TimerTable.update(timer, priority: schedule.definition.priority))
        }
        return (outcome, calls)
    }

    /// Attempts that were opened and never made. Their fences are passed: a word of the attempts before comes too late.
    private func waitAgain(
        _ plan: RecallPlan, _ fires: [Fire], _ compiled: CompiledSchedule, in transaction: PostgresTransaction
    ) async throws -> [Call] {
        let fences = Dictionary(fires.map { ($0.id, $0.fence) }, uniquingKeysWith: { max($0, $1) })
        var writer = LifeWriter(names: names, at: plan.rule.now)
        for open in try await LifeTable.lock(plan.retries.sorted(), in: transaction) {
            guard open.execution.claimedBy == instance, open.life.fence == fences[open.life.execution],
                let change = try? open.life.taking(
                    .takenBack(due: open.execution.dueAt), under: compiled.life, at: plan.rule.now)
            else { continue }
            var execution = open.execution
            execution.isRecalled = false
            writer.write(change, of: execution, by: compiled, payload: open.payload)
        }
        return writer.writes().calls
    }

    private func skip(
        _ plan: RecallPlan, _ timer: inout Timer, _ schedule: Schedule, _ compiled: CompiledSchedule
    ) -> (calls: [Call], events: [EventTeller.Owed]) {
        let now = plan.rule.now
        var skipped: [Execution] = []
        for (waiting, reason) in plan.skipped {
            skipped.append(waiting.skipped(reason, version: schedule.version, timer: &timer, now: now))
        }
        var random = SystemRandomNumberGenerator()
        let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
        let open = OpenClaim(claim, executions: skipped.count)
        let events = skipped.map {
            EventTeller.Owed.execution(
                ExecutionEvent(
                    $0, scheduleName: compiled.name, namespace: compiled.namespace,
                    payloadSHA256: compiled.payloadSHA256, finishedAt: now),
                open)
        }
        let journal = ClaimTable.insert(claim, by: instance, at: now, executions: skipped.map(\.id))
        return ([ExecutionTable.skip(skipped, at: now), journal], events)
    }

    private func follow(_ outcome: Outcome, of fires: [Fire]) {
        publisher.admit(
            fires.filter { outcome.kept.contains($0.id) }.map { $0.refreshed(as: outcome.schedule) })
        teller.settleWithoutEvent(fires.filter { !outcome.kept.contains($0.id) }.map(\.claim))
        teller.owe(outcome.events)
    }
}

extension Fire {
    /// This one, as those see it who decide what becomes of it.
    fileprivate func recalled(since now: Instant) -> RecalledClaim {
        RecalledClaim(waiting(since: now), attempt: attempt, isTracked: isTracked)
    }
}
