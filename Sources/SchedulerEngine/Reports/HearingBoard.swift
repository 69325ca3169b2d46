import NATSClient
import Recurrence
import SchedulerCore
import Synchronization

/// Since when this member hears workers' reports: written by who takes them, read by who judges their deadlines.
final class HearingBoard: Sendable {
    /// Deaf for longer, the instance says so.
    private static let patience: Int64 = 10_000_000_000

    private struct State {
        var hearing = ReportHearing()
        /// On the monotonic clock; nil while something is heard.
        var deafSince: Int64? = MonotonicClock.now()
    }

    private let state = Mutex(State())

    var hearing: ReportHearing { state.withLock { $0.hearing } }

    func began(at now: Instant) { change { $0.began(at: now) } }
    func ended() { change { $0.ended() } }
    func answered(at now: Instant) { change { $0.answered(at: now) } }
    func unanswered() { change { $0.unanswered() } }

    private func change(_ body: (inout ReportHearing) -> Void) {
        state.withLock { state in
            body(&state.hearing)
            if state.hearing.since != nil {
                state.deafSince = nil
            } else if state.deafSince == nil {
                state.deafSince = MonotonicClock.now()
            }
        }
    }

    /// Why workers' deadlines are not judged; nil while they are, or were a moment ago.
    var fault: String? {
        let seconds = state.withLock { state in
            state.deafSince.map { MonotonicClock.now() - $0 }.flatMap { $0 > Self.patience ? $0 / 1_000_000_000 : nil }
        }
        return seconds.map {
            "workers' reports are not heard for \($0) s: no start, run or heartbeat time-out is judged"
        }
    }
}
