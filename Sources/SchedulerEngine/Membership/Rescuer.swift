package import Logging
import NATSClient
package import PostgresClient
import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire
import Synchronization

/// Takes over what fenced members left: executions that they claimed and did not record are published again with the
/// same ids, and events that nobody acknowledged are told again with the same ids.
///
/// The journal row is taken whole and under a lock that others pass over, so two rescuers never hold one claim. What is
/// published twice by this, a stream refuses by its `Nats-Msg-Id`; where the stream's memory may have ended meanwhile,
/// the execution is marked `uncertain` (``DispatchDecision/isUncertain``), and not published where at most one copy may
/// be.
///
/// What may not be published any more ends here: `skipped/target_revoked` where the allow-list has changed meanwhile,
/// `dead` where the schedule cannot be read or is gone, `dead/uncertain` where at most one copy may be, and nobody would
/// drop a second one. One such schedule keeps no other execution of its claim waiting.
package final class Rescuer: Sendable {
    private let instance: InstanceID
    private let names: SubjectNames
    private let clock: PostgresClock
    private let compiler: ScheduleCompiler
    private let logger: Logger
    private let deliver: @Sendable (_ fires: [Fire], _ events: [EventTeller.Owed]) -> Void

    package init(
        instance: InstanceID, names: SubjectNames, clock: PostgresClock, compiler: ScheduleCompiler, logger: Logger,
        deliver: @escaping @Sendable (_ fires: [Fire], _ events: [EventTeller.Owed]) -> Void
    ) {
        self.instance = instance
        self.names = names
        self.clock = clock
        self.compiler = compiler
        self.logger = logger
        self.deliver = deliver
    }

    /// Takes over every abandoned claim there is. - Returns: how many.
    package func rescueAll(on connection: PostgresConnection) async throws -> Int {
        var rescued = 0
        while !Task.isCancelled, try await rescueOne(on: connection) { rescued += 1 }
        return rescued
    }

    /// What is left is read before it is adopted, in one transaction whose outcome is always learned: an adopted claim
    /// that this instance did not know of would be nobody's, for as long as the instance lives.
    private func rescueOne(on connection: PostgresConnection) async throws -> Bool {
        let (taken, rows) = try await SettledTransaction.run(on: connection) {
            [self] transaction -> (value: (Abandoned, Writes)?, calls: [Call]) in
            guard let claim = try await ClaimTable.takeAbandoned(in: transaction) else { return (nil, []) }
            let rows = try await ClaimTable.rows(of: claim.executions, on: transaction)
            try await compiler.targets.catchUp(on: transaction)
            let fetched = try await ScheduleTable.fetch(Array(Set(rows.map(\.execution.schedule))), on: transaction)
            let holders = holders(of: fetched)
            let switches = try await ShadowTable.switches(since: edited(rows, holders), on: transaction)
            var abandoned = Abandoned(claim, rows, holders, switches, at: clock.now())
            // Timers before rows, as everybody locks them.
            let over = Set(abandoned.endings.map(\.schedule)).sorted()
            if !over.isEmpty { _ = try await TimerTable.lockAll(over, in: transaction) }
            abandoned.adopted(
                try await ClaimTable.adopt(claim.executions, from: claim.owner, by: instance, in: transaction))
            for (version, ids) in abandoned.refreshed {
                _ = try await RecallTable.refresh(ids, of: instance, version: version, in: transaction)
            }
            let writes = try await writes(adopting: abandoned, over, in: transaction)
            return ((abandoned, writes), writes.calls)
        }
        guard let (abandoned, writes) = taken else { return false }
        if let rows { deliver([], try writes.owed(rows)) }
        for (id, words) in abandoned.given { log(id, words) }
        try await resume(abandoned, on: connection)
        return true
    }

    private func log(_ id: ExecutionID, _ words: String) {
        logger.error(
            "an execution of a lost member cannot be published, and is given up",
            metadata: ["execution_id": "\(id)", "reason": "\(words)"])
    }

    private func holders(of fetched: ScheduleTable.Fetched) -> [ScheduleID: Holder] {
        var holders: [ScheduleID: Holder] = [:]
        for schedule in fetched.schedules { holders[schedule.id] = .ready(compiler.compile(schedule)) }
        for unreadable in fetched.unreadable { holders[unreadable.id] = .unreadable(unreadable) }
        return holders
    }

    /// What was claimed by another version of its schedule than there is now: that may have been in shadow, or not.
    private func edited(
        _ rows: [(execution: Execution, payload: [UInt8]?)], _ holders: [ScheduleID: Holder]
    ) -> [ExecutionID] {
        rows.compactMap { execution, _ in
            guard execution.state == .claimed, case .ready(let schedule) = holders[execution.schedule],
                schedule.version != execution.scheduleVersion
            else { return nil }
            return execution.id
        }
    }

    /// The writes of a rescue; the timers of what ends are locked.
    private func writes(
        adopting abandoned: Abandoned, _ over: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> Writes {
        var writes = Writes([InstanceTable.hold(instance), ClaimTable.adopt(abandoned.id, by: instance)])
        guard !abandoned.endings.isEmpty else { return writes }
        writes += [
            ExecutionTable.end(abandoned.endings.map(\.ending), by: instance, at: abandoned.now),
            RunTable.delete(abandoned.endings.map(\.ending.id)),
        ]
        writes.tellFollowers(
            abandoned.endings.map { .init(execution: $0.ending.id, schedule: $0.schedule, state: $0.ending.state) },
            at: abandoned.now)
        writes.owe(letters(of: abandoned), at: abandoned.now)
        writes += [FailureTable.note(over, at: abandoned.now)]
        writes.exhaustIdle(over, at: abandoned.now)
        return writes
    }

    /// What those leave behind that gave up, as far as it is known what they would have sent.
    private func letters(of abandoned: Abandoned) -> [OwedMessage] {
        abandoned.rows.compactMap { execution, payload in
            guard execution.state == .dead, execution.finishedAt == abandoned.now,
                case .ready(let schedule) = abandoned.holders[execution.schedule]
            else { return nil }
            return names.letter(of: execution, by: schedule, payload)
        }
    }

    /// Builds anew what the claim's first owner held in memory.
    private func resume(_ abandoned: Abandoned, on connection: PostgresConnection) async throws {
        let claim = OpenClaim(abandoned.id, executions: abandoned.executions.count)
        var fires: [Fire] = []
        var events: [EventTeller.Owed] = []
        var settled = abandoned.executions.count - abandoned.rows.count
        for (execution, payload) in abandoned.rows {
            if abandoned.holds(execution), case .ready(let schedule) = abandoned.holders[execution.schedule] {
                fires.append(fire(execution, payload, of: schedule, claim, abandoned))
            } else if execution.isToldFromJournal,
                let event = event(execution, payload, of: abandoned.holders[execution.schedule], claim)
            {
                events.append(event)
            } else {
                settled += 1
            }
        }
        deliver(fires, events)
        // Given back by the dead member, or of a schedule long forgotten: nothing is owed for them.
        if settled > 0, claim.settle(settled) { try await settle(abandoned.id, on: connection) }
    }

    private func settle(_ id: ClaimTable.ClaimID, on connection: PostgresConnection) async throws {
        _ = try await connection.pipeline([InstanceTable.hold(instance), ClaimTable.delete([id])])
    }

    private func fire(
        _ execution: Execution, _ payload: [UInt8]?, of schedule: CompiledSchedule, _ claim: OpenClaim,
        _ abandoned: Abandoned
    ) -> Fire {
        Fire(
            id: execution.id, schedule: schedule, claim: claim, scheduledFor: execution.scheduledFor,
            dueAt: execution.dueAt, fence: execution.fence, attempt: execution.attempt,
            generation: execution.generation, missedCount: execution.missedCount, ordinal: execution.ordinal,
            origin: execution.origin, trigger: execution.trigger,
            // A backfill yields to what is on time, whoever holds it.
            kind: execution.origin == .backfill ? .backfilled : .onTime, isTracked: execution.isTracked,
            isShadow: abandoned.isShadow(execution, of: schedule), causedBy: execution.causedBy,
            // Whether it was a schedule's last is not in the row: let the record ask.
            isLast: execution.origin == .time || execution.origin == .event, payload: payload,
            sentSince: execution.sendableAt <= clock.now() && abandoned.mayHaveBeenSent(execution, of: schedule)
                ? execution.sendableAt : nil, claimedAt: execution.claimedAt, trace: execution.trace)
    }

    /// Nil where nobody knows what the schedule was called: then there is no subject to tell it on.
    private func event(
        _ execution: Execution, _ payload: [UInt8]?, of holder: Holder?, _ claim: OpenClaim
    ) -> EventTeller.Owed? {
        let names: (namespace: String, name: String)
        let hash: String?
        switch holder {
        case .ready(let schedule):
            names = (schedule.namespace, schedule.name)
            hash = schedule.payloadSHA256(of: execution, own: payload)
        case .unreadable(let unreadable):
            guard let known = unreadable.names else { return nil }
            names = known
            hash = payload.map { Digest.hexadecimal(Digest.sha256($0)) }
        case nil: return nil
        }
        let event = ExecutionEvent(
            execution, scheduleName: names.name, namespace: names.namespace, payloadSHA256: hash,
            finishedAt: execution.finishedAt ?? clock.now())
        return .execution(event, claim)
    }
}

extension Rescuer {
    /// What there is of a schedule.
    fileprivate enum Holder: Sendable {
        case ready(CompiledSchedule)
        case unreadable(ScheduleTable.Unreadable)
    }

    /// A claim that was taken over, and what of it ends at once.
    fileprivate struct Abandoned: Sendable {
        let id: ClaimTable.ClaimID
        let executions: [ExecutionID]
        let fencedAt: Instant
        let holders: [ScheduleID: Holder]
        /// The first of each since it was claimed.
        private let switches: [ExecutionID: ShadowSwitch]
        let now: Instant
        /// As they will stand once the rescue is committed.
        private(set) var rows: [(execution: Execution, payload: [UInt8]?)]
        private(set) var endings: [(schedule: ScheduleID, ending: ExecutionTable.Ending)] = []
        /// What is given up for a fault of ours or of the database, for the log.
        private(set) var given: [(id: ExecutionID, words: String)] = []
        /// What is this instance's from now on.
        private var adopted: Set<ExecutionID> = []

        /// What somebody else than the claim's owner holds by now is left to him.
        init(
            _ claim: ClaimTable.AbandonedClaim, _ rows: [(execution: Execution, payload: [UInt8]?)],
            _ holders: [ScheduleID: Holder], _ switches: [ExecutionID: ShadowSwitch], at now: Instant
        ) {
            id = claim.id
            executions = claim.executions
            fencedAt = claim.fencedAt
            self.holders = holders
            self.switches = switches
            self.now = now
            self.rows = rows
            for index in rows.indices
            where rows[index].execution.state == .claimed && rows[index].execution.claimedBy == claim.owner {
                decide(index)
            }
        }

        /// Says what was had.
        mutating func adopted(_ ids: Set<ExecutionID>) {
            adopted = ids
            let lost = Set(endings.map(\.ending.id)).subtracting(ids)
            rows.removeAll { lost.contains($0.execution.id) }
            endings.removeAll { !ids.contains($0.ending.id) }
            given.removeAll { !ids.contains($0.id) }
        }

        /// Whether it is this instance's to publish.
        func holds(_ execution: Execution) -> Bool {
            execution.state == .claimed && adopted.contains(execution.id)
        }

        /// Whether its claimant may have sent it. Of what it held in shadow it sent nothing.
        func mayHaveBeenSent(_ execution: Execution, of schedule: CompiledSchedule) -> Bool {
            guard !(switches[execution.id]?.wasShadow ?? schedule.isShadow) else { return false }
            return DispatchDecision.mayHaveBeenSent(sendableAt: execution.sendableAt, fencedAt: fencedAt)
        }

        /// Whether nothing of it is published: what was claimed before a switch has been promised as it was.
        func isShadow(_ execution: Execution, of schedule: CompiledSchedule) -> Bool {
            guard let change = switches[execution.id] else { return schedule.isShadow }
            return change.shadows(
                sendableAt: execution.sendableAt, mayHaveBeenSent: mayHaveBeenSent(execution, of: schedule),
                isShadow: schedule.isShadow)
        }

        /// By the versions of their schedules, those that a switch has made another thing than they were claimed as.
        /// Whoever should rescue them once more must take them for what they are now.
        var refreshed: [Int64: [ExecutionID]] {
            var refreshed: [Int64: [ExecutionID]] = [:]
            for (execution, _) in rows where holds(execution) {
                guard let change = switches[execution.id],
                    case .ready(let schedule) = holders[execution.schedule],
                    isShadow(execution, of: schedule) != change.wasShadow
                else { continue }
                refreshed[schedule.version, default: []].append(execution.id)
            }
            return refreshed
        }

        /// Whether an execution may still be published; where it may not, it ends.
        private mutating func decide(_ index: Int) {
            let execution = rows[index].execution
            switch holders[execution.schedule] {
            case .ready(let schedule):
                guard let fault = schedule.publishingFault else {
                    if schedule.dispatch.forbidsSecondCopy, mayHaveBeenSent(execution, of: schedule) {
                        rows[index].execution.outcome = DispatchEnd.uncertainWord
                        end(index, .dead, DispatchEnd.uncertainWord)
                    }
                    return
                }
                if case .target = fault.kind {
                    end(index, .skipped, SkipReason.targetRevoked.rawValue)
                } else {
                    giveUp(index, fault.description)
                }
            case .unreadable(let unreadable): giveUp(index, unreadable.fault)
            case nil: giveUp(index, "the schedule is gone")
            }
        }

        private mutating func giveUp(_ index: Int, _ words: String) {
            given.append((rows[index].execution.id, words))
            end(index, .dead, words)
        }

        private mutating func end(_ index: Int, _ state: ExecutionState, _ reason: String) {
            rows[index].execution.state = state
            rows[index].execution.reason = reason
            rows[index].execution.finishedAt = now
            let execution = rows[index].execution
            endings.append(
                (
                    execution.schedule,
                    ExecutionTable.Ending(
                        id: execution.id, state: state, firedAt: execution.firedAt, reason: reason,
                        outcome: execution.outcome, ackStream: nil, ackSequence: nil)
                ))
        }
    }
}

extension Execution {
    /// From when on its claimant could send it: claimed, and due.
    fileprivate var sendableAt: Instant { max(dueAt, claimedAt) }

    /// Whether the journal owes the event of its end. What has a life tells by messages of its own, and while it is open
    /// the journal has nothing to tell; an end that both tell has one id.
    fileprivate var isToldFromJournal: Bool {
        isTracked ? state == .skipped || state == .dead : isOver
    }
}
