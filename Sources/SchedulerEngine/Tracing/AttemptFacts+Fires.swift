import NATSClient
import Recurrence
import SchedulerCore
import ServiceMetrics
import ServiceTracing

// What spans take from what becomes of executions. Where nobody records a trace, nothing of this is made.

extension ServiceTracer {
    /// Publishes have ended, a batch at a time: acknowledged, answered, or given up after they were handed over.
    func published(_ ended: [EndedFire], by clock: PostgresClock) {
        guard isOn else { return }
        for end in ended where follows(end.fire.trace) {
            guard let trace = end.fire.trace, let facts = PublishFacts(end, within: trace) else { continue }
            published(facts, at: clock.microseconds(at: MonotonicClock.now()))
        }
    }
}

extension PublishFacts {
    /// Nil for what was never handed over, as nothing of a schedule in shadow is.
    fileprivate init?(_ ended: EndedFire, within trace: TraceContext) {
        let fire = ended.fire
        guard ended.end != .shadowed, let firedAt = ended.firedAt else { return nil }
        self.init(
            AttemptFacts(
                execution: fire.id, attempt: fire.attempt, schedule: fire.schedule.name,
                namespace: fire.schedule.namespace, target: fire.schedule.target,
                delivery: fire.schedule.delivery.rawValue, trigger: fire.trigger.rawValue, trace: trace),
            sendable: fire.sendableAt, lateness: firedAt.milliseconds(since: fire.dueAt), outcome: ended.word,
            isFailed: ended.state == .dead, ackStream: ended.ackStream, ackSequence: ended.ackSequence)
    }
}

extension EndedFire {
    /// A word of a short list: what a worker said of its failure stays in the events.
    fileprivate var word: String {
        switch end {
        case .delivered: "delivered"
        case .succeeded: "succeeded"
        case .failed: "failed"
        case .refused: "refused"
        case .unanswered: "unanswered"
        case .uncertain: DispatchEnd.uncertainWord
        case .shadowed, nil: state.rawValue
        }
    }
}

/// What is counted and traced of one step of a life, once it is durable.
package struct LifeStep: Sendable {
    var sample: ExecutionSample?
    var run: RunFacts?

    /// - Parameters:
    ///   - execution: as it stands after the step.
    ///   - life: the same.
    ///   - before: its state before: a worker had the attempt where it was delivered or running.
    init?(
        _ tell: LifeTell, of execution: Execution, _ life: Life, before: ExecutionState, by schedule: CompiledSchedule,
        at now: Instant
    ) {
        sample = ExecutionSample(tell, of: execution, life, at: now)
        run = RunFacts(tell, of: execution, life, before: before, by: schedule, at: now)
        if sample == nil, run == nil { return nil }
    }
}

extension RunFacts {
    private static let ends: Set<LifeTell> = [.succeeded, .failed, .timedOut, .cancelled]

    fileprivate init?(
        _ tell: LifeTell, of execution: Execution, _ life: Life, before: ExecutionState, by schedule: CompiledSchedule,
        at now: Instant
    ) {
        guard let trace = execution.trace, trace.isSampled, Self.ends.contains(tell),
            before == .delivered || before == .running, let delivered = life.deliveredAt
        else { return nil }
        self.init(
            AttemptFacts(
                execution: execution.id, attempt: execution.attempt, schedule: schedule.name,
                namespace: schedule.namespace, target: schedule.target, delivery: schedule.delivery.rawValue,
                trigger: execution.trigger.rawValue, trace: trace),
            delivered: delivered, ended: now, outcome: tell.rawValue)
    }
}

extension EventTeller.Owed {
    /// A worker's run that ended with this.
    var run: RunFacts? {
        if case .message(_, _, let step) = self { step?.run } else { nil }
    }
}
