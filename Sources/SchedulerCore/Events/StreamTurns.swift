/// Which streams are asked now: side by side, so that one that does not answer keeps nobody waiting but itself. Pure;
/// instants are nanoseconds of the monotonic clock.
package struct StreamTurns: Sendable {
    private static let shortestPause: Int64 = 500_000_000
    private static let longestPause: Int64 = 8_000_000_000

    private let most: Int
    private var asked: Set<StreamName> = []
    /// Those that did not answer last: how long they are left alone, and until when.
    private var silent: [StreamName: (pause: Int64, until: Int64)] = [:]

    /// - Parameter most: streams that are asked at once.
    package init(most: Int) { self.most = most }

    /// Chooses among streams that somebody wants to ask; those that answered last come first.
    package mutating func take(_ wanted: some Collection<StreamName>, at now: Int64) -> [StreamName] {
        let free = wanted.filter { stream in
            !asked.contains(stream) && silent[stream].map { $0.until <= now } ?? true
        }
        let (known, doubtful) = (free.filter { silent[$0] == nil }, free.filter { silent[$0] != nil })
        let taken = Array((known + doubtful).prefix(max(0, most - asked.count)))
        asked.formUnion(taken)
        return taken
    }

    /// A stream is asked no longer.
    package mutating func end(_ stream: StreamName, isAnswered: Bool, at now: Int64) {
        asked.remove(stream)
        guard !isAnswered else {
            silent[stream] = nil
            return
        }
        let pause = min(silent[stream].map { $0.pause * 2 } ?? Self.shortestPause, Self.longestPause)
        silent[stream] = (pause, now + pause)
    }
}
