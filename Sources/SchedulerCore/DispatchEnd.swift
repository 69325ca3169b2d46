package import Recurrence

/// What a worker's reply to a request says where the reply is the outcome (semantics.md §6).
package enum WorkerAnswer: Hashable, Sendable {
    /// - Parameter result: JSON of at most 4 KiB; nil where there is none, or it is longer.
    case succeeded(result: [UInt8]?)
    case failed(AttemptFailure)

    var end: DispatchEnd {
        switch self {
        case .succeeded(let result): .succeeded(result: result)
        case .failed(let failure): .failed(failure)
        }
    }
}

/// How an attempt's dispatch ended: what the claimant knows of it, and what its life is told.
package enum DispatchEnd: Hashable, Sendable {
    /// The target has it.
    case delivered
    /// The target has it, and has replied how it went.
    case succeeded(result: [UInt8]?)
    case failed(AttemptFailure)
    /// A definite no: nobody works on it.
    case refused(AttemptFailure)
    /// Where the reply is the outcome, none came in time.
    case unanswered
    /// Nobody can know whether the target has it, and it may not be sent again.
    case uncertain
    /// Its time had come, and nothing was sent: its schedule is in shadow.
    case shadowed

    /// The reason and the outcome of ``uncertain``.
    package static let uncertainWord = "uncertain"
    /// The words of ``refused(_:)``.
    package static let noResponders = "no_responders"
    package static let notPermitted = "the server permits this user no publish on the subject"
    package static let targetIsAStream = "target_is_a_stream"
    package static let targetIsAService =
        "target_is_a_service: the answer is no stream's acknowledgement, something else took the subject"

    /// What happened to the execution, in order.
    /// - Parameter fence: the attempt's.
    package func events(fence: Int64) -> [LifeEvent] {
        switch self {
        case .delivered: [.acknowledged]
        case .succeeded: [.acknowledged, .succeeded(fence: fence)]
        case .failed(let failure): [.acknowledged, .failed(fence: fence, failure)]
        case .refused(let failure): [.refused(failure)]
        case .unanswered: [.unanswered]
        case .uncertain: [.uncertain]
        case .shadowed: [.shadowed]
        }
    }
}

extension Life {
    /// What the end of an attempt's dispatch makes of an execution: all its ``DispatchEnd/events(fence:)`` as one change.
    /// Nil where it was known.
    package func taking(
        dispatch end: DispatchEnd, under rule: LifeRule, at now: Instant
    ) throws(LifeRefusal) -> LifeChange? {
        var whole: LifeChange?
        for event in end.events(fence: fence) {
            let life = whole?.life ?? self
            // Where completion is not tracked, the delivery was the end.
            if whole != nil, life.isOver { break }
            guard let change = try life.taking(event, under: rule, at: now) else { continue }
            whole = LifeChange(
                life: change.life, tells: (whole?.tells ?? []) + change.tells,
                asksWorkerToStop: change.asksWorkerToStop)
        }
        return whole
    }
}
