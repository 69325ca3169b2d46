import Logging
import NATSClient
import PayloadTemplates
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import Synchronization

/// Listens for one schedule, at one of its versions, until it is told to stop.
final class EventListener: Sendable {
    let schedule: Schedule
    let session: Session
    /// The change of the allow-list under which it may listen.
    let targets: Int
    private let stopping = Mutex<(isAsked: Bool, isForGood: Bool)>((false, false))
    private let words = Wakeup()

    init(_ schedule: Schedule, session: Session, targets: Int) {
        self.schedule = schedule
        self.session = session
        self.targets = targets
    }

    var version: Int64 { schedule.version }
    var timing: Timing { schedule.definition.timing }
    /// One instance does it, by the shares; the others would do the same.
    var isOfShare: Bool { timing.event.stream != nil }
    var isStopping: Bool { stopping.withLock { $0.isAsked } || Task.isCancelled }

    /// - Parameter forGood: the schedule is not active any more.
    func stop(forGood: Bool = false) {
        stopping.withLock { $0 = (true, forGood) }
        words.signal()
    }

    /// Returns once it was told to stop, or its task is cancelled.
    func run() async {
        switch (timing.type, timing.event.stream) {
        case (.absence, nil): await AbsenceListener(self).run()
        // The stream keeps what it needs: see StreamWatch.
        case (.absence, _): break
        case (_, nil): await CoreListener(self).run()
        case (_, let stream?): await StreamListener(self, stream: stream).run()
        }
    }

    /// Whether the schedule was stopped for good, and not only this listener.
    var isOver: Bool { stopping.withLock { $0.isForGood } }

    /// Waits a while, or until it is told to stop.
    func pause(_ time: Duration) async { if !isStopping { await words.wait(atMost: time) } }

    /// A core subject's queue group: one member of it is handed each message.
    var queueGroup: Subject? {
        try? Subject("carillon-\(session.configuration.subjectPrefix)-\(schedule.id)")
    }

    var filter: SubjectFilter? { timing.event.subject.flatMap { try? SubjectFilter($0.description) } }

    func warn(_ message: Logger.Message, _ error: any Error) {
        guard !isStopping else { return }
        session.logger.warning(message, metadata: ["schedule": "\(schedule.id)", "error": "\(error)"])
    }

    /// What a template may show; nothing where none does.
    func content(of message: NATSMessage, at instant: Instant, sequence: Int64?) -> [UInt8]? {
        guard schedule.definition.payloadTemplate else { return nil }
        var values = EventValues(
            subject: message.subject, headers: message.headers.map { ($0.name, $0.value) }, body: message.payload)
        values.time = instant.rfc3339
        values.stream = timing.event.stream?.description ?? ""
        values.sequence = sequence
        return values.json
    }
}

/// Listens to a core subject for an `event` schedule. Best effort: what is lost on its way here, or held by an instance
/// that dies before it is written down, is gone.
struct CoreListener: Sendable {
    private let listener: EventListener
    private let line: IntakeLine

    init(_ listener: EventListener) {
        self.listener = listener
        line = IntakeLine(listener)
    }

    func run() async {
        guard let filter = listener.filter, let group = listener.queueGroup else { return }
        let session = listener.session
        let subscription: NATSSubscription
        do {
            subscription = try session.serving.subscribe(filter, queue: group, capacity: 256, pendingLimit: 65_536)
        } catch {
            return listener.warn("a subject cannot be listened to", error)
        }
        await withDiscardingTaskGroup { tasks in
            tasks.addTask {
                for await message in subscription {
                    let now = session.clock.now()
                    let heard = HeardMessage(
                        at: now, sequence: nil, ordinal: Int64.random(in: 1...Int64.max),
                        content: listener.content(of: message, at: now, sequence: nil))
                    await line.add(heard, nil)
                }
                line.end()
            }
            tasks.addTask { await line.run(stream: nil) { _, _ in } }
            while !listener.isStopping { await listener.pause(.seconds(60)) }
            subscription.cancel()
        }
    }
}

/// Hears a core subject for an `absence`: the time of the last message is all that counts, and it is written down a few
/// times a second at most, however many come.
struct AbsenceListener: Sendable {
    private final class Latest: Sendable {
        let at = Mutex<Instant?>(nil)
    }

    /// Half of what a claim waits after a deadline.
    private static let round = Duration.milliseconds(ClaimPlanner.settling / 2)

    private let listener: EventListener
    private let latest = Latest()

    init(_ listener: EventListener) { self.listener = listener }

    func run() async {
        guard let filter = listener.filter else { return }
        let (session, latest) = (listener.session, latest)
        do {
            // Every instance hears each message: one that hangs must not keep any to itself.
            let subscription = try session.serving.subscribe(filter) { _ in
                let now = session.clock.now()
                latest.at.withLock { $0 = now }
            }
            defer { subscription.cancel() }
            while !listener.isStopping {
                await write()
                await listener.pause(Self.round)
            }
            subscription.cancel()
            await write()
        } catch {
            listener.warn("a subject cannot be listened to", error)
        }
    }

    private func write() async {
        guard let at = latest.at.withLock({ $0 }) else { return }
        do {
            try await listener.postpone(after: at)
            latest.at.withLock { if $0 == at { $0 = nil } }
        } catch {
            listener.warn("a message could not be written down, and is tried again", error)
        }
    }
}

extension EventListener {
    /// Moves the deadline of an `absence` on: a message came at `instant`.
    func postpone(after instant: Instant) async throws {
        let recurrence = try schedule.occurrences(zones: session.compiler.zones).recurrence
        let deadline = timing.deadline(after: instant, recurrence) ?? .untilMessage
        _ = try await session.pool.withConnection { connection in
            try await connection.pipeline([
                InstanceTable.hold(session.instance),
                EventTable.postpone(schedule.id, generation: schedule.generation, to: deadline),
            ])
        }
    }
}
