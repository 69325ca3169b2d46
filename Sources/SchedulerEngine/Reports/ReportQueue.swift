import NATSClient
import SchedulerCore
import SchedulerWire
import Synchronization

/// A report as it came in.
struct ReceivedReport: Sendable {
    let message: NATSMessage
    /// Where it came from; nil for a heartbeat, which no stream keeps.
    let delivery: (message: PulledMessage, consumer: PullConsumer)?
    /// What it is about, where that can be read.
    let subject: ReportSubject?

    init(_ message: NATSMessage, delivery: (PulledMessage, PullConsumer)? = nil, prefix: String) {
        self.message = message
        self.delivery = delivery
        subject = try? ReportSubject(message.subject, prefix: prefix)
    }

    var execution: ExecutionID? { subject?.execution }

    /// Tells signs of life of one attempt from those of another: its fence, as far as it is known unread.
    var attempt: [UInt8] { message.header("Scheduler-Fence").map { Array($0.utf8) } ?? message.payload }

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

/// Reports that wait to be taken, each namespace and each execution in its turn (``ReportLanes``).
///
/// What a stream keeps is bounded by what is pulled from it. Heartbeats are bounded here: one that finds no room is
/// dropped, for another follows it.
final class ReportQueue: Sendable {
    static let mostHeartbeats = 10_000

    private let state = Mutex(ReportLanes<ReceivedReport>(mostSigns: mostHeartbeats))
    private let wakeup = Wakeup()

    func add(_ report: ReceivedReport) {
        let namespace = report.subject?.namespace.description ?? ""
        let isTaken = state.withLock {
            $0.add(report, of: namespace, on: report.execution, sign: report.delivery == nil ? report.attempt : nil)
        }
        if isTaken { wakeup.signal() }
    }

    /// Those whose turn it is, those of one execution in their order. For one task, which settles what it took before it
    /// takes more.
    func take(atMost count: Int) -> [ReceivedReport] { state.withLock { $0.take(atMost: count) } }

    /// Empties it. - Returns: what was in it.
    func drain() -> [ReceivedReport] { take(atMost: .max) }

    func wait(atMost limit: Duration) async { await wakeup.wait(atMost: limit) }
}
