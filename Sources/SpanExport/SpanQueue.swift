import DequeModule
import Synchronization

/// Spans that wait for their request: so many at most, and what comes then is dropped and counted. Adding one never waits.
package final class SpanQueue: Sendable {
    private struct State {
        var waiting: Deque<SpanRecord> = []
        var since: Int64 = 0
        var dropped: UInt64 = 0
    }

    private let most: Int
    private let clock: @Sendable () -> Int64
    private let state = Mutex(State())

    /// - Parameters:
    ///   - most: spans that wait; some 1 KB each.
    ///   - clock: monotonic nanoseconds.
    package init(most: Int = 8192, clock: @escaping @Sendable () -> Int64) {
        self.most = most
        self.clock = clock
    }

    package func add(_ span: SpanRecord) {
        state.withLock { state in
            guard state.waiting.count < most else {
                state.dropped += 1
                return
            }
            if state.waiting.isEmpty { state.since = clock() }
            state.waiting.append(span)
        }
    }

    /// How many wait, and since when; nil where none does.
    package var standing: (count: Int, since: Int64)? {
        state.withLock { $0.waiting.isEmpty ? nil : ($0.waiting.count, $0.since) }
    }

    package func take(_ count: Int) -> [SpanRecord] {
        state.withLock { state in
            let taken = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(taken.count)
            state.since = clock()
            return taken
        }
    }

    /// Counts spans that were taken and did not arrive.
    package func drop(_ count: Int) { state.withLock { $0.dropped += UInt64(count) } }

    /// Dropped since the process began.
    package var dropped: UInt64 { state.withLock { $0.dropped } }
}
