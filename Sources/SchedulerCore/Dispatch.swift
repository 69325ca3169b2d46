package import Recurrence

/// How one publish of an attempt ended, in the scheduler's terms.
package enum DispatchOutcome: Hashable, Sendable {
    /// The stream has it. A duplicate is a success: it had it before.
    case acknowledged(stream: String, sequence: UInt64, duplicate: Bool)
    /// Flushed to a server, for `core` targets.
    case flushed
    /// A reply came to a request.
    case answered(WorkerAnswer)
    /// A stream took a request and acknowledged it: no worker answers there.
    case answeredByStream
    /// Something else than a stream acknowledged a publish to one: a service took it.
    case answeredByService
    /// A definite no: the words say why. Fatal where the message itself is refused: each further attempt would be too.
    case refused(String, isFatal: Bool = false)
    /// The server forbids the subject. It says so of the subject, not of one message: others on it may have arrived before.
    case notPermitted
    /// Nobody answered for the subject: on a stream target, an election or a missing stream. Nobody has it.
    case noResponders
    /// No answer in time; it may have arrived.
    case timedOut
    /// The connection went before the answer came; it may have arrived.
    case connectionLost
    /// It never left: the connection was down.
    case notSent
    /// It was not sent again, because it may not be.
    case withheld
    /// It was due, and its schedule is in shadow: nothing was sent.
    case shadowed

    /// Whether a copy may be with the target though nobody says so.
    package var mayHaveArrived: Bool { self == .timedOut || self == .connectionLost }

    /// Whether it is a no to the copy that was sent.
    fileprivate var isRefusal: Bool {
        switch self {
        case .refused, .notPermitted, .answeredByService, .answeredByStream: true
        case .acknowledged, .flushed, .answered, .noResponders, .timedOut, .connectionLost, .notSent, .withheld,
            .shadowed:
            false
        }
    }
}

/// What a schedule says about its dispatches.
package struct DispatchRule: Hashable, Sendable {
    package let delivery: Delivery
    package let guarantee: Guarantee
    package let completion: Completion

    package init(delivery: Delivery, guarantee: Guarantee, completion: Completion) {
        self.delivery = delivery
        self.guarantee = guarantee
        self.completion = completion
    }

    /// How long a stream's memory of message ids can be relied upon, in milliseconds; nobody else has one.
    package var duplicateWindow: Int64 { delivery == .jetstream ? DispatchDecision.usualDuplicateWindow : 0 }

    /// A copy that may have arrived is not followed by another: nobody would drop it, and once is the most.
    package var forbidsSecondCopy: Bool { guarantee == .atMostOnce && delivery != .jetstream }

    /// As it holds for an execution that was opened when nothing was tracked: its target's words are no outcome.
    package var untracked: DispatchRule { DispatchRule(delivery: delivery, guarantee: guarantee, completion: .none) }

    /// Whether a target's silence is waited out with the same attempt, in the ``RetryLane``. Where the reply is the
    /// outcome, its absence is one too.
    package var waitsForSilent: Bool { delivery == .jetstream || (delivery == .request && completion != .reply) }
}

