package import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Turns changes of lives into the writes of one transaction: the ledger's rows, their lives, what is owed to others, and
/// the schedules that may be over by it.
///
///     var writer = LifeWriter(names: names, at: now)
///     writer.write(change, of: open.execution, by: schedule, payload: open.payload)
///     let writes = writer.writes()
///
/// The caller holds the timers' locks of all the schedules, and those of the executions' rows: timers, then executions,
/// then runs, as everybody locks them (``LifeTable/lock(_:in:)``). Once the transaction is committed it hands
/// ``Writes/owed(_:)`` to the ``EventTeller``, adds ``ended`` to ``UnendedSchedules`` and asks the ``workersToStop``.
/// Where the answer to the COMMIT is lost, the sweep tells what is owed.
package struct LifeWriter: Sendable {
    /// A worker that is to be asked to stop, on `<p>.run.<namespace>.<execution_id>.cancel`.
    package struct WorkerToStop: Hashable, Sendable {
        package let namespace: String
        package let execution: ExecutionID
        package let attempt: Int32
        package let fence: Int64
        package let reason: String?
    }

    private let names: SubjectNames
    private let now: Instant
    /// As they stand after their last change: one transaction may take an execution several steps.
    private var executions: [ExecutionID: (execution: Execution, result: [UInt8]?)] = [:]
    private var open: [ExecutionID: Life] = [:]
    private var closed: [ChainTable.End] = []
    private var messages: [OwedMessage] = []
    /// What is counted and traced of each message.
    private var steps: [LifeStep?] = []
    /// Schedules of which something ended, and which may be over by that.
    package private(set) var ended: Set<ScheduleID> = []
    /// Schedules of which an execution gave up.
    private var failing: Set<ScheduleID> = []
    package private(set) var workersToStop: [WorkerToStop] = []

    package init(names: SubjectNames, at now: Instant) {
        self.names = names
        self.now = now
    }

    package var isEmpty: Bool { executions.isEmpty }

    /// Adds one execution's change.
    /// - Parameters:
    ///   - execution: as its row stands, but for what the caller knows better: when it was fired, how it was
    ///     acknowledged, and of one that is opened again its claimant and its due time.
    ///   - payload: what it sends in place of the schedule's, as the row has it.
    ///   - result: what its worker gave back: JSON, at most 4 KiB; nil leaves what was there.
    /// - Returns: the execution as it stands then, for a further change of it.
    @discardableResult
    package mutating func write(
        _ change: LifeChange, of execution: Execution, by schedule: CompiledSchedule, payload: [UInt8]? = nil,
        result: [UInt8]? = nil
    ) -> Execution {
        let life = change.life
        let before = execution.state
        let execution = execution.brought(to: life, at: now)
        executions[execution.id] = (execution, result ?? executions[execution.id]?.result)
        if life.isOver {
            open[life.execution] = nil
            closed.append(ChainTable.End(execution: life.execution, schedule: life.schedule, state: life.state))
            ended.insert(life.schedule)
        } else {
            open[life.execution] = life
        }
        for tell in change.tells {
            messages.append(event(tell, of: execution, life, by: schedule, payload))
            steps.append(LifeStep(tell, of: execution, life, before: before, by: schedule, at: now))
        }
        if life.state == .dead {
            failing.insert(life.schedule)
            messages.append(names.letter(of: execution, by: schedule, payload))
            steps.append(nil)
        }
        if change.asksWorkerToStop {
            workersToStop.append(
                WorkerToStop(
                    namespace: schedule.namespace, execution: life.execution, attempt: life.attempt,
                    fence: life.fence, reason: life.reason))
        }
        return execution
    }

    /// The same for one execution alone.
    package static func write(
        _ change: LifeChange, of execution: Execution, by schedule: CompiledSchedule, payload: [UInt8]? = nil,
        result: [UInt8]? = nil, names: SubjectNames, at now: Instant
    ) -> (writes: Writes, workersToStop: [WorkerToStop]) {
        var writer = LifeWriter(names: names, at: now)
        writer.write(change, of: execution, by: schedule, payload: payload, result: result)
        return (writer.writes(), writer.workersToStop)
    }

    /// The calls, without the one that holds the membership.
    package func writes() -> Writes {
        var writes = Writes([])
        guard !executions.isEmpty else { return writes }
        writes += [LifeTable.change(executions.values.sorted { $0.execution.id < $1.execution.id })]
        // In one order with everybody who writes several.
        if !open.isEmpty { writes += [RunTable.keep(open.values.sorted { $0.execution < $1.execution })] }
        if !closed.isEmpty {
            writes += [RunTable.delete(closed.map(\.execution).sorted())]
            writes.tellFollowers(closed, at: now)
        }
        if !messages.isEmpty { writes.owe(messages, steps: steps, at: now) }
        if !failing.isEmpty { writes += [FailureTable.note(failing.sorted(), at: now)] }
        if !ended.isEmpty { writes.exhaustIdle(ended.sorted(), at: now) }
        return writes
    }

    private func event(
        _ tell: LifeTell, of execution: Execution, _ life: Life, by schedule: CompiledSchedule, _ payload: [UInt8]?
    ) -> OwedMessage {
        var event = ExecutionEvent(
            execution, scheduleName: schedule.name, namespace: schedule.namespace,
            payloadSHA256: schedule.payloadSHA256(of: execution, own: payload), finishedAt: now)
        if tell == .retrying { event.retryAt = life.deadline?.at }
        let text = EventText(event, tell: tell, source: names.source)
        return OwedMessage(
            stream: names.eventsStream, subject: text.subject(prefix: names.prefix), messageID: text.id,
            contentType: CloudEvent.contentType, body: text.body)
    }

}

extension SubjectNames {
    /// What an execution leaves behind that gave up.
    /// - Parameter payload: what it sends in place of the schedule's.
    func letter(
        of execution: Execution, by schedule: CompiledSchedule, _ payload: [UInt8]?
    ) -> OwedMessage {
        let letter = DeadLetter(
            execution, scheduleName: schedule.name, namespace: schedule.namespace, target: schedule.target,
            delivery: schedule.delivery, headers: schedule.userHeaders,
            payload: schedule.payload(of: execution, own: payload))
        return OwedMessage(
            stream: deadLetterStream, subject: letter.subject(prefix: prefix), messageID: letter.id,
            contentType: "application/json", body: letter.body)
    }
}

extension Execution {
    /// This execution where a life stands now.
    fileprivate func brought(to life: Life, at now: Instant) -> Execution {
        var execution = self
        execution.state = life.state
        execution.attempt = life.attempt
        execution.fence = life.fence
        execution.startedAt = life.startedAt ?? (life.state == .claimed ? nil : startedAt)
        execution.lastOutcome = life.lastOutcome
        // Open again: what was said of the attempt before is in its events.
        execution.reason = life.state == .claimed ? nil : life.reason
        execution.finishedAt = life.isOver ? now : nil
        return execution
    }
}
