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

    /// The burst that a schedule hears: it goes on until no message came for `debounce_seconds`.
    package struct Burst: Hashable, Sendable {
        /// When its last message came.
        package let lastAt: Instant
        /// Messages.
        package let count: Int64

        package init(lastAt: Instant, count: Int64) {
            self.lastAt = lastAt
            self.count = count
        }
    }

    /// In the order of their due times, but for a rate.
    package private(set) var additions: [Addition] = []
    package private(set) var state: EventState
    /// Messages that found no room.
    package private(set) var dropped = 0
    /// The burst that waits goes on: the first of the additions stands for it from now on.
    package private(set) var continuesBurst = false

    /// - Parameters:
    ///   - heard: in the order in which they were heard.
    ///   - isKnown: whether the message with this place in `heard` waits, or was fired, already: a stream's redelivery.
    ///   - room: how many more may wait.
    ///   - burst: the latest burst that waits.
    package init(
        _ heard: [HeardMessage], _ timing: Timing, _ state: EventState, isKnown: (Int) -> Bool, room: Int,
        burst: Burst?, now: Instant
    ) {
        self.state = state
        let rule = timing.event
        var bursts = Bursts(rule, burst, room: room)
        for (index, message) in heard.enumerated() {
            let isOld = message.sequence.map { $0 <= state.lastSequence } ?? false
            if let sequence = message.sequence { self.state.lastSequence = max(self.state.lastSequence, sequence) }
            guard message.at >= state.listenFrom, timing.startAt.map({ message.at >= $0 }) ?? true,
                timing.endAt.map({ message.at <= $0 }) ?? true
            else { continue }
            if rule.debounceMilliseconds > 0 {
                // One that comes again says nothing new: a later one of its burst was taken.
                if !isOld { bursts.add(message) }
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
        guard rule.debounceMilliseconds > 0 else { return }
        bursts.close()
        (additions, dropped, continuesBurst) = (bursts.closed, bursts.dropped, bursts.isContinued)
    }
}

/// Divides messages into bursts. A burst that was quiet for long enough is over, whether it has fired or not: what comes
/// later begins another one.
private struct Bursts {
    private let rule: EventRule
    private let room: Int
    private var last: HeardMessage?
    private var lastAt: Instant?
    private var count: Int64 = 0
    /// The present one waits already, as a row.
    private var isWaiting: Bool
    private(set) var closed: [EventIntake.Addition] = []
    private(set) var isContinued = false
    private(set) var dropped = 0

    init(_ rule: EventRule, _ waiting: EventIntake.Burst?, room: Int) {
        self.rule = rule
        self.room = room
        isWaiting = waiting != nil
        lastAt = waiting?.lastAt
        count = waiting?.count ?? 0
    }

    mutating func add(_ message: HeardMessage) {
        if let lastAt, message.at < lastAt.adding(milliseconds: rule.debounceMilliseconds) {
            if isWaiting { isContinued = true }
            // Two that hear at once have not quite the same clock.
            if last == nil || message.at >= lastAt { last = message }
            self.lastAt = max(lastAt, message.at)
            count += 1
            return
        }
        close()
        guard closed.count < room else {
            dropped += 1
            return
        }
        (last, lastAt, count, isWaiting) = (message, message.at, 1, false)
    }

    /// The present one is over, or all that was heard of it so far.
    mutating func close() {
        defer { (last, lastAt) = (nil, nil) }
        guard let last, let lastAt else { return }
        let quiet = lastAt.adding(milliseconds: rule.debounceMilliseconds + rule.delayMilliseconds)
        closed.append(EventIntake.Addition(message: last, dueAt: quiet, count: count))
    }
}
