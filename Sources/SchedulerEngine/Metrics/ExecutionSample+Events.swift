import Recurrence
import SchedulerCore
import SchedulerWire
import ServiceMetrics

// What metrics take from what is told of executions: each end and each delivery is told once by whoever made it durable.

extension ExecutionSample {
    /// From the event of an execution that is over, and that its claim's journal tells.
    init(_ event: ExecutionEvent) {
        let isDelivery = event.state == .delivered
        self.init(
            type: event.trigger.rawValue, ended: Self.end(event.state, event.reason),
            count: event.rangeCount,
            lateness: isDelivery ? event.firedAt?.milliseconds(since: event.dueAt) : nil)
    }

    /// What a shadow would have published is no skip that anybody has to look at.
    private static func end(_ state: ExecutionState, _ reason: String?) -> String {
        state == .skipped && reason == SkipReason.shadow.rawValue ? SkipReason.shadow.rawValue : state.rawValue
    }

    /// From a step of a life; nil where metrics take nothing from it.
    /// - Parameters:
    ///   - execution: as it stands after the step.
    ///   - life: the same.
    init?(_ tell: LifeTell, of execution: Execution, _ life: Life, at now: Instant) {
        let isEnd = life.isOver && tell.rawValue == execution.state.rawValue
        guard isEnd || tell == .delivered else { return nil }
        // Nobody was at it that never had it.
        let isTimed = isEnd && execution.isTracked && life.deliveredAt != nil
        self.init(
            type: execution.trigger.rawValue, ended: isEnd ? Self.end(execution.state, execution.reason) : nil,
            lateness: tell == .delivered ? execution.firedAt?.milliseconds(since: execution.dueAt) : nil,
            duration: isTimed ? execution.firedAt.map { now.milliseconds(since: $0) } : nil)
    }
}

extension EventTeller.Owed {
    var sample: ExecutionSample? {
        switch self {
        case .execution(let event, _): ExecutionSample(event)
        case .message(_, _, let step): step?.sample
        case .change, .system: nil
        }
    }
}

/// What was claimed too late.
enum Misfires {
    private static let reasons: Set<String> = [
        SkipReason.misfire.rawValue, SkipReason.coalesced.rawValue, SkipReason.catchupCap.rawValue,
    ]

    /// How many occurrences of one claim did not fire at their own time.
    static func count(_ fires: [Fire], _ skipped: [EventTeller.Owed]) -> Int64 {
        let late = fires.reduce(into: 0 as Int64) { if $1.trigger == .catchup { $0 += 1 } }
        return skipped.reduce(into: late) { count, owed in
            guard case .execution(let event, _) = owed, let reason = event.reason, reasons.contains(reason) else {
                return
            }
            count += event.rangeCount
        }
    }
}
