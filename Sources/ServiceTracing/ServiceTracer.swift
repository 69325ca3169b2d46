package import Recurrence
package import SchedulerCore
import SpanExport
package import Tracing

/// What the service makes spans of, by names that say what happened: one line where it happens, and no name of a span or
/// an attribute outside of this module (OpenTelemetry's conventions for messaging).
///
/// Spans are made only within a trace whose sender records it: a command says so, and what it asked for inherits it.
/// Nobody else's fire costs more than a look at a flag, and without a tracer no more than a branch for a whole batch.
package struct ServiceTracer: Sendable {
    private let tracer: (any Tracer)?

    /// - Parameter tracer: of any backend that speaks W3C trace context; nil makes no spans.
    package init(_ tracer: (any Tracer)? = nil) { self.tracer = tracer }

    package var isOn: Bool { tracer != nil }

    /// Whether spans are made within that trace.
    package func follows(_ trace: TraceContext?) -> Bool { tracer != nil && trace?.isSampled == true }
}

// MARK: - Commands

/// A command's span while it is carried out.
package struct CommandSpan: Sendable {
    private let span: any Span
    /// What the command does belongs to this.
    package let trace: TraceContext

    fileprivate init(_ span: any Span, trace: TraceContext) {
        self.span = span
        self.trace = trace
    }

    /// - Parameters:
    ///   - failure: the error's number and its HTTP class; nil where it was carried out.
    ///   - microseconds: since 1970.
    package func end(failure: (errCode: Int, status: Int)?, at microseconds: Int64) {
        if let failure {
            span.attributes.set("error.type", value: .string(String(failure.errCode)))
            // A request that is refused for what it says is the requester's error.
            if failure.status >= 500 { span.setStatus(SpanStatus(code: .error)) }
        }
        span.end(at: SpanInstant(microseconds: microseconds))
    }
}

extension ServiceTracer {
    /// How a command came in.
    package enum CommandRoad: Sendable {
        case nats, http
        /// Through the commands stream: nobody waits for a reply.
        case submitted
    }

    /// Begins a command's span; nil where nobody records its trace.
    /// - Parameters:
    ///   - name: what the catalogue calls it.
    ///   - namespace: nil for an administrative one.
    ///   - subject: that it came on; over HTTP that it would have come on.
    ///   - microseconds: since 1970.
    package func begin(
        command name: String, namespace: String?, on subject: @autoclosure () -> String, by road: CommandRoad,
        within trace: TraceContext?, at microseconds: Int64
    ) -> CommandSpan? {
        guard let tracer, let trace, trace.isSampled else { return nil }
        let span: any Span = tracer.startSpan(
            "process \(name)", context: tracer.context(of: trace), ofKind: road == .submitted ? .consumer : .server,
            at: SpanInstant(microseconds: microseconds))
        var attributes: SpanAttributes = ["carillon.command": .string(name)]
        attributes.set("carillon.namespace", value: namespace.map { .string($0) })
        if road == .http {
            attributes.set("network.protocol.name", value: "http")
        } else {
            attributes.set("messaging.system", value: "nats")
            attributes.set("messaging.operation.name", value: "process")
            attributes.set("messaging.operation.type", value: "process")
            attributes.set("messaging.destination.name", value: .string(subject()))
        }
        span.attributes = attributes
        return CommandSpan(span, trace: tracer.trace(of: span.context) ?? trace)
    }
}

// MARK: - Executions

/// Whose attempt it is: what the spans of an execution have in common.
package struct AttemptFacts: Sendable {
    package var execution: ExecutionID
    package var attempt: Int32
    package var schedule: String
    package var namespace: String
    package var target: String
    package var delivery: String
    package var trigger: String
    /// Of the command that asked for it.
    package var trace: TraceContext

    package init(
        execution: ExecutionID, attempt: Int32, schedule: String, namespace: String, target: String, delivery: String,
        trigger: String, trace: TraceContext
    ) {
        self.execution = execution
        self.attempt = attempt
        self.schedule = schedule
        self.namespace = namespace
        self.target = target
        self.delivery = delivery
        self.trigger = trigger
        self.trace = trace
    }

    /// What its messages carry: the span of the publish.
    fileprivate var own: TraceContext { execution.trace(within: trace, attempt: attempt) }

    fileprivate var attributes: SpanAttributes {
        [
            "messaging.system": "nats", "messaging.destination.name": .string(target),
            "messaging.message.id": .string("\(execution).\(attempt)"),
            "carillon.execution_id": .string(execution.description), "carillon.attempt": .int64(Int64(attempt)),
            "carillon.schedule": .string(schedule), "carillon.namespace": .string(namespace),
            "carillon.delivery": .string(delivery), "carillon.trigger": .string(trigger),
        ]
    }
}