/// What becomes of an attempt after one publish (semantics.md §5, *Dispatch*). Pure.
package struct DispatchDecision: Sendable {
    package enum Action: Hashable, Sendable {
        /// The dispatch is over.
        case ended(DispatchEnd)
        /// The target did not answer: the same attempt again, with the same `Nats-Msg-Id`, in the ``RetryLane``.
        case silent
        /// The connection was down, which says nothing of the target: the same attempt again after ``reconnectPause``.
        case unsent
    }

    /// - Parameter hasUnknownCopy: an earlier publish of the attempt may have arrived though nobody says so.
    package static func decide(
        _ outcome: DispatchOutcome, under rule: DispatchRule, hasUnknownCopy: Bool = false
    ) -> Action {
        if outcome.mayHaveArrived, rule.forbidsSecondCopy { return .ended(.uncertain) }
        // A no to this copy says nothing of the other one, and what is refused may be followed by another attempt.
        if hasUnknownCopy, rule.guarantee == .atMostOnce, outcome.isRefusal { return .ended(.uncertain) }
        switch outcome {
        case .acknowledged, .flushed: return .ended(.delivered)
        case .answered(let answer): return .ended(rule.completion == .reply ? answer.end : .delivered)
        // Sent again, it would be stored again.
        case .answeredByStream:
            return .ended(.refused(AttemptFailure(reason: DispatchEnd.targetIsAStream, isFatal: true)))
        // It may have done its work by now, and would do it again. Beside a stream it may stand in its answer's way.
        case .answeredByService:
            return .ended(.refused(AttemptFailure(reason: DispatchEnd.targetIsAService, isFatal: true)))
        case .refused(let why, let isFatal):
            return .ended(.refused(AttemptFailure(reason: why, isFatal: isFatal)))
        case .notPermitted:
            let isFatal = rule.guarantee == .atMostOnce
            return .ended(.refused(AttemptFailure(reason: DispatchEnd.notPermitted, isFatal: isFatal)))
        case .noResponders:
            guard rule.delivery == .request else { return .silent }
            return .ended(.refused(AttemptFailure(reason: DispatchEnd.noResponders)))
        case .timedOut: return rule.waitsForSilent ? .silent : .ended(.unanswered)
        case .connectionLost, .notSent: return .unsent
        case .withheld: return .ended(.uncertain)
        case .shadowed: return .ended(.shadowed)
        }
    }

    /// Milliseconds until a publish that met no connection is tried again.
    package static let reconnectPause: Int64 = 50

    /// 50 ms doubling to 5 s.
    package static func backoffMilliseconds(tries: Int) -> Int64 {
        min(5000, 50 << Int64(min(max(0, tries), 7)))
    }
}

// MARK: - Uncertainty

extension DispatchDecision {
    /// What an attempt has behind it when it is about to be published once more. Milliseconds.
    package struct Past: Hashable, Sendable {
        /// Since it was first handed to NATS, by whomever; nil where it never was.
        package var sinceFirst: Int64?
        /// Since the first publish of which nobody knows whether it arrived; nil where all are known not to have.
        package var sinceUnknown: Int64?

        package init(sinceFirst: Int64?, sinceUnknown: Int64?) {
            self.sinceFirst = sinceFirst
            self.sinceUnknown = sinceUnknown
        }
    }

    /// How far the clocks of two members may lie apart, in milliseconds: each follows PostgreSQL's, to half a round trip.
    package static let clockError: Int64 = 100

    /// Whether a member that is fenced may have sent an execution (§7, the rule for rescues).
    ///
    /// It publishes nothing before its time, and nothing once its lease has ended, which is before its fence. So what is
    /// due later has no copy, and may be sent by whoever rescues it, whatever its guarantee.
    /// - Parameters:
    ///   - sendableAt: from when on it could: the execution was claimed, and due.
    ///   - fencedAt: by PostgreSQL's clock.
    package static func mayHaveBeenSent(sendableAt: Instant, fencedAt: Instant) -> Bool {
        sendableAt.milliseconds(since: fencedAt) <= clockError
    }

    /// JetStream's usual duplicate window, in milliseconds.
    package static let usualDuplicateWindow: Int64 = 120_000

    /// Whether the outcome of an attempt is `uncertain` when it is published once more: nobody will be able to say how
    /// often its target has it. `at_least_once` publishes and says so; `at_most_once` may not publish, and is dead.
    ///
    /// Two rules, whoever publishes, the claimant or a rescuer:
    /// - A copy may have arrived longer ago than half the target's duplicate window (§7): the stream's memory can no
    ///   longer be relied upon. Half, because the window begins with the copy and its clock is another's. A core target
    ///   has no memory at all: a window of 0, which no copy lies within.
    /// - The attempt is without an outcome for longer than max(60 s, the grace) (§5), whatever is known of its copies.
    package static func isUncertain(_ past: Past, grace: Int64, duplicateWindow: Int64) -> Bool {
        if let age = past.sinceUnknown, duplicateWindow == 0 || age > duplicateWindow / 2 { return true }
        if let age = past.sinceFirst, age > max(60_000, grace) { return true }
        return false
    }
}
