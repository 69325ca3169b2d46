package import Recurrence

/// A message that was heard.
package struct HeardMessage: Hashable, Sendable {
    /// When it came into its stream; of a core subject when it was heard.
    package let at: Instant
    /// Its place in its stream; nil where it comes from none.
    package let sequence: Int64?
    /// Tells it apart from others of the same instant.
    package let ordinal: Int64
    /// What a template may show of it; nil where none does.
    package let content: [UInt8]?

    package init(at: Instant, sequence: Int64?, ordinal: Int64, content: [UInt8]?) {
        self.at = at
        self.sequence = sequence
        self.ordinal = ordinal
        self.content = content
    }
}

/// Where an `event` schedule stands with what it hears: one row, beside its timer and under its lock.
package struct EventState: Hashable, Sendable {
    package var generation: Int32
    /// The latest message of the stream that was taken; 0 before any.
    package var lastSequence: Int64
    /// When the stream was made that `lastSequence` counts in.
    package var streamCreated: String
    /// What came earlier is passed over: before the schedule was, or while it was paused.
    package var listenFrom: Instant
    /// `max_rate_per_second`: nothing is due before it.
    package var allowedAt: Instant?

    package init(
        generation: Int32, lastSequence: Int64 = 0, streamCreated: String = "", listenFrom: Instant,
        allowedAt: Instant? = nil
    ) {
        self.generation = generation
        self.lastSequence = lastSequence
        self.streamCreated = streamCreated
        self.listenFrom = listenFrom
        self.allowedAt = allowedAt
    }
}

/// Decides what becomes of messages that were heard, under the lock of the schedule's timer. Pure and total.
package struct EventIntake: Hashable, Sendable {
    /// A message that waits from now on.
    package struct Addition: Hashable, Sendable {
        package let message: HeardMessage
        package let dueAt: Instant
        /// How many messages it stands for: a burst's.
        package let count: Int64
    }

    /// The most messages that wait for a schedule's delay or rate. A stream's reader stops there and leaves them in the
    /// stream; of a core subject what comes beyond is dropped.
    package static let mostWaiting = 10_000
    /// Where a stream's reader stops.
    package static let mostFromStream = 1000

    package private(set) var additions: [Addition] = []
    package private(set) var state: EventState
    /// Messages that found no room.
    package private(set) var dropped = 0

    /// - Parameters:
    ///   - heard: in the order in which they were heard.
    ///   - isKnown: whether the message with this place in `heard` waits, or was fired, already: a stream's redelivery.
    ///   - room: how many more may wait.
    ///   - burst: messages of the burst that waits to be quiet.
    package init(
        _ heard: [HeardMessage], _ timing: Timing, _ state: EventState, isKnown: (Int) -> Bool, room: Int,
        burst: Int64, now: Instant
    ) {
        self.state = state
        let rule = timing.event
        var burst = burst
        var last: HeardMessage?
        for (index, message) in heard.enumerated() {
            let isOld = message.sequence.map { $0 <= state.lastSequence } ?? false
            if let sequence = message.sequence { self.state.lastSequence = max(self.state.lastSequence, sequence) }
            guard message.at >= state.listenFrom, timing.startAt.map({ message.at >= $0 }) ?? true,
                timing.endAt.map({ message.at <= $0 }) ?? true
            else { continue }
            if rule.debounceMilliseconds > 0 {
                // One that comes again says nothing new: a later one of its burst was taken.
                if isOld { continue }
                burst += 1
                if last.map({ $0.at <= message.at }) ?? true { last = message }
                continue
            }
            if isOld, isKnown(index) { continue }
            guard additions.count < room else {
                dropped += 1
                continue
            }
            var due = message.at.adding(milliseconds: rule.delayMilliseconds)
            if let spacing = rule.spacingMilliseconds {
                due = max(due, now, self.state.allowedAt ?? due)
                self.state.allowedAt = due.adding(milliseconds: spacing)
            }
            additions.append(Addition(message: message, dueAt: due, count: 1))
        }
        guard let last else { return }
        let quiet = last.at.adding(milliseconds: rule.debounceMilliseconds + rule.delayMilliseconds)
        additions = [Addition(message: last, dueAt: quiet, count: burst)]
    }
}
