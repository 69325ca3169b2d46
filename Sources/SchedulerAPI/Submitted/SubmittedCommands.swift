package import Logging
import NATSClient
import SchedulerCore
package import SchedulerEngine
import SchedulerWire
import ServiceLifecycle
import Synchronization

/// Durable commands (contract.md §1): whoever holds the role takes them from their stream and applies them, in its
/// order, each once.
///
/// # Once, and in order
/// One instance at a time holds the role `commands`; it makes a consumer of its own, which begins at the first message
/// that nobody acknowledged. Each command is applied in one transaction with the cursor's step over it, its event, and
/// the check that the role's epoch is still the holder's. So a holder that was deposed applies nothing, and a message
/// that comes again is only acknowledged.
///
/// # What can go wrong
/// | ended at | what stands | what happens |
/// | --- | --- | --- |
/// | before the commit | the message | the next holder, or this one, applies it |
/// | the COMMIT's answer is lost | all of it, or nothing | PostgreSQL is asked; where it cannot be, the command is tried again, and meets the cursor |
/// | committed, not acknowledged | the change, the cursor, the owed event; the message | it comes again, and is acknowledged |
package struct SubmittedCommands: Service {
    /// Much longer than any lease: a dead holder is followed within one wait.
    private static let patience = Duration.seconds(120)
    private static let role = "commands"
    private static let round = Duration.milliseconds(100)
    private static let pause = Duration.seconds(1)

    private let engine: Engine
    private let settings: CommandService.Settings
    private let logger: Logger
    private let begun = BegunCommand()

    package init(engine: Engine, settings: CommandService.Settings, logger: Logger) {
        self.engine = engine
        self.settings = settings
        self.logger = logger
    }

    package func run() async throws {
        let followUps = FollowUps()
        await withDiscardingTaskGroup { tasks in
            tasks.addTask { await followUps.run() }
            await cancelWhenGracefulShutdown { await contend(followUps) }
            followUps.end()
        }
    }

    /// Stands for the role with one session after another.
    private func contend(_ followUps: FollowUps) async {
        while !Task.isCancelled {
            guard let session = engine.session else {
                try? await Task.sleep(for: Self.round)
                continue
            }
            do {
                // Whoever holds the role: a stream that is not as it must be is told by every instance.
                _ = try await session.commandsStream.ensure()
                clearFault()
                try await stand(session, followUps)
            } catch is CancellationError {
                // The role was lost, or the service stops.
                continue
            } catch {
                if Task.isCancelled { return }
                tell(error)
                try? await Task.sleep(for: Self.pause)
            }
        }
    }

    private struct SessionIsOver: Error {}

    private func stand(_ session: Session, _ followUps: FollowUps) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try await session.holding(role: Self.role, waitingUpTo: Self.patience) { role in
                    logger.info("submitted commands are applied here", metadata: ["epoch": "\(role.epoch)"])
                    try await SubmittedApplier(
                        engine: engine, session: session, role: role, settings: settings, logger: logger,
                        followUps: followUps, begun: begun
                    ).run()
                }
            }
            tasks.addTask {
                while engine.session === session { try await Task.sleep(for: Self.round) }
                throw SessionIsOver()
            }
            defer { tasks.cancelAll() }
            do { try await tasks.next() } catch is SessionIsOver { return }
        }
    }

    private func clearFault() {
        if engine.report(submitted: nil) { logger.notice("submitted commands are taken") }
    }

    private func tell(_ error: any Error) {
        if engine.report(submitted: "submitted commands are not taken: \(error)") {
            logger.warning("submitted commands are not taken", metadata: ["error": "\(error)"])
        }
    }
}

/// The command at which this process began a holding: it counts against that command once, however often the process
/// begins there.
final class BegunCommand: Sendable {
    private let last = Mutex("")

    /// - Returns: whether this process begins there for the first time.
    func begin(_ stream: String, _ sequence: UInt64) -> Bool {
        last.withLock { last in
            let place = "\(stream) \(sequence)"
            defer { last = place }
            return last != place
        }
    }

    func forget() { last.withLock { $0 = "" } }
}
