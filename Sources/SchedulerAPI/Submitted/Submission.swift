import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire
import Synchronization

/// A submitted command on its way through a change: its cursor and its event go into the change's own transaction, so
/// that it is applied once and its outcome is told, whatever ends.
final class Submission: Sendable {
    let command: SubmittedCommand
    let followUps: FollowUps
    private let holding: CommandCursorTable.Holding
    /// Whether its transactions are parts of what it asks for: they check that the holder is one, and leave the cursor
    /// and the event to whoever knows when all are done.
    let isInParts: Bool
    private let applied = Mutex(false)

    init(
        _ command: SubmittedCommand, _ holding: CommandCursorTable.Holding, _ followUps: FollowUps, isInParts: Bool
    ) {
        self.command = command
        self.holding = holding
        self.followUps = followUps
        self.isInParts = isInParts
    }

    /// The same, to be settled as a whole.
    var whole: Submission { Submission(command, holding, followUps, isInParts: false) }

    /// Whether a transaction that applied it is committed.
    var isApplied: Bool { applied.withLock { $0 } }
    func noteApplied() { applied.withLock { $0 = true } }

    /// Moves the cursor over it; fails the transaction of a holder that is one no more. Nil once it is applied.
    var advance: Call? {
        let sequence = Int64(clamping: command.sequence)
        if isInParts { return CommandCursorTable.hold(holding, before: sequence) }
        return isApplied ? nil : CommandCursorTable.advance(holding, to: sequence)
    }

    /// Adds the event of its acceptance to the change that it makes.
    func accept(_ change: inout Change, _ options: ChangeOptions, at now: Instant) {
        guard !isApplied, !isInParts else { return }
        var entry = entry(.accepted(.applied), at: now)
        if let schedule = change.schedule {
            let told = change.audits.last { $0.entry.schedule == schedule }?.entry
            entry.schedule = schedule
            entry.fence = told?.fence ?? change.fires.map(\.fence).max() ?? 0
            entry.name = told?.name
            entry.version = told?.version
        }
        entry.actor = options.actor ?? entry.actor
        entry.reason = options.reason
        change.audit(entry)
    }

    /// The entry of the audit log that its event is told from.
    func entry(_ verdict: CommandOutcome.Verdict, at now: Instant) -> AuditEntry {
        let outcome = CommandOutcome(
            noun: command.noun, verb: command.verb, subject: command.subject, sequence: command.sequence,
            verdict: verdict)
        // What belongs to no creator is told where no creator can be meant.
        let namespace = (command.namespace ?? .administration).description
        var entry = AuditEntry(at: now, namespace: namespace, action: outcome.event.event, fence: 0)
        entry.actor = command.namespace?.description
        entry.requestID = command.requestID
        entry.after = outcome.text
        return entry
    }
}

/// What follows from submitted commands and keeps nobody behind them waiting: recalls of what they took back.
final class FollowUps: Sendable {
    package typealias Step = @Sendable () async -> Void

    /// As few as leave requests their share of the connections.
    private static let mostAtOnce = 4
    private let steps: AsyncStream<Step>
    private let feed: AsyncStream<Step>.Continuation
    private let isOver = Mutex(false)

    init() { (steps, feed) = AsyncStream.makeStream(bufferingPolicy: .unbounded) }

    func add(_ step: @escaping Step) { feed.yield(step) }

    /// What has not begun is left: the claimant finds what is marked, or the occurrence is recalled by whoever asks next.
    func end() {
        isOver.withLock { $0 = true }
        feed.finish()
    }

    /// Carries the steps out, until ``end()``.
    func run() async {
        await withTaskGroup(of: Void.self) { tasks in
            var running = 0
            for await step in steps {
                if isOver.withLock({ $0 }) { break }
                if running >= Self.mostAtOnce {
                    await tasks.next()
                    running -= 1
                }
                tasks.addTask { await step() }
                running += 1
            }
        }
    }
}
