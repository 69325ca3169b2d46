import JSONText
import LocalServers
import NATSClient
import SchedulerEngine
import ServiceFixture
import Testing

/// Schedules that messages drive, over crashes, restarts, and streams and consumers that are gone.
@Suite(.serialized) struct EventFaultTests {
    private static let namespace = "demo"

    private func put(_ fixture: ServiceFixture, _ subject: String, _ count: Int = 1) async throws {
        for _ in 0..<count {
            let ack = try await fixture.client.request(try Subject(subject), payload: [], timeout: .seconds(5))
            #expect(try JSONValue.parse(ack.payload)["seq"] != nil)
        }
    }

    private func make(_ fixture: ServiceFixture, _ body: String) async throws -> String {
        let reply = try await fixture.changing("schedule.create", body, namespace: Self.namespace)
        return try #require(reply["schedule"]?["id"]?.string, "\(String(decoding: reply.bytes, as: UTF8.self))")
    }

    private func waits(_ fixture: ServiceFixture, _ sql: String, is expected: Int64) async -> Bool {
        await waitUntil(.seconds(20)) { (try? await fixture.count(sql)) == expected }
    }

    private func delivered(_ fixture: ServiceFixture, _ id: String, is expected: Int64) async -> Bool {
        await waits(
            fixture,
            "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'",
            is: expected)
    }

    private static func event(_ name: String, _ fields: String) -> String {
        #"{"name":"\#(name)","schedule_type":"event","target_command":"demo.js.\#(name)",\#(fields)}"#
    }

    @Test(.timeLimit(.minutes(2))) func whatIsHeardFiresOnceOverCrashesAndLosses() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        try await fixture.makeStream("SOURCE", subjects: "demo.source.>")
        let victim = try await fixture.startInstance(
            "victim", environment: ["CARILLON_FAIL_AT": FailPoint.eventTaken.rawValue])
        let id = try await make(
            fixture,
            Self.event("read", #""event_subject":"demo.source.*","event_stream":"SOURCE","paused":true"#))
        let consumer = "carillon-\(id)-1"
        // As the service makes it, but for a redelivery that comes sooner.
        let api = JetStreamAPI(fixture.client)
        try await api.createConsumer(
            consumer, of: "SOURCE",
            configuration: """
                {"durable_name":"\(consumer)","deliver_policy":"all","filter_subject":"demo.source.*",\
                "ack_policy":"explicit","ack_wait":1000000000,"max_deliver":-1,"replay_policy":"instant"}
                """)
        _ = try await fixture.changing("schedule.resume", #"{"name":"read"}"#, namespace: Self.namespace)

        // Killed between the commit and the acknowledgement: what is delivered again is known.
        try await put(fixture, "demo.source.a", 5)
        #expect(await victim.process.waitForEnd(.seconds(10)))
        let second = try await fixture.startInstance("second")
        #expect(await delivered(fixture, id, is: 5))
        let settled = await waitUntil(.seconds(20)) {
            guard let info = try? JSONValue.parse(try await api.request("CONSUMER.INFO.SOURCE.\(consumer)")) else {
                return false
            }
            return info["num_ack_pending"]?.int64 == 0 && info["num_pending"]?.int64 == 0
        }
        #expect(settled)

        // The consumer is gone, then the stream: what comes afterwards fires, and nothing fires again.
        try await api.deleteConsumer(consumer, of: "SOURCE")
        try await put(fixture, "demo.source.b")
        #expect(await delivered(fixture, id, is: 6))
        try await api.deleteStream("SOURCE")
        try await fixture.makeStream("SOURCE", subjects: "demo.source.>")
        try await put(fixture, "demo.source.c")
        #expect(await delivered(fixture, id, is: 7))

        try await restart(fixture, second)
        #expect(await delivered(fixture, id, is: 7))
        try await revoke(fixture, id)
        await fixture.stop()
    }

    /// What may be listened to no longer makes its schedule invalid, and heals with the list.
    private func revoke(_ fixture: ServiceFixture, _ id: String) async throws {
        let third = try await fixture.startInstance("third")
        let state = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state ="
        let path = fixture.folder + "/targets.yaml"
        let targets = fixture.options.targets
        try Filesystem.write(
            String(targets[..<(targets.firstRange(of: "sources:")?.lowerBound ?? targets.endIndex)]), to: path)
        #expect(await waits(fixture, state + " 'invalid'", is: 1))
        try Filesystem.write(targets, to: path)
        #expect(await waits(fixture, state + " 'active'", is: 1))
        try await put(fixture, "demo.source.d")
        #expect(await delivered(fixture, id, is: 8))
        #expect(await third.stop())
    }

    /// A burst that waits to be quiet, and a delay, outlive the process that heard them.
    private func restart(_ fixture: ServiceFixture, _ instance: ServiceInstance) async throws {
        let subject = #""event_subject":"demo.said""#
        let template = #""payload_template":true,"command_payload":"{{event.count}}""#
        let burst = try await make(fixture, Self.event("burst", #"\#(subject),"debounce_seconds":3,\#(template)"#))
        let later = try await make(fixture, Self.event("later", #"\#(subject),"delay_seconds":3"#))
        let waiting =
            "SELECT coalesce(sum(messages), 0)::bigint FROM scheduler.event_inbox WHERE schedule_id = '\(burst)'"
        // The first ones may come before anybody listens.
        let isHeard = await waitUntil(.seconds(10)) {
            _ = try? fixture.client.publish(try Subject("demo.said"), payload: [UInt8]())
            return (try? await fixture.count(waiting)) ?? 0 >= 3
        }
        #expect(isHeard)
        await instance.kill()
        let next = try await fixture.startInstance("next")
        let heard =
            try await fixture.count(
                "SELECT count(*) FROM scheduler.event_inbox WHERE schedule_id = '\(later)'")
            + fixture.count("SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(later)'")
        #expect(await delivered(fixture, burst, is: 1))
        #expect(await delivered(fixture, later, is: heard))
        let fired = try await fixture.messages(of: "DEMO").filter { $0.subject == "demo.js.burst" }
        #expect(fired.count == 1)
        let count = try fired.first.map { try JSONValue.parse($0.payload).string.flatMap { Int64($0) } } ?? nil
        #expect(count ?? 0 >= 3)
        #expect(await next.stop())
    }
}
