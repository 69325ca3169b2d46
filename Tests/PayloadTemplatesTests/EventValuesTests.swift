import JSONText
import PayloadTemplates
import Recurrence
import Testing

@Suite("What a template shows of a message") struct EventValuesTests {
    private func render(_ payload: String, _ event: EventValues?) throws -> String {
        var common = FireValues.Common()
        common.hasEvent = true
        let at = Instant(milliseconds: 0)
        var values = FireValues(common, scheduledFor: at, dueAt: at)
        values.event = event
        let template = try PayloadTemplate(try JSONValue.parse(payload), metadata: [], hasEvent: true)
        let bytes = template.render(values)
        #expect(bytes.count <= template.mostBytes(common))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("Its subject, headers and body, as they were, and nothing of them is a template") func shows() throws {
        var event = EventValues(
            subject: "app.orders", headers: [("X-Order", "7"), ("Nats-Msg-Id", "secret"), ("Authorization", "secret")],
            body: Array(#"{"id":"{{schedule_id}}"}"#.utf8))
        event.sequence = 41
        event.count = 3
        let kept = try #require(EventValues(json: event.json))
        #expect(kept == event)
        let text = try render(
            #"{"a":"{{event.subject}} {{event.header.x-order}}{{event.header.Nats-Msg-Id}}{{event.header.authorization}} {{event.sequence}} {{event.count}} {{event.body_bytes}}","b":"{{event.body}}"}"#,
            kept)
        #expect(text == #"{"a":"app.orders 7 41 3 24","b":"{\"id\":\"{{schedule_id}}\"}"}"#)
    }

    @Test("Where somebody triggers by hand, there is none") func isEmpty() throws {
        #expect(try render(#"["{{event.body}}{{event.header.x}}{{event.sequence}}"]"#, nil) == #"[""]"#)
        #expect(EventValues(json: Array(#"{"subject":"a"}"#.utf8)) == nil)
    }

    @Test("A body that is no text, or longer than is kept, is told by its length alone") func isBounded() {
        #expect(EventValues(subject: "a", headers: [], body: [0xFF, 0xFE]).body.isEmpty)
        let large = EventValues(subject: "a", headers: [], body: [UInt8](repeating: 0x61, count: 1 << 20))
        #expect(large.body.isEmpty && large.bodyBytes == 1 << 20 && large.json.count < 300)
        // Each of these is six bytes in JSON.
        let escaped = EventValues(subject: "a", headers: [], body: [UInt8](repeating: 1, count: 4000))
        #expect(escaped.body.isEmpty && escaped.bodyBytes == 4000)
        let headers = (0..<40).map { ("H\($0)", "v") } + [("Long", String(repeating: "x", count: 2000))]
        #expect(EventValues(subject: "a", headers: headers, body: []).headers.count == EventValues.mostHeaders)
    }

    @Test("No other schedule has a message to show") func isUnknownElsewhere() throws {
        let payload = try JSONValue.parse(#"["{{event.body}}"]"#)
        #expect(throws: PayloadTemplate.Refusal.self) { try PayloadTemplate(payload, metadata: []) }
        #expect(throws: PayloadTemplate.Refusal.self) {
            try PayloadTemplate(JSONValue.parse(#"["{{event.nonsense}}"]"#), metadata: [], hasEvent: true)
        }
    }
}
