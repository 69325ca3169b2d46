import JSONText
import LocalServers
import NATSClient
import Recurrence
import ServiceFixture
import TestSupport
import Testing

/// What a pause, an update or a delete can no longer take back: its bytes are out, and no acknowledgement has come. The
/// reply names it, it is delivered yet, once, and nothing else of that version fires (contract.md §3).
@Suite(.serialized) struct InFlightTests {
    struct Case: Sendable {
        let verb: String
        let change: String
        /// Whether the stream got the message before the link fell silent.
        let isStored: Bool
    }

    static let cases = [true, false].flatMap { isStored in
        [
            Case(verb: "pause", change: "", isStored: isStored),
            Case(verb: "update", change: #","command_payload":{"version":2}"#, isStored: isStored),
            Case(verb: "delete", change: "", isStored: isStored),
        ]
    }

    @Test(.timeLimit(.minutes(2))) func theReplyNamesWhatIsOut() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let proxy = try CuttingProxy(to: await fixture.nats.port)
        let instance = try await fixture.startInstance(environment: ["NATS_URL": "nats://127.0.0.1:\(proxy.port)"])
        for (index, item) in Self.cases.enumerated() {
            try await play(item, "f\(index)", fixture, proxy)
        }
        #expect(await instance.stop())
        proxy.stop()
        await fixture.stop()
    }

    private func play(
        _ item: Case, _ namespace: String, _ fixture: ServiceFixture, _ proxy: CuttingProxy
    ) async throws {
        let subject = "demo.js.\(namespace)"
        let due = wallMilliseconds() + 1200
        let created = try await fixture.command(
            "schedule.create",
            """
            {"schedule_type":"interval","interval_seconds":1,"start_at":"\(Instant(milliseconds: due).rfc3339)",\
            "target_command":"\(subject)"}
            """, namespace: namespace)
        let id = try #require(created["schedule"]?["id"]?.string)
        let before = proxy.triggered
        let text = "HPUB \(subject) "
        proxy.set(item.isStored ? .muteAfter(text) : .swallowFrom(text))
        #expect(await waitUntil(.seconds(10)) { proxy.triggered > before })
        let reply = try await fixture.command(
            "schedule.\(item.verb)", "{\"id\":\"\(id)\"\(item.change)}", namespace: namespace)
        #expect(reply["error"] == nil, "\(String(decoding: reply.bytes, as: UTF8.self))")
        let first = try await fixture.rows(
            "SELECT id::text, state FROM scheduler.executions WHERE schedule_id = '\(id)' AND schedule_version = 1")
        #expect(first.map { $0[1] } == ["claimed"], "\(item.verb): one is out, and what is not was given back")
        let out = try #require(first.first?[0])
        let named = reply["in_flight"].map { $0.elements.compactMap(\.string) }
        #expect(named == [out], "\(item.verb), stored \(item.isStored)")
        #expect(try await stored(out, fixture) == (item.isStored ? 1 : 0))

        proxy.cutSilenced()
        let isDelivered = await waitUntil(.seconds(10)) {
            let state = "SELECT count(*) FROM scheduler.executions WHERE id = '\(out)' AND state = 'delivered'"
            return (try? await fixture.count(state)) == 1
        }
        #expect(isDelivered, "\(item.verb): what was named was not delivered")
        // Another two periods: whatever of the old version was still about would fire in them.
        try await fixture.reach(max(due + 4000, wallMilliseconds() + 2000))
        #expect(try await stored(out, fixture) == 1, "\(item.verb): once")
        let others = try await fixture.messages(of: "DEMO").filter {
            $0.subject == subject && $0.header("Scheduler-Execution-Id") != out
        }
        if item.verb == "update" {
            #expect(!others.isEmpty && others.allSatisfy { $0.payload == Array(#"{"version":2}"#.utf8) })
            _ = try await fixture.command("schedule.delete", "{\"id\":\"\(id)\"}", namespace: namespace)
        } else {
            #expect(others.isEmpty, "\(item.verb): something fired that the reply did not name")
        }
        #expect(try await Set(fixture.executionEvents(namespace: namespace)[out] ?? []).count == 1)
    }

    /// How often the target's stream has an execution.
    private func stored(_ execution: String, _ fixture: ServiceFixture) async throws -> Int {
        try await fixture.messages(of: "DEMO").count { $0.header("Scheduler-Execution-Id") == execution }
    }
}
