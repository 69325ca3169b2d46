import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// What a failed try of a submitted command means for it, and for those behind it.
enum SubmittedFailure {
    /// The command's own fault, or the state's: it ends here.
    case rejected(WireError)
    /// To be tried again; the error is for its last try.
    case again(SubmittedRetry.Failure, WireError)
    /// It was applied before; nobody heard of it.
    case applied
    /// Another instance holds the role by now, or this one stops.
    case deposed

    init(_ error: any Error) {
        if error is CancellationError {
            self = .deposed
        } else if let error = error as? PostgresError {
            self.init(error)
        } else {
            let mapped = WireError(mapping: error)
            switch mapped.code {
            // Somebody who was asked did not answer: nobody can tell whether they ever will.
            case .internalError, .timedOut: self = .again(.fault, mapped)
            case .notReady, .databaseUnavailable, .draining,
                .requestInProgress:
                self = .again(.passing, mapped)
            default: self = .rejected(mapped)
            }
        }
    }

    private init(_ error: PostgresError) {
        let mapped = WireError(mapping: error)
        switch error.sqlState {
        case CommandCursorTable.deposedState: self = .deposed
        case CommandCursorTable.appliedState: self = .applied
        // Whether an overloaded server or the command is to blame nobody can tell.
        case "57014": self = .again(.fault, mapped)
        default:
            switch error.code {
            case .uniqueViolation where mapped.code != .internalError: self = .rejected(mapped)
            case .uniqueViolation, .foreignKeyViolation, .checkViolation, .notNullViolation, .exclusionViolation,
                .invalidData, .decoding, .misuse, .raisedException, .syntaxError, .protocolViolation,
                .transactionAborted, .otherServerError:
                self = .again(error.sqlState == InstanceTable.fencedState ? .passing : .fault, mapped)
            // The server's limits on one statement, class 54; class 53 is a server without room.
            case .resourceLimit where error.sqlState?.hasPrefix("54") ?? false: self = .again(.fault, mapped)
            default: self = .again(.passing, mapped)
            }
        }
    }
}
