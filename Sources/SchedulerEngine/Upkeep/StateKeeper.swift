import Logging
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Keeps the states of schedules true where no command and no fire does: invalid ones heal when their cause is gone.
///
/// Every instance does it, without a lock in NATS: each change is made under the schedule's own locks and looks at the
/// state again, so that whoever comes second finds nothing to do.
struct StateKeeper: Sendable {
    let session: Session

    /// Between two looks at the invalid ones, where nothing says that a cause may be gone.
    private static let round = Duration.seconds(20)
    private static let invalidPage = 200

    /// The service's loop: looks at once, then again and again, and when the allow-list has changed.
    func run() async throws {
        while true {
            do { try await healInvalid() } catch {
                try Task.checkCancellation()
                session.logger.warning("a look at the schedules failed", metadata: ["error": "\(error)"])
            }
            try Task.checkCancellation()
            await session.healing.wait(atMost: Self.round)
        }
    }

    /// Looks at all invalid schedules, a page at a time, and heals those whose cause is gone.
    func healInvalid() async throws {
        var cursor: ScheduleID?
        repeat {
            let after = cursor
            let page = try await session.pool.withConnection {
                try await InvalidTable.list(after: after, limit: Self.invalidPage, on: $0)
            }
            try await session.pool.withConnection { try await session.compiler.load(page.schedules, on: $0) }
            for schedule in page.schedules where session.compiler.compile(schedule).fault == nil {
                do { try await heal(schedule.id) } catch let error as PostgresError
                    where !error.isConnectionLoss && error.sqlState != InstanceTable.fencedState
                {
                    // Its own trouble: the others are looked at all the same.
                    session.logger.warning(
                        "a schedule could not be healed",
                        metadata: ["schedule": "\(schedule.id)", "error": "\(error)"])
                }
            }
            cursor = page.next
        } while cursor != nil
    }

    /// Heals one. What passed while it was invalid is skipped, as after a pause.
    private func heal(_ id: ScheduleID) async throws {
        let (healed, rows) = try await session.pool.withConnection { connection in
            try await SettledTransaction.run(on: connection) { transaction -> (value: Healing?, calls: [Call]) in
                // Looked at again under the locks: a command or another instance may have been quicker.
                guard let timer = try await TimerTable.lock(id, in: transaction),
                    let schedule = try await ScheduleTable.hold(id, in: transaction), schedule.state == .invalid
                else { return (nil, []) }
                try await session.compiler.targets.catchUp(on: transaction)
                try await session.compiler.load([schedule], on: transaction)
                guard let healing = Healing(schedule, timer, by: session)
                else { return (nil, []) }
                return (healing, healing.writes.calls)
            }
        }
        guard let healed else { return }
        session.teller.owe(healed.events + (try rows.map { try healed.writes.owed($0) } ?? []))
        session.logger.notice("a schedule is valid again", metadata: ["schedule": "\(id)"])
        if healed.isSoon { session.hint() }
    }
}

/// What heals one schedule: where its timer goes on, and what passed meanwhile.
private struct Healing: Sendable {
    let writes: Writes
    let events: [EventTeller.Owed]
    let isSoon: Bool

    /// Nil where the schedule still has a fault.
    init?(_ schedule: Schedule, _ timer: Timer, by session: Session) {
        let compiled = session.compiler.compile(schedule)
        guard compiled.fault == nil else { return nil }
        let now = session.clock.now()
        var timer = timer
        let resumed = compiled.planner.resume(
            from: timer.resumeFrom, now: now, catchUp: false, reason: .targetRevoked)
        var writes = Writes([InstanceTable.hold(session.instance)])
        var events: [EventTeller.Owed] = []
        if let run = resumed.skipped {
            let executions = run.executions(
                of: schedule.id, offset: compiled.planner.offset, trigger: compiled.planner.trigger,
                version: schedule.version, timer: &timer, now: now)
            var random = SystemRandomNumberGenerator()
            let claim = ClaimTable.ClaimID(.version7(at: now, random: &random))
            writes += [
                ExecutionTable.skip(executions, at: now),
                ClaimTable.insert(claim, by: session.instance, at: now, executions: executions.map(\.id)),
            ]
            let open = OpenClaim(claim, executions: executions.count)
            events = executions.map {
                .execution(
                    ExecutionEvent(
                        $0, scheduleName: compiled.name, namespace: compiled.namespace,
                        payloadSHA256: compiled.payloadSHA256, finishedAt: now),
                    open)
            }
        }
        timer.stand(at: resumed.position)
        timer.fireSequence += 1
        writes += InvalidTable.heal(schedule, timer, at: now)
        writes += [RetryTable.release(schedule.id, at: now)]
        writes.audit(InvalidTable.entry(healing: schedule, timer, at: now))
        // Its last occurrence may have passed meanwhile.
        if timer.nextFireAt == nil { writes.exhaustIdle([schedule.id], at: now) }
        self.writes = writes
        self.events = events
        isSoon = timer.nextFireAt.map { $0.milliseconds(since: now) <= Lookahead.shortest + 200 } ?? false
    }
}
