import NATSClient
import SchedulerCore

extension DispatchOutcome {
    /// JetStream's answers in the scheduler's terms. A refusal by the stream for want of room or of a leader passes;
    /// one for the message itself does not.
    init(_ outcome: PublishOutcome) {
        switch outcome {
        case .acknowledged(let stream, let sequence, let duplicate):
            self = .acknowledged(stream: stream, sequence: sequence, duplicate: duplicate)
        case .unconfirmed, .timedOut: self = .timedOut
        case .refused(let code, let errCode, let description):
            // Of a replicated stream a follower may have stored what its leader could not.
            self = code >= 500 || code == 429 ? .timedOut : .refused("\(description) (\(errCode))")
        case .noResponders: self = .noResponders
        case .notAPubAck: self = .refused("the answer is no stream's acknowledgement: a service took the subject")
        case .connectionLost: self = .connectionLost
        case .notPermitted: self = .refused("the server permits this user no publish on the subject")
        case .tooLarge: self = .refused("the message is larger than the stream takes")
        }
    }

    /// What a publish that threw has become of.
    init(_ error: NATSError) {
        switch error.code {
        case .payloadTooLarge, .invalidSubject, .invalidHeader, .notPermitted: self = .refused(error.description)
        case .connectionLost: self = .connectionLost
        default: self = .notSent
        }
    }
}
