import NATSClient
import SchedulerCore
import SchedulerWire

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
        case .notAPubAck: self = .answeredByService
        case .connectionLost: self = .connectionLost
        case .notPermitted: self = .notPermitted
        // Not fatal: who keeps the stream may let it take more before the next attempt.
        case .tooLarge: self = .refused("the message is larger than the stream takes")
        }
    }

    /// What came of a request.
    init(_ outcome: RequestOutcome) {
        switch outcome {
        case .answered(let reply) where reply.isPubAck: self = .answeredByStream
        case .answered(let reply):
            let error = reply.serviceError.map { WorkerReply.Failure(words: $0, code: reply.serviceErrorCode) }
            self = .answered(WorkerReply.answer(error, body: reply.body))
        case .noResponders: self = .noResponders
        case .timedOut: self = .timedOut
        case .connectionLost: self = .connectionLost
        case .notPermitted: self = .notPermitted
        }
    }

    /// What a publish that threw has become of.
    init(_ error: NATSError) {
        switch error.code {
        case .payloadTooLarge, .invalidSubject, .invalidHeader: self = .refused(error.description, isFatal: true)
        case .notPermitted: self = .notPermitted
        case .connectionLost: self = .connectionLost
        default: self = .notSent
        }
    }
}
