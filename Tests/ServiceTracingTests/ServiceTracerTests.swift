import InMemoryTracing
import Recurrence
import SchedulerCore
import Synchronization
import Testing
import Tracing

@testable import ServiceTracing
@testable import SpanExport

/// What becomes a span, and whose child it is.
@Suite struct ServiceTracerTests {
    private static let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    private static let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    private static let execution = ExecutionID(UUIDValue(high: 1, low: 0xABC))

    private final class Recorded: Sendable {
        let spans = Mutex<[SpanRecord]>([])
        var all: [SpanRecord] { spans.withLock { $0 } }
        var tracer: ServiceTracer { ServiceTracer(ExportTracer { [self] span in spans.withLock { $0.append(span) } }) }
    }

    private func attempt(_ number: Int32, _ trace: TraceContext) -> AttemptFacts {
        AttemptFacts(
            execution: Self.execution, attempt: number, schedule: "nightly", namespace: "billing",
            target: "cmd.billing.run", delivery: "jetstream", trigger: "manual", trace: trace)
    }

    private func publish(_ number: Int32, _ trace: TraceContext, outcome: String = "delivered") -> PublishFacts {
        PublishFacts(
            attempt(number, trace), sendable: Instant(milliseconds: 1000), lateness: 7, outcome: outcome,
            isFailed: outcome != "delivered", ackStream: "WORK", ackSequence: 12)
    }

    private func trace(_ text: String) throws -> TraceContext { try #require(TraceContext(text: text)) }

    @Test func aCommandsSpanIsItsSendersChildAndTheParentOfWhatItAsksFor() throws {
        let recorded = Recorded()
        let sender = try trace(Self.sampled + " a=1")
        let span = try #require(
            recorded.tracer.begin(
                command: "schedule.trigger", namespace: "billing", on: "scheduler.cmd.billing.schedule.trigger",
                by: .nats, within: sender, at: 500_000))
        #expect(span.trace.traceID == sender.traceID && span.trace.spanID != sender.spanID && span.trace.state == "a=1")
        recorded.tracer.published(publish(2, span.trace), at: 1_004_000)
        span.end(failure: nil, at: 600_000)
        let all = recorded.all
        try #require(all.map(\.name) == ["publish cmd.billing.run", "process schedule.trigger"])
        #expect(all[1].kind == .server && all[1].parent?.spanID == sender.spanID && all[1].status == nil)
        #expect(all[1].start == 500_000_000 && all[1].end == 600_000_000)
        #expect(all[1].attributes.get("messaging.destination.name") == "scheduler.cmd.billing.schedule.trigger")
        #expect(all[0].kind == .producer && all[0].parent?.spanID == span.trace.spanID)
        #expect(all[0].start == 1_000_000_000 && all[0].end == 1_004_000_000)
        // What the message carries, and so whose children the worker's spans are.
        #expect(all[0].identity.spanID == Self.execution.trace(within: span.trace, attempt: 2).spanID)
        #expect(all[0].attributes.get("carillon.execution_id") == .string(Self.execution.description))
        #expect(all[0].attributes.get("carillon.attempt") == 2 && all[0].attributes.get("carillon.lateness_ms") == 7)
        #expect(all[0].attributes.get("carillon.ack_sequence") == 12)
    }

    @Test func aRunIsAChildOfItsPublish() throws {
        let recorded = Recorded()
        let sender = try trace(Self.sampled)
        recorded.tracer.published(publish(1, sender), at: 1_004_000)
        recorded.tracer.ran(
            RunFacts(
                attempt(1, sender), delivered: Instant(milliseconds: 1004), ended: Instant(milliseconds: 2000),
                outcome: "timed_out"))
        let all = recorded.all
        try #require(all.map(\.name) == ["publish cmd.billing.run", "run cmd.billing.run"])
        #expect(all[1].parent?.spanID == all[0].identity.spanID && all[1].kind == .internal)
        #expect(all[1].status?.code == .error && all[1].attributes.get("error.type") == "timed_out")
        #expect(all[0].status == nil && all[1].end - all[1].start == 996_000_000)
    }

    @Test(arguments: [(404, false), (500, true), (503, true)]) func onlyAFaultOfTheServiceIsAnError(
        status: Int, isError: Bool
    ) throws {
        let recorded = Recorded()
        let span = try #require(
            recorded.tracer.begin(
                command: "schedule.get", namespace: nil, on: "", by: .http, within: try trace(Self.sampled), at: 0))
        span.end(failure: (10_404, status), at: 1)
        let only = try #require(recorded.all.first)
        #expect((only.status?.code == .error) == isError && only.attributes.get("error.type") == "10404")
        #expect(
            only.attributes.get("network.protocol.name") == "http" && only.attributes.get("messaging.system") == nil)
    }

    @Test func whatNobodyRecordsMakesNoSpan() throws {
        let recorded = Recorded()
        let unsampled = try trace(Self.unsampled)
        for tracer in [recorded.tracer, ServiceTracer()] {
            let trace = tracer.isOn ? unsampled : try trace(Self.sampled)
            for trace in [trace, nil] {
                #expect(!tracer.follows(trace))
                #expect(
                    tracer.begin(command: "c", namespace: nil, on: "", by: .submitted, within: trace, at: 0) == nil)
            }
            tracer.published(publish(1, trace), at: 0)
            tracer.ran(RunFacts(attempt(1, trace), delivered: .earliest, ended: .latest, outcome: "failed"))
        }
        #expect(recorded.all.isEmpty)
    }

    @Test func anotherBackendDoes() throws {
        let tracer = InMemoryTracer()
        let service = ServiceTracer(tracer)
        let sender = try trace(Self.sampled)
        let span = try #require(
            service.begin(
                command: "schedule.trigger", namespace: "billing", on: "s", by: .submitted, within: sender, at: 0))
        // It speaks no W3C trace context: the sender's goes on.
        #expect(span.trace == sender)
        span.end(failure: nil, at: 1)
        service.published(publish(1, span.trace, outcome: "unanswered"), at: 2)
        let spans = tracer.finishedSpans
        #expect(spans.map(\.operationName) == ["process schedule.trigger", "publish cmd.billing.run"])
        #expect(spans.map(\.kind) == [.consumer, .producer])
        #expect(spans.last?.attributes.get("error.type") == "unanswered" && spans.last?.status?.code == .error)
    }
}
