import PostgresClient
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// What a claim writes, and what it hands over once that is committed.
extension ClaimBatch {
    /// The fires, once the transaction is committed.
    func fires() -> (fires: [Fire], claim: OpenClaim) {
        let (near, far) = journal
        let claim = OpenClaim(id, executions: near.count)
        let apart = OpenClaim(near.isEmpty ? id : id.beside, executions: far.count)
        let farBack = Set(far)
        let fires = zip(openings, planned).map { opening, planned in
            Fire(
                id: opening.id, schedule: planned.schedule, claim: farBack.contains(opening.id) ? apart : claim,
                scheduledFor: opening.occurrence.scheduledFor, dueAt: opening.dueAt, fence: opening.fence,
                generation: opening.occurrence.generation, missedCount: opening.missedCount,
                ordinal: opening.occurrence.ordinal, origin: opening.occurrence.origin, trigger: opening.trigger,
                kind: planned.fire.fireClass(late: late), isLast: planned.isLast, payload: planned.own, claimedAt: now)
        }
        return (fires, claim)
    }

    /// The events of what was skipped, once the transaction is committed.
    func skipEvents(_ claim: OpenClaim) -> [EventTeller.Owed] {
        (skipped + superseded).map { execution, schedule in
            .execution(
                ExecutionEvent(
                    execution, scheduleName: schedule.name, namespace: schedule.namespace,
                    payloadSHA256: schedule.payloadSHA256, finishedAt: now),
                claim)
        }
    }

    /// The writes of the transaction, in the one order that all claims follow.
    func writes(by instance: InstanceID) -> Writes {
        var writes = Writes([InstanceTable.hold(instance)])
        if !timers.isEmpty { writes += [TimerTable.advance(timers)] }
        if !listening.isEmpty { writes += [TimerTable.advanceListening(listening)] }
        if !openings.isEmpty { writes += [ExecutionTable.open(openings, by: instance, at: now)] }
        let messages = zip(openings, planned).compactMap { opening, planned in planned.own.map { (opening.id, $0) } }
        if !messages.isEmpty { writes += [EventTable.setMessages(messages)] }
        if !heard.isEmpty { writes += [EventTable.remove(heard)] }
        let tracked = openings.filter(\.isTracked)
        if !tracked.isEmpty { writes += [RunTable.open(tracked, limits: limited)] }
        if !superseded.isEmpty { writes += [BufferTable.skip(superseded.map(\.execution), at: now)] }
        if !waiting.isEmpty { writes += [BufferTable.insert(waiting, at: now)] }
        writes += waitingMessages.map { BufferTable.describe($0.id, payload: $0.payload, retryOf: nil) }
        if !skipped.isEmpty { writes += [ExecutionTable.skip(skipped.map(\.execution), at: now)] }
        let (near, far) = journal
        if !near.isEmpty { writes += [ClaimTable.insert(id, by: instance, at: now, executions: near)] }
        if !far.isEmpty {
            writes += [
                ClaimTable.insert(
                    near.isEmpty ? id : id.beside, by: instance, at: now, executions: far, isCommanded: true)
            ]
        }
        if !over.isEmpty { writes.exhaustIdle(over.sorted(), at: now) }
        for removal in removals { writes.audit(removal) }
        for parked in parked {
            writes += InvalidTable.invalidate(parked.timer, fault: parked.fault, at: now)
            guard let names = parked.names else { continue }
            writes.audit(InvalidTable.entry(parked.timer, names: names, fault: parked.fault, at: now))
        }
        return writes
    }
}
