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
/// the execution is marked `uncertain` (``DispatchDecision/isUncertain``).
package final class Rescuer: Sendable {
    private let instance: InstanceID
    private let clock: PostgresClock
    private let compiler: ScheduleCompiler
    private let deliver: @Sendable (_ fires: [Fire], _ events: [EventTeller.Owed]) -> Void

    package init(
        instance: InstanceID, clock: PostgresClock, compiler: ScheduleCompiler,
        deliver: @escaping @Sendable (_ fires: [Fire], _ events: [EventTeller.Owed]) -> Void
    ) {
        self.instance = instance
        self.clock = clock
        self.compiler = compiler
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
        let (abandoned, _) = try await SettledTransaction.run(on: connection) {
            [self] transaction -> (value: Abandoned?, calls: [Call]) in
            guard let claim = try await ClaimTable.takeAbandoned(in: transaction) else { return (nil, []) }
            let rows = try await ClaimTable.rows(of: claim.executions, on: transaction)
            let schedules = try await ScheduleTable.fetch(Array(Set(rows.map(\.execution.schedule))), on: transaction)
            return (
                Abandoned(id: claim.id, executions: claim.executions, rows: rows, schedules: schedules),
                [InstanceTable.hold(instance)]
                    + ClaimTable.adopt(claim.id, executions: claim.executions, by: instance)
            )
        }
        guard let abandoned else { return false }
        try await resume(abandoned, on: connection)
        return true
    }

    private struct Abandoned: Sendable {
        let id: ClaimTable.ClaimID
        let executions: [ExecutionID]
        let rows: [(execution: Execution, payload: [UInt8]?)]
        let schedules: [Schedule]
    }

    /// Builds anew what the claim's first owner held in memory.
    private func resume(_ abandoned: Abandoned, on connection: PostgresConnection) async throws {
        let (id, ids, rows) = (abandoned.id, abandoned.executions, abandoned.rows)
        let schedules = Dictionary(
            try abandoned.schedules.map { ($0.id, try compiler.compile($0)) }, uniquingKeysWith: { first, _ in first })
        let claim = OpenClaim(id, executions: ids.count)
        var fires: [Fire] = []
        var events: [EventTeller.Owed] = []
        var settled = ids.count - rows.count
        for (execution, payload) in rows {
            guard let schedule = schedules[execution.schedule] else {
                settled += 1
                continue
            }
            if execution.state == .claimed {
                fires.append(fire(execution, payload, of: schedule, claim))
            } else {
                events.append(event(execution, payload, of: schedule, claim))
            }
        }
        deliver(fires, events)
        // Given back by the dead member, or of a schedule long forgotten: nothing is owed for them.
        if settled > 0, claim.settle(settled) { try await settle(id, on: connection) }
    }

    private func settle(_ id: ClaimTable.ClaimID, on connection: PostgresConnection) async throws {
        _ = try await connection.pipeline([InstanceTable.hold(instance), ClaimTable.delete([id])])
    }

    private func fire(
        _ execution: Execution, _ payload: [UInt8]?, of schedule: CompiledSchedule, _ claim: OpenClaim
    ) -> Fire {
        // Its first owner may have sent it as soon as it was both claimed and due, and not before.
        let sendable = max(execution.dueAt, execution.claimedAt)
        return Fire(
            id: execution.id, schedule: schedule, claim: claim, scheduledFor: execution.scheduledFor,
            dueAt: execution.dueAt, fence: execution.fence, attempt: execution.attempt,
            generation: execution.generation, missedCount: execution.missedCount, ordinal: execution.ordinal,
            origin: execution.origin, trigger: execution.trigger,
            // Whether it was a schedule's last is not in the row: let the record ask.
            isLast: execution.origin == .time, payload: payload,
            sentSince: sendable <= clock.now() ? sendable : nil)
    }

    private func event(
        _ execution: Execution, _ payload: [UInt8]?, of schedule: CompiledSchedule, _ claim: OpenClaim
    ) -> EventTeller.Owed {
        let hash = payload.map { Digest.hexadecimal(Digest.sha256($0)) } ?? schedule.payloadSHA256
        let event = ExecutionEvent(
            execution, scheduleName: schedule.name, namespace: schedule.namespace, payloadSHA256: hash,
            finishedAt: execution.finishedAt ?? clock.now())
        return .execution(event, claim)
    }
}
