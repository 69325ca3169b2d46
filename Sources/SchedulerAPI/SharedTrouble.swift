import PostgresClient
import SchedulerEngine
import SchedulerStore

/// Tells what keeps a loop from its work altogether from what is the trouble of the one thing that it has in hand.
package enum SharedTrouble {
    /// Whether everything else would fail by the same: the database is away, this incarnation is over, the service stops.
    package static func isBehind(_ error: any Error) -> Bool {
        switch error {
        case is CancellationError: true
        case let error as PostgresError:
            error.isConnectionLoss || error.sqlState == InstanceTable.fencedState
                || [.shuttingDown, .cancelled, .poolExhausted].contains(error.code)
        case let error as EngineError: error.code == .notReady || error.code == .fenced
        default: false
        }
    }
}
