/// How one publish of an attempt ended, in the scheduler's terms.
package enum DispatchOutcome: Hashable, Sendable {
    /// The stream has it. A duplicate is a success: it had it before.
    case acknowledged(stream: String, sequence: UInt64, duplicate: Bool)
    /// Flushed to a server, for `core` targets.
    case flushed
    /// A definite no: the words say why.
    case refused(String)
    /// Nobody answered for the subject: on a stream target, an election or a missing stream.
    case noResponders
    /// No answer in time; it may have arrived.
    case timedOut
    /// The connection went before the answer came; it may have arrived.
    case connectionLost
    /// It never left: the connection was down.
    case notSent
}

/// What becomes of an attempt after one publish (semantics.md §5, *Dispatch*). Pure.
package struct DispatchDecision: Sendable {
    package enum Action: Hashable, Sendable {
        case delivered
        /// The same attempt again, with the same `Nats-Msg-Id`.
        case again(afterMilliseconds: Int64)
        /// The attempt failed for a definite reason.
        case failed(String)
    }

    /// 50 ms doubling to 5 s.
    package static func backoffMilliseconds(tries: Int) -> Int64 {
        min(5000, 50 << Int64(min(max(0, tries), 7)))
    }

    /// - Parameter tries: publishes of this attempt before this one.
    package static func decide(_ outcome: DispatchOutcome, tries: Int) -> Action {
        switch outcome {
        case .acknowledged, .flushed: .delivered
        case .refused(let why): .failed(why)
        case .noResponders, .timedOut: .again(afterMilliseconds: backoffMilliseconds(tries: tries))
        case .connectionLost, .notSent: .again(afterMilliseconds: backoffMilliseconds(tries: 0))
        }
    }

    /// An attempt without an outcome for this long is `uncertain`: max(60 s, the grace).
    package static func uncertaintyMilliseconds(grace: Int64) -> Int64 { max(60_000, grace) }
}
