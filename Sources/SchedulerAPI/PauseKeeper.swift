import Logging
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// Ends pauses that have an end, to within a second.
///
/// Every instance looks, without a lock in NATS: each end is a change of its own under the schedule's locks that looks
/// at the state again, so that whoever comes second finds nothing to do. The end is in the row: a restart, or an hour
/// without any instance, loses none.
struct PauseKeeper: Sendable {
    let engine: Engine
    let logger: Logger

    /// Between two looks.
    private static let round = Duration.milliseconds(500)

    /// The service's loop: looks again and again, until the service stops or is asked to go.
    func run() async {
        await engine.lookAfter("the pauses", every: Self.round, logger: logger) { try await look($0) }
    }

    private func look(_ session: Session) async throws {
        var last: PauseTable.Ended?
        repeat {
            let after = last
            let now = session.clock.now()
            let page = try await session.pool.withConnection {
                try await PauseTable.ended(by: now, after: after, on: $0)
            }
            for pause in page {
                do { try await end(pause, in: session) } catch let error as PostgresError where !error.isConnectionLoss
                {
                    // Its own trouble: the others are ended all the same.
                    logger.warning(
                        "a pause could not be ended", metadata: ["schedule": "\(pause.schedule)", "error": "\(error)"])
                }
            }
            last = page.last
        } while last != nil && !Task.isCancelled
    }

    private func end(_ pause: PauseTable.Ended, in session: Session) async throws {
        let request = try CommandRequest(namespace: pause.namespace, noun: "schedule", verb: "resume", bytes: [])
        let options = ChangeOptions(
            actor: "carillon", reason: "the pause ended at \(pause.until.rfc3339)")
        _ = try await ChangeRunner(session: session).apply(request, options, hash: []) { transaction in
            // Looked at again under the locks: a command or another instance may have been quicker.
            guard let timer = try await TimerTable.lock(pause.schedule, in: transaction),
                let schedule = try await ScheduleTable.hold(pause.schedule, in: transaction),
                schedule.state == .paused, let until = schedule.pausedUntil, until <= session.clock.now()
            else { return Change() }
            let origin = ChangeOrigin(namespace: pause.namespace, options: options, now: session.clock.now())
            var held = HeldSchedule(schedule, timer)
            held.touch(by: origin)
            do {
                try await held.resume(catchUp: false, asOf: until, in: session, by: origin, transaction)
            } catch let fault as WireError {
                held.invalidate(fault.description, by: origin)
            }
            held.store(at: origin.now)
            return held.change
        }
    }
}

extension HeldSchedule {
    /// What cannot go on when its pause ends is invalid, and heals as others do.
    fileprivate mutating func invalidate(_ fault: String, by origin: ChangeOrigin) {
        schedule.state = .invalid
        schedule.pauseReason = fault
        schedule.pausedUntil = nil
        timer.fireSequence += 1
        let options = ChangeOptions(actor: origin.actor, reason: fault)
        tell("invalidated", by: ChangeOrigin(namespace: origin.namespace, options: options, now: origin.now))
    }
}
