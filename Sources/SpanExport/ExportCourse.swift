import JSONText

/// What became of one request.
package enum ExportOutcome: Hashable, Sendable {
    /// - Parameters:
    ///   - retryAfter: seconds that the collector asked for.
    ///   - rejected: spans that it took no part of.
    case answered(status: Int, retryAfter: Int64? = nil, rejected: Int64 = 0)
    /// No answer came, for that reason.
    case unanswered(String)

    /// - Parameter retryAfter: the header's text; a date is none that counts.
    package init(status: Int, retryAfter: String?, body: [UInt8]) {
        let partial = (200..<300).contains(status) ? (try? JSONValue.parse(body))?["partialSuccess"] : nil
        // Protobuf's JSON has numbers of 64 bits as texts, and some write them as numbers.
        let rejected = partial?["rejectedSpans"].flatMap { $0.int64 ?? $0.string.flatMap { Int64($0) } } ?? 0
        self = .answered(
            status: status, retryAfter: retryAfter.flatMap { Int64($0) }.flatMap { $0 >= 0 ? $0 : nil },
            rejected: max(0, rejected))
    }
}

/// When spans go out, and what becomes of those that did not arrive. Pure: its shell tells it what happened and when.
///
///     waiting ──full, or a second old──▶ sent ──2xx──▶ delivered
///        ▲                                │
///        └──429, 502, 503, 504, no answer─┤ five times at most, ever later
///                                         └─any other─▶ dropped
package struct ExportCourse: Sendable {
    package enum Verdict: Hashable, Sendable {
        /// - Parameter rejected: of the batch, those that the collector did not want.
        case delivered(rejected: Int64)
        /// The same batch again, once ``isDue(_:at:)`` says so.
        case again(String)
        case dropped(String)
    }

    /// Spans in one request.
    package static let batch = 512
    static let mostTries = 5
    /// Seconds: who asks for more is asked again sooner.
    private static let longestAskedPause: Int64 = 300

    private let second: Int64
    private var tries = 0
    private var pausedUntil: Int64 = .min
    /// The last request found nobody, or nobody who would take it.
    package private(set) var isFailing = false

    /// - Parameter second: in nanoseconds; a test has short ones.
    package init(second: Int64 = 1_000_000_000) { self.second = second }

    /// Whether a request should go out now.
    /// - Parameters:
    ///   - waiting: how many spans wait, and since when, in monotonic nanoseconds; nil where none does.
    package func isDue(_ waiting: (count: Int, since: Int64)?, at now: Int64) -> Bool {
        guard let waiting, now >= pausedUntil else { return false }
        return tries > 0 || waiting.count >= Self.batch || now - waiting.since >= second
    }

    package mutating func take(_ outcome: ExportOutcome, at now: Int64) -> Verdict {
        switch outcome {
        case .answered(200..<300, _, let rejected):
            self = ExportCourse(second: second)
            return .delivered(rejected: rejected)
        case .answered(let status, let asked, _) where [429, 502, 503, 504].contains(status):
            return pause(asked.map { min($0, Self.longestAskedPause) }, "it answers \(status)", at: now)
        case .answered(let status, _, _):
            // The next batch may be another matter.
            tries = 0
            isFailing = true
            return .dropped("it answers \(status)")
        case .unanswered(let reason): return pause(nil, reason, at: now)
        }
    }

    /// After the last try the next batch waits as this one did: who is away is asked seldom.
    private mutating func pause(_ asked: Int64?, _ reason: String, at now: Int64) -> Verdict {
        isFailing = true
        let seconds = asked ?? 1 << tries
        pausedUntil = now + seconds * second
        tries += 1
        guard tries >= Self.mostTries else { return .again(reason) }
        // The next one has a single try until somebody answers.
        tries = Self.mostTries - 1
        return .dropped(reason)
    }
}
