import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

/// What is told of a life: its events, and what it leaves behind.
@Suite("Texts of lives") struct LifeTextTests {
    private let now = Instant(milliseconds: 1_795_219_200_000)

    private var execution: Execution {
        let schedule = ScheduleID(UUIDValue(high: 0x0190_B2C3_D4E5_7001, low: 0x8123_4567_89AB_CDEF))
        let occurrence = Occurrence(schedule: schedule, generation: 1, scheduledFor: now)
        var execution = Execution(
            id: occurrence.executionID, schedule: schedule, scheduledFor: now, dueAt: now, state: .dead, origin: .time,
            trigger: .cron, generation: 1, scheduleVersion: 3, attempt: 2, fence: 8, claimedAt: now)
        execution.reason = "too large"
        return execution
    }

    private func told(_ tell: LifeTell, retryAt: Instant? = nil) -> EventText {
        var event = ExecutionEvent(
            execution, scheduleName: "n", namespace: "test", payloadSHA256: nil, finishedAt: now)
        event.retryAt = retryAt
        return EventText(event, tell: tell, source: "/s")
    }

    @Test("Each event has its type and its own id, and those of one attempt sort as they happened")
    func events() throws {
        let order: [LifeTell] = [
            .skipped, .delivered, .running, .failed, .timedOut, .retrying, .cancelled, .succeeded, .dead,
        ]
        let bodies = try order.map { try JSONValue.parse(told($0).body) }
        #expect(Set(order) == Set(LifeTell.allCases))
        #expect(bodies.map { $0["type"]?.string } == order.map { "io.carillon.execution.v1.\($0.rawValue)" })
        #expect(bodies.map { $0["data"]?["status"]?.string } == order.map(\.rawValue))
        let sequences = bodies.compactMap { $0["sequence"]?.string }
        #expect(sequences == sequences.sorted() && Set(sequences).count == order.count)
        #expect(Set(bodies.compactMap { $0["id"]?.string }).count == order.count)
        // What the journal tells of an end, and what a life does, is one event.
        let event = ExecutionEvent(
            execution, scheduleName: "n", namespace: "test", payloadSHA256: nil, finishedAt: now)
        #expect(EventText(event, source: "/s").id == told(.dead).id)
    }

    @Test("A retry's event says when it comes")
    func retrying() throws {
        let body = try JSONValue.parse(told(.retrying, retryAt: now.adding(milliseconds: 1500)).body)
        #expect(body["data"]?["retry_at"]?.string == "2026-11-21T00:00:01.500000Z")
        #expect(try JSONValue.parse(told(.dead).body)["data"]?["retry_at"] == nil)
    }

    @Test("A letter says what was sent, where to and how it ended; a payload that may not fit beside that is left out")
    func letters() throws {
        func letter(_ payload: [UInt8]) -> DeadLetter {
            DeadLetter(
                execution, scheduleName: "n", namespace: "test", target: "demo.a", delivery: .core,
                headers: [("Shade", "blue")], payload: payload)
        }
        let small = letter(Array(#"{"n": 1}"#.utf8))
        #expect(small.subject(prefix: "p") == "p.dlq.test.\(execution.schedule)")
        let text = try JSONValue.parse(small.body)
        #expect(text["payload"].map { Array($0.bytes) } == Array(#"{"n": 1}"#.utf8))
        #expect(text["execution"]?["reason"]?.string == "too large" && text["target_command"]?.string == "demo.a")
        #expect(text["command_headers"]?["Shade"]?.string == "blue" && text["delivery"]?.string == "core")
        let large = letter([UInt8](repeating: UInt8(ascii: "1"), count: DeadLetter.mostPayloadBytes + 1))
        let short = try JSONValue.parse(large.body)
        #expect(short["payload"] == nil && short["payload_bytes"]?.int64 == Int64(DeadLetter.mostPayloadBytes) + 1)
        #expect(large.id == small.id && large.id != told(.dead).id)
    }
}
