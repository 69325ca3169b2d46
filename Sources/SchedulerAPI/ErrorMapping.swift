import JSONText
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

extension WireError {
    /// Any error that a command may end in, in the requester's terms: the one place where codes of the inside meet the
    /// wire.
    init(mapping error: any Error) {
        switch error {
        case let error as WireError: self = error
        case let error as PostgresError: self.init(mapping: error)
        case let error as Unfinished: self.init(mapping: error.cause)
        case let error as EngineError: self.init(.notReady, "the instance is not ready: \(error)")
        case let error as TimingError: self.init(.invalidTiming, "\(error.field): \(error)")
        case is CancellationError: self.init(.draining, "the instance is stopping; ask again")
        default: self.init(.internalError, "the command failed; the service's log says why")
        }
    }

    /// Why a schedule cannot be fired, to somebody who asks for a fire.
    init(_ fault: ScheduleFault) {
        switch fault.kind {
        case .target(let code): self.init(ErrorCode(code), fault.description)
        case .timing, .message: self.init(.wrongState, "the schedule cannot be fired: \(fault)")
        }
    }

    private init(mapping error: PostgresError) {
        switch error.code {
        case .uniqueViolation where error.constraint == ScheduleTable.nameConstraint:
            self.init(
                .nameTaken, "another schedule of the namespace has this name",
                details: [Detail(.root.appending("name"), "is taken")])
        case .commitUnknown:
            self.init(
                .timedOut,
                "nobody knows whether the change took place: ask again with the same request_id, or look")
        case .shuttingDown, .cancelled:
            self.init(.draining, "the instance is stopping or joins anew; nothing was changed: ask again")
        case .poolExhausted:
            self.init(.databaseUnavailable, "too many commands wait for the database; nothing was changed")
        case .lockTimeout, .queryCancelled:
            self.init(.timedOut, "the database did not answer in time; nothing was changed")
        default:
            if error.sqlState == InstanceTable.fencedState {
                self.init(.notReady, "the instance was fenced and is joining anew; ask again")
            } else if error.isConnectionLoss || error.isRetryable {
                self.init(.databaseUnavailable, "the database cannot be reached; nothing was changed")
            } else {
                self.init(.internalError, "the command failed; the service's log says why")
            }
        }
    }
}

extension ErrorCode {
    init(_ code: TargetRules.Refusal.Code) {
        switch code {
        case .reserved: self = .targetReserved
        case .notAllowed: self = .targetNotAllowed
        case .delivery: self = .deliveryNotAllowed
        case .payloadTooLarge: self = .payloadTooLarge
        case .payloadInvalid: self = .payloadInvalid
        case .sourceReserved: self = .sourceReserved
        case .sourceNotAllowed: self = .sourceNotAllowed
        case .sourceLoop: self = .conflictingFields
        }
    }
}
