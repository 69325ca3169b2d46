package import Recurrence

/// What an `event` or an `absence` schedule listens to, and what becomes of what it hears. Part of its timing.
package struct EventRule: Hashable, Sendable {
    /// May have wildcards, but not in its first token.
    package var subject: SubjectPattern?
    /// A stream to read the subject from; nil: it is listened to as it is published.
    package var stream: StreamName?
    /// From a message to its fire.
    package var delayMilliseconds: Int64 = 0
    /// Fires once no message came for so long, for the last one; 0: each message fires.
    package var debounceMilliseconds: Int64 = 0
    /// Fires a second at most; what is too much waits.
    package var maxRatePerSecond: Double?
    /// Of an `absence`: for so long no message may be missing.
    package var absenceMilliseconds: Int64?

    package init() {}

    package static let rates = 0.001...1000.0

    /// The least distance between two fires; nil where nothing bounds it.
    package var spacingMilliseconds: Int64? { maxRatePerSecond.map { Int64((1000 / $0).rounded(.up)) } }
}

/// A stream's name: no white space, dots, wildcards or slashes, as NATS has it, in printable ASCII.
package struct StreamName: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ text: String) throws(NameError) {
        let isName = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !#".*>/\"#.utf8.contains($0) }
        guard !text.isEmpty, text.utf8.count <= 255, isName else {
            throw NameError(
                #"expected a stream's name: 1 to 255 printable characters without spaces, '.', '*', '>', '/', '\'"#)
        }
        description = text
    }
}

extension Instant {
    /// Where the timer of a schedule stands that waits for a message: no claim ever comes to it, and it is not over.
    package static let untilMessage = Instant(milliseconds: 253_402_214_400_000)
}

extension Timing {
    /// Messages decide when it fires, and no recurrence does.
    package var isListening: Bool {
        switch type {
        case .event, .absence: true
        case .cron, .interval, .once, .immediate, .rrule: false
        }
    }

    /// Where the timer of an `event` schedule stands while nothing waits: at its end, where it is looked at once more
    /// and found to be over.
    package var idleUntil: Instant { endAt ?? .untilMessage }

    /// By when an `absence` must have heard a message, having heard one at `instant`: so long afterwards, or so long
    /// after the next time of its cron expression. Nil where that never comes again.
    ///
    /// - Parameter recurrence: of the schedule's ``OccurrenceSource``.
    package func deadline(after instant: Instant, _ recurrence: Recurrence) -> Instant? {
        let expected = cronExpression == nil ? instant : recurrence.next(after: instant)
        return expected?.adding(milliseconds: event.absenceMilliseconds ?? 0)
    }

    /// Where the timer begins; nil where the schedule is over before it begins.
    func firstTurn(_ recurrence: Recurrence, now: Instant) -> Instant? {
        switch type {
        case .absence: deadline(after: now, recurrence)
        default: idleUntil > now ? idleUntil : nil
        }
    }
}

extension Timing {
    /// What a schedule that messages drive waits for, in words; nothing of any other.
    package var sentence: String {
        let subject = event.subject?.description ?? ""
        let place = event.stream.map { "'\(subject)' in stream \($0)" } ?? "'\(subject)'"
        guard type == .absence else {
            var words = "it fires when a message comes on \(place)"
            if event.debounceMilliseconds > 0 {
                words += ", once none came for \(Explanation.seconds(event.debounceMilliseconds))"
            }
            if event.delayMilliseconds > 0 { words += ", \(Explanation.seconds(event.delayMilliseconds)) later" }
            return words
        }
        let limit = Explanation.seconds(event.absenceMilliseconds ?? 0)
        guard let cronExpression else { return "it tells when no message came on \(place) for \(limit)" }
        return "it tells when no message came on \(place) within \(limit) of a time of '\(cronExpression)'"
    }
}
