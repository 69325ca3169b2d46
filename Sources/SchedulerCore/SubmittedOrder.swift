/// Keeps submitted commands in the order of their stream, each applied once: what to do with each delivery.
///
/// A consumer made anew delivers from the first message that nobody acknowledged. It counts its deliveries; as long as
/// none of them is missing, messages that come for the first time come in the stream's order. Where one was lost on the
/// way, what comes behind it would overtake it: then a new consumer begins again.
package struct SubmittedOrder: Sendable, Equatable {
    package enum Step: Sendable, Equatable {
        case apply
        /// It was applied before, by this holder or another; only its acknowledgement got lost.
        case acknowledge
        /// A delivery before this one never came.
        case beginAnew
    }

    /// The last message of the stream that is applied, with all before it; 0 before the first.
    package private(set) var applied: UInt64
    private var lastDelivery: UInt64 = 0

    package init(applied: UInt64) { self.applied = applied }

    /// - Parameters:
    ///   - sequence: the message's place in the stream.
    ///   - delivery: the consumer's own count of its deliveries, from 1.
    package mutating func take(_ sequence: UInt64, delivery: UInt64) -> Step {
        guard delivery == lastDelivery + 1 else { return .beginAnew }
        lastDelivery = delivery
        return sequence <= applied ? .acknowledge : .apply
    }

    /// The message is applied, or rejected; nothing before it is open.
    package mutating func settle(_ sequence: UInt64) { applied = max(applied, sequence) }
}

/// How long a submitted command that could not be carried out waits for its next try, and when it has had its last.
package enum SubmittedRetry: Sendable, Equatable {
    /// What a try failed by.
    package enum Failure: Sendable, Equatable {
        /// Something that passes by itself, and is nobody's fault: the database is away. Tried for ever.
        case passing
        /// Perhaps the command's own: a few tries, or it would keep all behind it waiting for ever.
        case fault
    }

    /// Milliseconds.
    case after(Int64)
    case giveUp

    /// Tries of a command that fails by a fault, or in whose midst the process ends.
    package static let mostTries = 5
    private static let longestPause: Int64 = 2000

    /// - Parameter tries: that failed so, this one included; at least 1.
    package static func decide(_ failure: Failure, tries: Int) -> SubmittedRetry {
        switch failure {
        case .passing: .after(min(longestPause, 50 << Int64(min(max(tries, 1) - 1, 10))))
        // 0.1, 0.4, 1.6 and 2 s.
        case .fault: tries >= mostTries ? .giveUp : .after(min(longestPause, 100 << Int64(2 * (max(tries, 1) - 1))))
        }
    }
}
