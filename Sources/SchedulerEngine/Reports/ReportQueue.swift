import NATSClient
import SchedulerCore
import SchedulerWire
import Synchronization

/// A report as it came in.
struct ReceivedReport: Sendable {
    let message: NATSMessage
    /// Where it came from; nil for a heartbeat, which no stream keeps.
    let delivery: (message: PulledMessage, consumer: PullConsumer)?
    /// The execution that it is about, where its subject can be read; what keeps reports on one in their order.
    let execution: ExecutionID?

    init(_ message: NATSMessage, delivery: (PulledMessage, PullConsumer)? = nil, prefix: String) {
        self.message = message
        self.delivery = delivery
        execution = (try? ReportSubject(message.subject, prefix: prefix))?.execution
    }

    /// It is dealt with, and durably so.
    func acknowledge() {
        guard let (message, consumer) = delivery else { return }
        consumer.acknowledge(message)
        consumer.took()
    }

    /// It comes again after a pause. A heartbeat does not: another follows it.
    func giveBack(for pause: Duration) {
        guard let (message, consumer) = delivery else { return }
        consumer.giveBack(message, for: pause)
        consumer.took()
    }

    /// How often it was delivered.
    var deliveries: UInt64 { delivery?.message.deliveries ?? 1 }
}

/// Reports that wait to be taken, in the order in which they came.
///
/// What a stream keeps is bounded by what is pulled from it. Heartbeats are bounded here: one that finds no room is
/// dropped, for another follows it.
final class ReportQueue: Sendable {
    static let mostHeartbeats = 10_000

    private struct State {
        var waiting: [ReceivedReport] = []
        var heartbeats = 0
        /// Those of a batch under way: what follows on them waits for its end.
        var busy: Set<ExecutionID> = []
    }

    private let state = Mutex(State())
    private let wakeup = Wakeup()

    /// - Returns: whether there was room for it.
    @discardableResult
    func add(_ report: ReceivedReport) -> Bool {
        let isTaken = state.withLock { state in
            if report.delivery == nil {
                guard state.heartbeats < Self.mostHeartbeats else { return false }
                state.heartbeats += 1
            }
            state.waiting.append(report)
            return true
        }
        if isTaken { wakeup.signal() }
        return isTaken
    }

    /// The eldest, one an execution at most, and none of an execution that is being worked on: so each finds what the
    /// one before it has made.
    func take(atMost count: Int) -> [ReceivedReport] {
        state.withLock { state in
            var taken: [ReceivedReport] = []
            var left: [ReceivedReport] = []
            var met = state.busy
            for report in state.waiting {
                guard taken.count < count, report.execution.map({ met.insert($0).inserted }) ?? true else {
                    left.append(report)
                    continue
                }
                taken.append(report)
                if report.delivery == nil { state.heartbeats -= 1 }
            }
            state.busy.formUnion(taken.compactMap(\.execution))
            state.waiting = left
            return taken
        }
    }

    /// A batch is over.
    func finish(_ batch: [ReceivedReport]) {
        let isMore = state.withLock { state in
            state.busy.subtract(batch.compactMap(\.execution))
            return !state.waiting.isEmpty
        }
        if isMore { wakeup.signal() }
    }

    /// Empties it. - Returns: what was in it.
    func drain() -> [ReceivedReport] {
        state.withLock { state in
            defer { state = State() }
            return state.waiting
        }
    }

    func wait(atMost limit: Duration) async { await wakeup.wait(atMost: limit) }
}
