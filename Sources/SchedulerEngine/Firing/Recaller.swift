import NATSClient
package import PostgresClient
import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Gives back what a command takes back: occurrences that this instance has claimed and not yet handed to NATS.
///
/// The row goes, the counter and the timer go back, as if nobody had claimed it; where the command has ended the
/// occurrence's time meanwhile (a deletion, another timing), what was due before that is written down as skipped, what
/// was not is no occurrence any more.
///
/// Where the command changed neither the time nor the state (another payload, say), the claim stands: the execution is
/// fired as the schedule is now. Given back a moment before its time, it would meet the next one at its second claim,
/// and a misfire policy would decide over occurrences that nobody missed.
package final class Recaller: Sendable {
    private let instance: InstanceID
    private let clock: PostgresClock
    private let compiler: ScheduleCompiler
    private let publisher: Publisher
    private let records: RecordQueue
    private let teller: EventTeller

    package init(
        instance: InstanceID, clock: PostgresClock, compiler: ScheduleCompiler, publisher: Publisher,
        records: RecordQueue, teller: EventTeller
    ) {
        self.instance = instance
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
        guard !withdrawn.isEmpty else { return }
        do {
            try await giveBack(withdrawn, of: schedule, mayKeep: true, on: connection)
        } catch {
            // Nothing was given back: they stay this instance's, and the record tells.
            publisher.admitAgain(withdrawn)
            throw error
        }
    }

    /// What backfills and retries opened ends with the schedule, and with its pause. An edit leaves it alone: what is
    /// waiting goes out as it was asked for, and the edit's reply names it.
    private func endCommanded(of id: ScheduleID, on connection: PostgresConnection) async throws {
        let state = try await ScheduleTable.fetch([id], on: connection).schedules.first?.state
        switch state {
        case .paused, .deleted, .invalid, nil:
            publisher.endCommanded(of: id, reason: "the schedule is \(state?.rawValue ?? "gone")")
        case .active, .exhausted: break
        }
    }

    /// Gives back what a freeze holds from now on. The freezes are read anew, so it may be asked at any time.
    package func recallFrozen(on connection: PostgresConnection) async throws {
        let freezes = try await FreezeTable.current(endingAfter: clock.now(), on: connection)
        let withdrawn = publisher.recall { fire in
            freezes.contains {
                $0.holds(at: fire.dueAt)
                    && $0.concerns(namespace: fire.schedule.namespace, target: fire.schedule.target)
            }
        }
        try await giveBack(withdrawn, on: connection)
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
        try await giveBack(publisher.recall(where: isRefused), on: connection)
    }

    /// Gives back what was withdrawn of many schedules.
    private func giveBack(_ withdrawn: [Fire], on connection: PostgresConnection) async throws {
        var failure: (any Error)?
        for (schedule, fires) in Dictionary(grouping: withdrawn, by: \.schedule.id) {
            do { try await giveBack(fires, of: schedule, mayKeep: false, on: connection) } catch {
                // Its own trouble: the others are given back all the same.
                publisher.admitAgain(fires)
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Gives back everything, for a member that leaves: what is due first comes first, for a second at most. What is
    /// left then is rescued as soon as the member has fenced itself, which takes claims whole and is quicker for many.
    package func recallAll(on connection: PostgresConnection) async throws {
        let withdrawn = Dictionary(grouping: publisher.recallAll(), by: \.schedule.id)
            .map { (schedule: $0, fires: $1, dueAt: $1.map(\.dueAt).min() ?? .latest) }
            .sorted { $0.dueAt < $1.dueAt }
        let deadline = ContinuousClock.now + .seconds(1)
        for (schedule, fires, _) in withdrawn where ContinuousClock.now < deadline {
            try await giveBack(fires, of: schedule, mayKeep: false, on: connection)
        }
    }

    /// What became of claims that were taken back.
    private enum Outcome: Sendable {
        /// They stand, as the schedule is now.
        case kept(CompiledSchedule, Set<ExecutionID>)
        /// They are gone; what was skipped instead is owed its events.
        case givenBack([EventTeller.Owed])
    }

    /// Keeps what was taken back, as the schedule is now, if its time and state are what they were.
    private func keep(
        _ fires: [Fire], _ schedule: Schedule, _ timer: Timer, in transaction: PostgresTransaction
    ) async throws -> Outcome? {
        guard schedule.state == .active, fires.allSatisfy({ $0.generation == timer.generation }) else { return nil }
        try await compiler.targets.catchUp(on: transaction)
        try await compiler.load([schedule], on: transaction)
        let compiled = compiler.compile(schedule)
        // A calendar may say otherwise by now.
        guard compiled.fault == nil, fires.allSatisfy({ compiled.planner.stillFires($0.scheduledFor, by: $0.dueAt) })
        else { return nil }
        let kept = try await RecallTable.refresh(
            fires.map(\.id), of: instance, version: schedule.version, in: transaction)
        return .kept(compiled, kept)
    }

    private func giveBack(
        _ fires: [Fire], of id: ScheduleID, mayKeep: Bool, on connection: PostgresConnection
    ) async throws {
        var random = SystemRandomNumberGenerator()
        let claim = ClaimTable.ClaimID(.version7(at: clock.now(), random: &random))
        let isTracked = Set(fires.filter(\.isTracked).map(\.id))
        let (outcome, _) = try await SettledTransaction.run(on: connection) {
            [self] transaction -> (value: Outcome, calls: [Call]) in
            guard var timer = try await TimerTable.lock(id, in: transaction),
                let schedule = try await ScheduleTable.fetch([id], on: transaction).schedules.first
            else { throw EngineError(.unreadable, "schedule \(id) cannot be read: its claims cannot be given back") }
            if mayKeep, let kept = try await keep(fires, schedule, timer, in: transaction) {
                return (kept, [InstanceTable.hold(instance)])
            }
            let given = try await RecallTable.giveBack(fires.map(\.id), of: instance, in: transaction)
            let now = clock.now()
            let own = given.filter { $0.origin == .time }
            var current = own.filter { $0.generation == timer.generation }
            let heard = given.filter { $0.origin == .event && $0.generation == timer.generation }
            var skipped: [Execution] = []
            var waiting: [WaitingOccurrence] = []
            if schedule.state == .deleted {
                skipped = skips(own.filter { $0.dueAt <= schedule.updatedAt }, .deleted, schedule, &timer, now)
            } else {
                // The timer cannot go back to it: others have been decided over since, and have their rows.
                let passed = current.filter { $0.dueAt <= now && isTracked.contains($0.id) }
                current.removeAll { row in passed.contains { $0.id == row.id } }
                if schedule.state == .active {
                    waiting = passed.compactMap { row in fires.first { $0.id == row.id }?.waiting(since: now) }
                } else {
                    let reason: SkipReason = schedule.state == .invalid ? .targetRevoked : .paused
                    timer.runCount -= Int64(passed.count)
                    skipped = skips(passed, reason, schedule, &timer, now)
                }
                timer.runCount -= Int64(current.count + heard.count)
                restore(current, to: &timer, of: schedule)
                restore(heard: heard, to: &timer, of: schedule)
                let old = own.filter { $0.generation != timer.generation && $0.dueAt <= schedule.updatedAt }
                skipped += skips(old, .superseded, schedule, &timer, now)
            }
            var calls = [InstanceTable.hold(instance)]
            if !isTracked.isEmpty { calls.append(RunTable.delete(given.map(\.id))) }
            if !waiting.isEmpty { calls.append(BufferTable.insert(waiting, at: now)) }
            if schedule.state != .deleted {
                calls.append(TimerTable.update(timer, priority: schedule.definition.priority))
                if !heard.isEmpty { calls.append(EventTable.add(heard.map { addition($0, schedule) }, to: timer)) }
            }
            if !skipped.isEmpty {
                calls.append(ExecutionTable.skip(skipped, at: now))
                calls.append(ClaimTable.insert(claim, by: instance, at: now, executions: skipped.map(\.id)))
            }
            let events = Self.events(of: skipped, schedule, OpenClaim(claim, executions: skipped.count), now)
            return (.givenBack(events), calls)
        }
        follow(outcome, of: fires)
    }

    private func follow(_ outcome: Outcome, of fires: [Fire]) {
        switch outcome {
        case .kept(let schedule, let kept):
            publisher.admit(fires.filter { kept.contains($0.id) }.map { $0.refreshed(as: schedule) })
            teller.settleWithoutEvent(fires.filter { !kept.contains($0.id) }.map(\.claim))
        case .givenBack(let skipped):
            teller.settleWithoutEvent(fires.map(\.claim))
            teller.owe(skipped)
        }
    }

    private static func events(
        of skipped: [Execution], _ schedule: Schedule, _ claim: OpenClaim, _ now: Instant
    ) -> [EventTeller.Owed] {
        let hash = Digest.hexadecimal(Digest.sha256(schedule.definition.payload))
        return skipped.map {
            .execution(
                ExecutionEvent(
                    $0, scheduleName: schedule.definition.name.description,
                    namespace: schedule.namespace.description, payloadSHA256: hash, finishedAt: now),
                claim)
        }
    }

    /// The earliest of what was given back is the next to come again: at once while active, from the resume on while
    /// paused.
    private func restore(_ given: [RecallTable.GivenBack], to timer: inout Timer, of schedule: Schedule) {
        guard let first = given.map(\.scheduledFor).min(), let due = given.map(\.dueAt).min() else { return }
        switch schedule.state {
        case .active:
            timer.nextFireAt = min(timer.nextFireAt ?? due, due)
            // Where it was moved, its due time does not say which occurrence it is.
            let isMoved = due != first.adding(milliseconds: schedule.spreadOffset)
            let isPlaced = !schedule.definition.timing.constraint.isEmpty || timer.resumeFrom != nil
            if isMoved || isPlaced { timer.resumeFrom = min(timer.resumeFrom ?? first, first) }
        case .paused, .invalid: timer.resumeFrom = min(timer.resumeFrom ?? first, first)
        case .exhausted, .deleted: break
        }
    }

    /// Messages wait again, as they did before they were claimed.
    private func restore(heard: [RecallTable.GivenBack], to timer: inout Timer, of schedule: Schedule) {
        guard let due = heard.map(\.dueAt).min() else { return }
        switch schedule.state {
        case .active: timer.nextFireAt = min(timer.nextFireAt ?? due, due)
        case .paused, .invalid: timer.resumeFrom = min(timer.resumeFrom ?? due, due)
        case .exhausted, .deleted: break
        }
    }

    private func addition(_ row: RecallTable.GivenBack, _ schedule: Schedule) -> EventTable.Addition {
        EventTable.Addition(
            occurrence: Occurrence(
                schedule: schedule.id, generation: row.generation, origin: .event, scheduledFor: row.scheduledFor,
                ordinal: row.ordinal), dueAt: row.dueAt, message: row.payload)
    }

    private func skips(
        _ given: [RecallTable.GivenBack], _ reason: SkipReason, _ schedule: Schedule, _ timer: inout Timer,
        _ now: Instant
    ) -> [Execution] {
        given.map { row in
            timer.fireSequence += 1
            var execution = Execution(
                id: row.id, schedule: schedule.id, scheduledFor: row.scheduledFor, dueAt: row.dueAt, state: .skipped,
                origin: .time, trigger: schedule.definition.timing.trigger, generation: row.generation,
                scheduleVersion: schedule.version, attempt: 0, fence: timer.fireSequence, claimedAt: now)
            execution.reason = reason.rawValue
            return execution
        }
    }
}
