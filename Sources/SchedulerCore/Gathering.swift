/// When a publisher looks again after it has sent all that is due. Pure; instants are nanoseconds of the monotonic clock.
///
/// As a rule at once: lateness is what counts. In a rush, of more than ``rush`` fires a millisecond, it rests for
/// ``rest`` first: a few dozen fires in one write cost NATS, and us, less than as many writes. Then everybody is late by
/// more than that for want of processors, and less late with it.
package struct Gathering: Sendable {
    /// Fires a millisecond.
    package static let rush: Int64 = 8
    /// Nanoseconds.
    package static let rest: Int64 = 3_000_000
    private static let millisecond: Int64 = 1_000_000

    private var sent: Int64 = 0
    private var since: Int64 = 0

    package init() {}

    package mutating func send(_ number: Int) { sent += Int64(number) }

    /// Everything that is due is sent.
    /// - Returns: when to look again, at the earliest.
    package mutating func pause(at now: Int64) -> Int64 {
        defer {
            sent = 0
            since = now
        }
        // A division would lose the short ones; 2⁶³ ns are 292 years.
        return sent * Self.millisecond > Self.rush * max(0, now - since) ? now + Self.rest : now
    }
}
