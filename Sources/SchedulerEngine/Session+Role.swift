import KeyValueLock
import Logging
package import NATSClient
import PostgresClient
package import SchedulerCore
import ServiceMetrics

/// A role that this instance holds: one job that one instance does at a time.
package struct Role: Sendable {
    package let name: String
    /// The fence: the job's transactions check that it is still the latest.
    package let epoch: Int64
    private let token: LockToken

    init(_ token: LockToken) {
        name = token.name
        epoch = token.epoch
        self.token = token
    }

    /// True while the lease can be trusted. Ask before each deed.
    package var isHeld: Bool { token.isHeld }
}

extension Session {
    /// Waits for a role and does its job; the job's task is cancelled when the role is lost.
    ///
    /// A dead holder is followed once its lease is seen to stand still for its whole length, by this contender's own
    /// clock and in one wait: `limit` must be longer than that.
    /// - Returns: whether the role was had in time.
    @discardableResult
    package func holding(
        role name: String, waitingUpTo limit: Duration, _ job: @escaping @Sendable (Role) async throws -> Void
    ) async throws -> Bool {
        let meters = meters
        do {
            let done: Void? = try await roleLock.withLock(name, waitingUpTo: limit) { token in
                meters.lock(.acquired)
                try await job(Role(token))
            }
            if done == nil, !Task.isCancelled { meters.lock(.conflict) }
            return done != nil
        } catch let error as NATSError where error.code == .conflict {
            meters.lock(.timedOut)
            throw error
        }
    }

    package var commandsStream: CommandsStream {
        CommandsStream(serving, names: configuration.names, replicas: configuration.streamReplicas)
    }

    /// Logs that a command asked for an execution, for who follows one of the two to the other.
    package func noteAsked(for execution: ExecutionID) {
        logger.debug("an execution was asked for", metadata: ["execution_id": "\(execution)"])
    }

    /// The connection that serves commands.
    package var commandConnection: NATSConnection { serving }
}
