package import Recurrence

/// Since when a member hears what workers say of their attempts. Pure: its shell tells it what happened and when.
///
/// Deadlines of workers are judged only by who hears them. What they said while nobody listened is kept by the stream, but
/// for heartbeats; and a worker that was cut off itself says it when its client has found a server again. So after a start
/// or a break some time is left to all, and their heartbeat time-out to those that give signs of life.
package struct ReportHearing: Hashable, Sendable {
    /// Until workers' clients have found a server that came back, in milliseconds. Clients try every two seconds.
    package static let returnPause: Int64 = 5000

    /// Nil while nothing is heard.
    package private(set) var since: Instant?
    /// The consumer of reports is at work, and heartbeats are subscribed to.
    package private(set) var isTaking = false

    package init() {}

    /// Reports are taken from now on.
    package mutating func began(at now: Instant) {
        isTaking = true
        since = now
    }

    /// They are not taken any more.
    package mutating func ended() {
        isTaking = false
        since = nil
    }

    /// The stream of reports has answered a question.
    package mutating func answered(at now: Instant) {
        if isTaking, since == nil { since = now }
    }

    /// It has not: what a server keeps back that stands still may be heartbeats too.
    package mutating func unanswered() { since = nil }

    /// Whether workers' deadlines may be judged.
    package func judges(at now: Instant) -> Bool {
        since.map { now >= $0.adding(milliseconds: Self.returnPause) } ?? false
    }

    /// From when on a sign of life can be missed of which nothing was heard; nil while nothing is heard at all.
    /// - Parameter timeout: the schedule's heartbeat time-out, in milliseconds.
    package func missesHeartbeats(of timeout: Int64) -> Instant? { since?.adding(milliseconds: timeout) }
}

/// Up to when all that workers said is written: a deadline no later than that may be judged.
///
/// The stream of reports is a work queue, so what is not settled is still in it, whichever instance has it in hand. A mark
/// is set at the stream's end, and is met when the eldest report that waits lies behind it. A steady flow of reports moves
/// it on as they are settled; only one that cannot be settled keeps it where it is.
package struct ReportWatermark: Hashable, Sendable {
    /// Nil before the first mark is met.
    package private(set) var through: Instant?
    private var mark: Mark?

    private struct Mark: Hashable {
        let sequence: UInt64
        let at: Instant
    }

    package init() {}

    /// - Parameters:
    ///   - now: an instant before the stream was asked.
    ///   - last: the stream's last sequence.
    ///   - eldest: the sequence of the first report that waits in it, asked after `last`; nil where none does.
    package mutating func look(at now: Instant, last: UInt64, eldest: UInt64?) {
        // The stream was made anew: what was marked is gone.
        if let mark, mark.sequence > last { self.mark = nil }
        let isMet = { (sequence: UInt64) in eldest.map { $0 > sequence } ?? true }
        if isMet(last) {
            through = now
            mark = nil
        } else if let mark, !isMet(mark.sequence) {
            return
        } else {
            if let mark { through = mark.at }
            mark = Mark(sequence: last, at: now)
        }
    }
}
