import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// Keeps this instance listening to what schedules wait for: a listener for each that is active.
///
/// A core subject is listened to by every instance, in one queue group: the server hands each message to one of them.
/// A stream is read by the instance whose share the schedule lies in, through a durable consumer; where two views of
/// the members differ both read it, and the rows decide (``EventIntake``). What is heard becomes rows and a timer, and
/// the claim of that timer fires: nothing that waits, waits in memory.
struct EventKeeper: Sendable {
    let session: Session

    private static let round = Duration.seconds(1)
    /// Rounds between two looks for what schedules have left that are gone.
    private static let sweeps = 60

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        await withDiscardingTaskGroup { group in
            var listeners: [ScheduleID: EventListener] = [:]
            let (streams, places) = (StreamWatch(session: session), PlaceWatch(session: session))
            group.addTask { await streams.run() }
            group.addTask { await places.run() }
            var rounds = 0
            while !Task.isCancelled {
                await session.attempt("looking who listens") {
                    for listener in try await follow(&listeners) { group.addTask { await listener.run() } }
                    session.listeningBoard.set(
                        listeners.values.map(\.schedule).filter { schedule in
                            let timing = schedule.definition.timing
                            return timing.event.stream != nil && (timing.type == .absence || timing.endAt != nil)
                        })
                }
                if rounds % Self.sweeps == 0 {
                    await session.attempt("clearing what nobody waits for") {
                        try await session.pool.withConnection { try await EventTable.sweep(on: $0) }
                    }
                }
                rounds += 1
                await session.listening.wait(atMost: Self.round)
            }
            for listener in listeners.values { listener.stop() }
        }
        try Task.checkCancellation()
    }

    /// Lets go what is over, and begins what is new.
    /// - Returns: listeners to be run.
    private func follow(_ listeners: inout [ScheduleID: EventListener]) async throws -> [EventListener] {
        let (versions, targets) = try await session.pool.withConnection { connection in
            try await session.compiler.targets.catchUp(on: connection)
            return (try await EventTable.listening(on: connection), session.compiler.targets.snapshot.change)
        }
        let share = Set(session.membership.view.share)
        for (id, listener) in listeners {
            let isMine = !listener.isOfShare || share.contains(Int16(id.partition))
            guard versions[id] == nil || !isMine else { continue }
            listener.stop(forGood: versions[id] == nil)
            listeners[id] = nil
        }
        let changed = versions.filter { id, version in
            listeners[id].map { $0.version != version || $0.targets != targets } ?? true
        }
        guard !changed.isEmpty else { return [] }
        let schedules = try await session.pool.withConnection {
            try await ScheduleTable.fetch(Array(changed.keys), on: $0).schedules
        }
        var begun: [EventListener] = []
        for schedule in schedules where schedule.state == .active {
            let listener = EventListener(schedule, session: session, targets: targets)
            if listener.isOfShare, !share.contains(Int16(schedule.id.partition)) { continue }
            let old = listeners.removeValue(forKey: schedule.id)
            guard let fault = session.compiler.compile(schedule).fault else {
                listeners[schedule.id] = listener
                begun.append(listener)
                // The new one hears already, or reads where the old one ended.
                old?.stop()
                continue
            }
            old?.stop()
            try await invalidate(schedule, fault)
        }
        return begun
    }

    /// What may be listened to no longer: the claim finds that, and makes the schedule invalid.
    private func invalidate(_ schedule: Schedule, _ fault: ScheduleFault) async throws {
        session.logger.notice(
            "a schedule listens no longer", metadata: ["schedule": "\(schedule.id)", "reason": "\(fault)"])
        let now = session.clock.now()
        try await session.pool.withConnection { connection in
            try await connection.transaction { transaction in
                let timer = try await TimerTable.lock(schedule.id, in: transaction)
                guard let timer, timer.nextFireAt.map({ $0 > now }) ?? false else { return }
                try await transaction.commit(with: [
                    InstanceTable.hold(session.instance), EventTable.wake(schedule.id, at: now),
                ])
            }
        }
        session.claimer.hint()
    }
}

extension Session {
    /// What a hint says that is about listeners.
    static let listeningHint = "listening"

    /// Schedules that listen were made or changed by a command: all instances should look.
    package func hintListening() {
        listening.signal()
        guard let subject = try? Subject(configuration.names.hint) else { return }
        _ = try? serving.publish(subject, payload: Array(Self.listeningHint.utf8))
    }
}
