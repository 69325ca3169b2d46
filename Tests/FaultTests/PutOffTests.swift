import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

/// Schedules that messages drive, while what they wait for does not come: they must be in nobody's way.
@Suite(.serialized) struct PutOffTests {
    private static let namespace = "demo"
    /// More than a claim takes.
    private static let crowd = 1020

    private func waits(
        _ fixture: ServiceFixture, _ sql: String, is expected: Int64, within limit: Duration = .seconds(10)
    ) async -> Bool {
        await waitUntil(limit) { (try? await fixture.count(sql)) == expected }
    }

    private func make(_ fixture: ServiceFixture, _ body: String) async throws -> String {
        let reply = try await fixture.changing("schedule.create", body, namespace: Self.namespace)
        return try #require(reply["schedule"]?["id"]?.string, "\(String(decoding: reply.bytes, as: UTF8.self))")
    }

    private func makeMany(
        _ fixture: ServiceFixture, _ count: Int, _ definition: (Int) -> String
    ) async throws {
        for start in stride(from: 0, to: count, by: 1000) {
            let some = (start..<min(count, start + 1000)).map(definition).joined(separator: ",")
            let reply = try await fixture.changing(
                "schedule.bulk_create", #"{"schedules":[\#(some)]}"#, namespace: Self.namespace)
            try #require(reply["error"] == nil, "\(String(decoding: reply.bytes, as: UTF8.self).prefix(500))")
        }
    }

    private func told(_ fixture: ServiceFixture, _ id: String) async -> Bool {
        let messages = (try? await fixture.eventMessages(of: id)) ?? []
        return messages.contains { $0.subject.hasSuffix(".absent.\(id)") }
    }

    private static func executions(_ id: String, _ condition: String = "true") -> String {
        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND \(condition)"
    }

    /// A service that gets no answer of the stream SILENT.
    private func start() async throws -> ServiceFixture {
        var options = ServiceFixture.Options()
        options.natsConfiguration = """
            authorization { users: [
                {user: service, password: p, permissions: {publish: {deny: ["$JS.API.STREAM.MSG.GET.SILENT"]}}},
                {user: test, password: p}] }
            """
        options.identify = { $0.authentication = .user("test", password: "p") }
        options.environment = ["NATS_USER": "service", "NATS_PASSWORD": "p"]
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        try await fixture.makeStream("SILENT", subjects: "demo.silent.>")
        return fixture
    }

    @Test(.timeLimit(.minutes(2))) func whatWaitsIsInNobodysWay() async throws {
        let fixture = try await start()
        let first = try await fixture.startInstance("first")
        try await silentStream(fixture)

        // Absences of a stream that is not there, and messages without places: more of each than a claim takes.
        try await makeMany(fixture, Self.crowd) {
            #"{"name":"absent\#($0)","schedule_type":"absence","event_subject":"demo.gone","event_stream":"GONE","absence_seconds":1}"#
        }
        let ids = try await placeless(fixture)
        let tick = try await make(
            fixture,
            #"{"name":"tick","schedule_type":"interval","interval_seconds":0.5,"target_command":"demo.tick","delivery":"core"}"#
        )
        let putOff = "SELECT count(*) FROM scheduler.timers WHERE put_off AND resume_from < now()"
        let isCrowded = await waitUntil(.seconds(10)) {
            (try? await fixture.count(putOff)) ?? 0 >= Int64(2 * Self.crowd)
        }
        #expect(isCrowded)
        let before = try await fixture.count(Self.executions(tick))
        let goesOn = await waitUntil(.seconds(5)) {
            (try? await fixture.count(Self.executions(tick))) ?? 0 >= before + 4
        }
        #expect(goesOn, "\(first.logTail)")

        // A place that is free is found at once, though the timer is put off for seconds.
        let state = "\(Self.executions(ids[0])) AND state <> 'succeeded'"
        #expect(try await fixture.count(state) == 1)
        try await succeed(fixture, ids[0])
        #expect(await waits(fixture, Self.executions(ids[0]), is: 2))

        // As they lie after an outage: all due before what else is.
        await first.kill()
        try await fixture.database.execute(
            script: """
                UPDATE scheduler.timers SET next_fire_at = now() - interval '2 minutes', put_off = false,
                    resume_from = NULL WHERE put_off;
                UPDATE scheduler.timers SET next_fire_at = now() - interval '90 seconds' WHERE schedule_id = '\(tick)'
                """)
        let old = try await fixture.count(Self.executions(tick, "state = 'delivered'"))
        let second = try await fixture.startInstance("second")
        let comesBack = await waitUntil(.seconds(10)) {
            (try? await fixture.count(Self.executions(tick, "state = 'delivered'"))) ?? 0 > old
        }
        #expect(comesBack, "\(second.logTail)")
        // Who put it off is gone; whoever looks again finds the place.
        try await succeed(fixture, ids[1])
        #expect(await waits(fixture, Self.executions(ids[1]), is: 2, within: .seconds(20)))
        await fixture.stop()
    }

    /// Eight absences of a stream that does not answer, and one of another one: that is told all the same.
    private func silentStream(_ fixture: ServiceFixture) async throws {
        try await makeMany(fixture, 8) {
            #"{"name":"silent\#($0)","schedule_type":"absence","event_subject":"demo.silent.\#($0)","event_stream":"SILENT","absence_seconds":1}"#
        }
        let due = "SELECT count(*) FROM scheduler.timers WHERE put_off AND resume_from < now()"
        #expect(await waits(fixture, due, is: 8))
        let loud = try await make(
            fixture,
            #"{"name":"loud","schedule_type":"absence","event_subject":"demo.js.loud","event_stream":"DEMO","absence_seconds":1,"target_command":"demo.js.alarm"}"#
        )
        let isTold = await waitUntil(.seconds(5)) { await told(fixture, loud) }
        #expect(isTold)
        // Late by no look, and scheduled for its deadline.
        let late = """
            SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE s.id = '\(loud)' AND e.scheduled_for = s.created_at + interval '1 second'
            """
        #expect(await waits(fixture, late, is: 1))
        #expect(await waits(fixture, Self.executions(loud, "state = 'delivered'"), is: 1))
        let silent = "SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id"
        #expect(try await fixture.count(silent + " WHERE s.name LIKE 'silent%'") == 0)
    }

    /// A crowd that hears one subject, each with a message open and further ones that have no place.
    private func placeless(_ fixture: ServiceFixture) async throws -> [String] {
        try await makeMany(fixture, Self.crowd) {
            #"{"name":"work\#($0)","schedule_type":"event","event_subject":"demo.said","target_command":"demo.work","delivery":"core","completion":"report"}"#
        }
        let waiting = "SELECT count(DISTINCT schedule_id) FROM scheduler.event_inbox"
        var isCrowded = false
        // The first ones come before all listen, and take the places.
        for _ in 0..<12 where !isCrowded {
            try fixture.client.publish(try Subject("demo.said"), payload: [UInt8]())
            isCrowded = await waits(fixture, waiting, is: Int64(Self.crowd), within: .seconds(2))
        }
        #expect(isCrowded)
        let ids = try await fixture.rows(
            "SELECT id::text FROM scheduler.schedules WHERE name IN ('work0', 'work1') ORDER BY name")
        return ids.compactMap { $0[0] }
    }

    private func succeed(_ fixture: ServiceFixture, _ id: String) async throws {
        let query = """
            SELECT id::text, fence::text FROM scheduler.executions
            WHERE schedule_id = '\(id)' AND state = 'delivered' AND finished_at IS NULL
            """
        var found: [[String?]] = []
        _ = await waitUntil(.seconds(10)) {
            found = (try? await fixture.rows(query)) ?? []
            return !found.isEmpty
        }
        let (execution, fence) = (try #require(found.first?[0]), try #require(found.first?[1]))
        var headers = NATSHeaders()
        try headers.append("Scheduler-Fence", fence)
        _ = try await fixture.client.request(
            try Subject("scheduler.run.\(Self.namespace).\(execution).succeeded"), headers: headers, payload: [],
            timeout: .seconds(5))
    }

    @Test(.timeLimit(.minutes(1))) func whatCameBeforeTheEndFiresAfterAnOutageOverIt() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        try await fixture.makeStream("SOURCE", subjects: "demo.source.>")
        let first = try await fixture.startInstance("first")
        let end = try await fixture.rows(
            """
            SELECT to_char((clock_timestamp() + interval '3 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
            """)[0][0]
        let ending = try #require(end)
        let id = try await make(
            fixture,
            #"{"name":"ends","schedule_type":"event","event_subject":"demo.source.*","event_stream":"SOURCE","end_at":"\#(ending)","target_command":"demo.js.ends"}"#
        )
        let api = JetStreamAPI(fixture.client)
        // Its consumer is there: it reads from now on, whoever is at work.
        let reads = await waitUntil(.seconds(5)) {
            (try? await api.request("CONSUMER.INFO.SOURCE.carillon-\(id)-1")) != nil
        }
        #expect(reads)
        await first.kill()
        for number in 0..<3 { try await put(fixture, "demo.source.\(number)") }
        #expect(try await fixture.count("SELECT (clock_timestamp() < '\(ending)')::int::bigint") == 1)
        // The end counts, and a stream's times are read to the millisecond.
        let isOver = "SELECT (clock_timestamp() > '\(ending)'::timestamptz + interval '1 millisecond')::int::bigint"
        #expect(await waits(fixture, isOver, is: 1))
        try await put(fixture, "demo.source.late")
        let second = try await fixture.startInstance("second")
        let over = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'exhausted'"
        #expect(await waits(fixture, over, is: 1, within: .seconds(20)))
        #expect(await waits(fixture, Self.executions(id, "state = 'delivered'"), is: 3))
        #expect(try await fixture.count(Self.executions(id)) == 3)
        let consumerIsGone = await waitUntil(.seconds(5)) {
            (try? await api.request("CONSUMER.INFO.SOURCE.carillon-\(id)-1")) == nil
        }
        #expect(consumerIsGone)
        #expect(await second.stop())
        await fixture.stop()
    }

    private func put(_ fixture: ServiceFixture, _ subject: String) async throws {
        let ack = try await fixture.client.request(try Subject(subject), payload: [], timeout: .seconds(5))
        #expect(try JSONValue.parse(ack.payload)["seq"] != nil)
    }
}
