import Logging
import SchedulerEngine
import ServiceLifecycle

extension Engine {
    /// Looks after something again and again, with whichever session there is, until the service stops or is asked to go.
    /// What fails without a database, or while joining anew, the next look finds.
    /// - Parameter what: for the log.
    func lookAfter(
        _ what: String, every round: Duration, logger: Logger,
        _ look: @escaping @Sendable (Session) async throws -> Void
    ) async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled, !self.isDraining {
                if let session = try? self.requireSession() {
                    do { try await look(session) } catch {
                        logger.debug("a look at \(what) failed", metadata: ["error": "\(error)"])
                    }
                }
                try? await Task.sleep(for: round)
            }
        }
    }
}
