import Logging
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Makes the schedules invalid that a narrower allow-list left without a target: in pages, each of them one short
/// transaction that passes over timers that somebody holds, and comes back for them.
struct TargetSweep: Sendable {
    let session: Session

    private static let page = 200
    /// How often timers that somebody else holds are tried again, and how long apart.
    private static let tries = 40
    private static let pause = Duration.milliseconds(50)

    /// Whom the rules allow something else by now stays as it is: what is swept decides nothing, it says where to look.
    func run(_ scope: TargetScope) async throws {
        var held: [ScheduleID] = []
        var cursor: RevocationTable.Cursor?
        repeat {
            let after = cursor
            let page = try await session.pool.withConnection {
                try await RevocationTable.page(of: scope, after: after, limit: Self.page, on: $0)
            }
            if !page.schedules.isEmpty { held += try await invalidate(page.schedules) }
            cursor = page.next
        } while cursor != nil
        for _ in 0..<Self.tries where !held.isEmpty {
            try await Task.sleep(for: Self.pause)
            var still: [ScheduleID] = []
            for start in stride(from: 0, to: held.count, by: Self.page) {
                still += try await invalidate(Array(held[start..<min(held.count, start + Self.page)]))
            }
            held = still
        }
    }

    /// - Returns: those whose timers somebody else holds.
    private func invalidate(_ ids: [ScheduleID]) async throws -> [ScheduleID] {
        let (outcome, rows) = try await session.pool.withConnection { connection in
            try await SettledTransaction.run(on: connection) { transaction -> (value: Outcome, calls: [Call]) in
                try await decide(ids, in: transaction)
            }
        }
        if let rows { session.teller.owe(try outcome.writes.owed(rows)) }
        for (id, fault) in outcome.parked {
            session.logger.notice(
                "a schedule lost its target, and is set aside", metadata: ["schedule": "\(id)", "reason": "\(fault)"])
        }
        return outcome.held
    }

    private struct Outcome: Sendable {
        var writes: Writes
        var parked: [(ScheduleID, String)] = []
        var held: [ScheduleID] = []
    }

    /// Under the locks, by the newest list: a command or a claim may have been quicker.
    private func decide(
        _ ids: [ScheduleID], in transaction: PostgresTransaction
    ) async throws -> (value: Outcome, calls: [Call]) {
        let timers = try await RevocationTable.lockFree(ids, in: transaction)
        try await session.compiler.targets.catchUp(on: transaction)
        let schedules = try await ScheduleTable.fetch(Array(timers.keys), on: transaction).schedules
        try await session.compiler.load(schedules, on: transaction)
        let now = session.clock.now()
        var outcome = Outcome(
            writes: Writes([InstanceTable.hold(session.instance)]), held: ids.filter { timers[$0] == nil })
        for schedule in schedules where schedule.state == .active {
            // One that waits for nothing is about to be exhausted.
            guard var timer = timers[schedule.id], let due = timer.nextFireAt,
                let fault = session.compiler.compile(schedule).publishingFault
            else { continue }
            timer.fireSequence += 1
            timer.resumeFrom = timer.resumeFrom ?? due.adding(milliseconds: -schedule.spreadOffset)
            timer.nextFireAt = nil
            outcome.writes += InvalidTable.invalidate(timer, fault: fault.description, at: now)
            let names = (schedule.namespace.description, schedule.definition.name.description)
            outcome.writes.audit(InvalidTable.entry(timer, names: names, fault: fault.description, at: now))
            outcome.parked.append((schedule.id, fault.description))
        }
        return (outcome, outcome.parked.isEmpty ? [] : outcome.writes.calls)
    }
}