/// A publish that has ended.
package struct PublishFacts: Sendable {
    package var attempt: AttemptFacts
    /// When it could go out first.
    package var sendable: Instant
    /// From its due time to its hand-over, in milliseconds.
    package var lateness: Int64
    /// What came of it: `delivered`, `succeeded`, or what its execution's state says else.
    package var outcome: String
    package var isFailed: Bool
    package var ackStream: String?
    package var ackSequence: UInt64?

    package init(
        _ attempt: AttemptFacts, sendable: Instant, lateness: Int64, outcome: String, isFailed: Bool,
        ackStream: String? = nil, ackSequence: UInt64? = nil
    ) {
        self.attempt = attempt
        self.sendable = sendable
        self.lateness = lateness
        self.outcome = outcome
        self.isFailed = isFailed
        self.ackStream = ackStream
        self.ackSequence = ackSequence
    }
}

/// A worker's run of an attempt, which has ended.
package struct RunFacts: Sendable {
    package var attempt: AttemptFacts
    /// When the worker was handed the attempt, and when it was known how it ended.
    package var delivered: Instant
    package var ended: Instant
    /// `succeeded`, `failed`, `timed_out` or `cancelled`.
    package var outcome: String

    package init(_ attempt: AttemptFacts, delivered: Instant, ended: Instant, outcome: String) {
        self.attempt = attempt
        self.delivered = delivered
        self.ended = ended
        self.outcome = outcome
    }
}

extension ServiceTracer {
    /// An attempt was handed over, and answered: the span whose id its message carries as its parent.
    /// - Parameter microseconds: when the answer came, since 1970.
    package func published(_ facts: PublishFacts, at microseconds: Int64) {
        guard let tracer, facts.attempt.trace.isSampled else { return }
        var context = tracer.context(of: facts.attempt.trace)
        context.nextSpan = facts.attempt.own
        let span: any Span = tracer.startSpan(
            "publish \(facts.attempt.target)", context: context, ofKind: .producer,
            at: SpanInstant(facts.sendable))
        var attributes = facts.attempt.attributes
        attributes.set("messaging.operation.name", value: "publish")
        attributes.set("messaging.operation.type", value: "send")
        attributes.set("carillon.lateness_ms", value: .int64(facts.lateness))
        attributes.set("carillon.outcome", value: .string(facts.outcome))
        attributes.set("carillon.ack_stream", value: facts.ackStream.map { .string($0) })
        attributes.set("carillon.ack_sequence", value: facts.ackSequence.map { .int64(Int64(clamping: $0)) })
        end(span, attributes, facts.isFailed ? facts.outcome : nil, at: SpanInstant(microseconds: microseconds))
    }

    /// A worker's run has ended: a child of its attempt's publish.
    package func ran(_ facts: RunFacts) {
        guard let tracer, facts.attempt.trace.isSampled else { return }
        let span: any Span = tracer.startSpan(
            "run \(facts.attempt.target)", context: tracer.context(of: facts.attempt.own), ofKind: .internal,
            at: SpanInstant(facts.delivered))
        var attributes = facts.attempt.attributes
        attributes.set("carillon.outcome", value: .string(facts.outcome))
        let isFailed = facts.outcome != "succeeded" && facts.outcome != "cancelled"
        end(span, attributes, isFailed ? facts.outcome : nil, at: SpanInstant(facts.ended))
    }

    private func end(_ span: any Span, _ attributes: SpanAttributes, _ error: String?, at instant: SpanInstant) {
        var attributes = attributes
        if let error {
            attributes.set("error.type", value: .string(error))
            span.setStatus(SpanStatus(code: .error))
        }
        span.attributes = attributes
        span.end(at: instant)
    }
}
