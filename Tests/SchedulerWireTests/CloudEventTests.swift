import JSONText
import SchedulerCore
import SchedulerWire
import Testing

@Suite("Events as CloudEvents")
struct CloudEventTests {
    private let event = CloudEvent(
        id: "e1", source: "/carillon/default", type: .executionTimedOut, subject: "s1",
        time: "2026-01-02T03:04:05.000006Z", sequence: CloudEvent.sequence(fence: 42, step: 3)
    )

    @Test("An event has the attributes in one fixed order, and leaves out what it does not have")
    func writesAttributes() {
        var writer = JSONWriter()
        event.write(into: &writer) { $0.member("attempt", 1) }
        #expect(
            writer.text == """
                {"specversion":"1.0","id":"e1","source":"/carillon/default",\
                "type":"io.carillon.execution.v1.timed_out","subject":"s1","time":"2026-01-02T03:04:05.000006Z",\
                "datacontenttype":"application/json",\
                "dataschema":"carillon:schemas/events/execution.timed_out.v1.json",\
                "sequence":"00000000000000000042.0003","data":{"attempt":1}}
                """)
    }

    @Test("Optional attributes stand where they are given")
    func writesOptionalAttributes() throws {
        var event = event
        event.correlationID = "c"
        event.causationID = "d"
        event.trace = TraceContext(
            traceparents: ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], tracestates: ["a=1", "b=2"])
        var writer = JSONWriter()
        event.write(into: &writer) { _ in }
        let value = try JSONValue.parse(writer.bytes)
        #expect(value["correlationid"]?.string == "c")
        #expect(value["causationid"]?.string == "d")
        #expect(value["traceparent"]?.string == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        #expect(value["tracestate"]?.string == "a=1,b=2")
        #expect(value["data"]?.count == 0)
        // The standard allows lower-case letters and digits in an attribute's name, nothing else.
        #expect(value.members.allSatisfy { $0.name.utf8.allSatisfy { 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 } })
    }

    @Test(
        arguments: [
            (0, 0, "00000000000000000000.0000"), (7, 12, "00000000000000000007.0012"),
            (.max, 9999, "09223372036854775807.9999"), (-1, -1, "00000000000000000000.0000"),
            (1, 10_000, "00000000000000000001.9999"),
        ] as [(Int64, Int, String)])
    func writesSequences(_ fence: Int64, step: Int, expected: String) {
        #expect(CloudEvent.sequence(fence: fence, step: step) == expected)
    }

    @Test("Comparing sequences as text compares fences, then steps")
    func ordersSequences() {
        let order: [(Int64, Int)] = [(0, 0), (0, 9), (0, 10), (9, 9999), (10, 0), (99, 1), (100, 0), (.max, 0)]
        let texts = order.map { CloudEvent.sequence(fence: $0.0, step: $0.1) }
        #expect(texts == texts.sorted())
        #expect(Set(texts).count == texts.count)
    }

    @Test("Each kind of event is listed once under its name")
    func listsTypes() {
        #expect(EventType.all.count == 28)
        #expect(Set(EventType.all.map(\.description)).count == 28)
        #expect(EventType.commandRejected.description == "io.carillon.schedule.v1.command_rejected")
    }
}
