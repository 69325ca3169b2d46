import Logging
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// Pauses schedules whose executions gave up one after the other, as often as `pause_after_failures` says.
///
/// What asks for it is a row, written with the execution that was one too many, and deleted with the pause: neither is
/// lost in a crash. Every instance looks, as the ``PauseKeeper`` does; whoever comes second finds the row gone. So does
/// who comes after an edit, a pause or a resume: that takes the row with it, for it begins the count anew. The pause is
/// one as by a command: with its event, and with what is claimed taken back.
struct FailureKeeper: Sendable {
    let engine: Engine
    let logger: Logger

    /// Between two looks.
    private static let round = Duration.milliseconds(500)

    /// The service's loop: looks again and again, until the service stops or is asked to go.
    func run() async {
        await engine.lookAfter("failing schedules", every: Self.round, logger: logger) { try await look($0) }
    }

    private func look(_ session: Session) async throws {
        let failing = try await session.pool.withConnection { try await FailureTable.list(on: $0) }
        for schedule in failing {
            do { try await pause(schedule, in: session) } catch {
                if SharedTrouble.isBehind(error) { throw error }
                // Its own trouble: the others are paused all the same.
                logger.warning(
                    "a failing schedule could not be paused",
                    metadata: ["schedule": "\(schedule.schedule)", "error": "\(error)"])
            }
        }
    }

    private func pause(_ failing: FailureTable.Failing, in session: Session) async throws {
        let namespace = failing.namespace ?? .administration
        let request = try CommandRequest(namespace: namespace, noun: "schedule", verb: "pause", bytes: [])
        let options = ChangeOptions(
            actor: "carillon",
            reason: "\(failing.failures) executions in a row gave up (pause_after_failures)")
        _ = try await ChangeRunner(session: session).run(request, options) { transaction in
            // Looked at again under the locks: a command or another instance may have been quicker.
            let timer = try await TimerTable.lock(failing.schedule, in: transaction)
            let schedule = try await ScheduleTable.hold(failing.schedule, in: transaction)
            guard try await FailureTable.take(failing.schedule, in: transaction), let timer, let schedule,
                schedule.state == .active
            else { return Change() }
            let origin = ChangeOrigin(namespace: namespace, options: options, now: session.clock.now())
            var held = HeldSchedule(schedule, timer)
            held.touch(by: origin)
            try await held.pause(until: nil, in: session, by: origin, transaction)
            held.store(at: origin.now)
            return held.change
        }
    }
}
