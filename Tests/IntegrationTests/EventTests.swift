import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension ServiceFixture {
    /// Publishes on a core subject as soon as somebody listens: exactly one message that is heard. By a connection of its
    /// own: where all replies are noted, the server tells whoever notes them that nobody listens.
    func say(_ subject: String, _ body: [UInt8] = Array("{}".utf8), headers: NATSHeaders = .none) async throws {
        let speaker = try await NATSConnection.connect(
            NATSConfiguration(servers: [await nats.url], name: "speaker"), within: .seconds(10))
        let said = await waitUntil(.seconds(10)) {
            do {
                _ = try await speaker.request(
                    try Subject(subject), headers: headers, payload: body, timeout: .milliseconds(50))
                return true
            } catch let error as NATSError {
                return error.code == .timeout
            } catch { return false }
        }
        await speaker.close()
        guard said else { throw FixtureError(description: "nobody listens to '\(subject)'") }
    }

    /// Publishes into a stream, and waits until it has the message.
    func put(_ subject: String, _ body: String = "{}") async throws {
        let ack = try await client.request(try Subject(subject), payload: Array(body.utf8), timeout: .seconds(5))
        guard try JSONValue.parse(ack.payload)["seq"] != nil else {
            throw FixtureError(description: "no stream took '\(subject)'")
        }
    }

    /// Reports the end of a schedule's oldest open execution, once its message has arrived.
    func succeedOldest(of id: String, in namespace: String) async throws {
        let query = """
            SELECT id::text, fence::text FROM scheduler.executions
            WHERE schedule_id = '\(id)' AND state = 'delivered' AND finished_at IS NULL ORDER BY fence LIMIT 1
            """
        var found: [[String?]] = []
        _ = await waitUntil(.seconds(10)) {
            found = (try? await self.rows(query)) ?? []
            return !found.isEmpty
        }
        guard let execution = found.first?[0], let fence = found.first?[1] else {
            throw FixtureError(description: "nothing of '\(id)' is open")
        }
        var headers = NATSHeaders()
        try headers.append("Scheduler-Fence", fence)
        _ = try await client.request(
            try Subject("scheduler.run.\(namespace).\(execution).succeeded"), headers: headers, payload: [],
            timeout: .seconds(5))
    }

    func delivered(_ id: String, is expected: Int64) async throws -> Bool {
        await waits(
            until: "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'",
            is: expected)
    }
}

extension Integration {
    /// Schedules that messages drive.
    @Suite("Events and absences", .serialized, .timeLimit(.minutes(1))) struct EventTests {
        private static let namespace = "events"

        private func make(_ fixture: ServiceFixture, _ name: String, _ fields: String) async throws -> String {
            try await fixture.done("schedule.create", #"{"name":"\#(name)",\#(fields)}"#, in: Self.namespace).id
        }

        private func end(_ fixture: ServiceFixture, _ name: String) async throws {
            try await fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: Self.namespace)
        }

        @Test("A core message fires its schedule, and its template shows the message") func hears() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await make(
                fixture, "core",
                #""schedule_type":"event","event_subject":"demo.heard.core.>","target_command":"demo.js.event.core","payload_template":true,"command_payload":{"on":"{{event.subject}}","of":"{{event.header.X-Order}}","said":"{{event.body}}","size":"{{event.body_bytes}}"}"#
            )
            var headers = NATSHeaders()
            try headers.append("X-Order", "7")
            try await fixture.say("demo.heard.core.one", Array(#"{"id":"{{x}}"}"#.utf8), headers: headers)
            #expect(try await fixture.delivered(id, is: 1))
            // As large as the server lets it be: it fires, and only its length is told.
            try await fixture.say("demo.heard.core.large", [UInt8](repeating: 0x61, count: 1 << 20))
            #expect(try await fixture.delivered(id, is: 2))
            let fired = try await fixture.messages(of: "DEMO").filter { $0.subject == "demo.js.event.core" }
            #expect(
                fired.map { String(decoding: $0.payload, as: UTF8.self) } == [
                    #"{"on":"demo.heard.core.one","of":"7","said":"{\"id\":\"{{x}}\"}","size":"14"}"#,
                    #"{"on":"demo.heard.core.large","of":"","said":"","size":"1048576"}"#,
                ])
            #expect(fired.allSatisfy { $0.header("Scheduler-Trigger") == "event" })
            #expect(try await fixture.ledger(of: id) == ["delivered event 1", "delivered event 1"])
            try await end(fixture, "core")
        }

        @Test("A stream's messages fire from the creation on; a pause passes over, max_runs ends it")
        func reads() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await fixture.put("demo.js.heard.a", "0")
            // The service knows PostgreSQL's time to some milliseconds.
            let soon =
                try await fixture.rows("SELECT (clock_timestamp() + interval '50 milliseconds')::text")[0][0] ?? ""
            #expect(await fixture.waits(until: "SELECT (clock_timestamp() > '\(soon)')::int::bigint", is: 1))
            let id = try await make(
                fixture, "stream",
                #""schedule_type":"event","event_subject":"demo.js.heard.*","event_stream":"DEMO","max_runs":3,"target_command":"demo.js.event.stream","payload_template":true,"command_payload":"{{event.body}} {{event.stream}}""#
            )
            try await fixture.put("demo.js.heard.a", "1")
            try await fixture.put("demo.js.heard.b", "2")
            #expect(try await fixture.delivered(id, is: 2))
            try await fixture.done("schedule.pause", #"{"name":"stream"}"#, in: Self.namespace)
            try await fixture.put("demo.js.heard.a", "3")
            try await fixture.done("schedule.resume", #"{"name":"stream"}"#, in: Self.namespace)
            try await fixture.put("demo.js.heard.b", "4")
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'exhausted'", is: 1)
            )
            let fired = try await fixture.messages(of: "DEMO").filter { $0.subject == "demo.js.event.stream" }
            #expect(
                fired.map { String(decoding: $0.payload, as: UTF8.self) } == [#""1 DEMO""#, #""2 DEMO""#, #""4 DEMO""#])
        }

        @Test("A flood waits for its rate, each message with its own time") func paces() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await make(
                fixture, "flood",
                #""schedule_type":"event","event_subject":"demo.heard.flood","max_rate_per_second":5,"target_command":"demo.flood","delivery":"core""#
            )
            try await fixture.say("demo.heard.flood")
            for _ in 1..<10_000 { try fixture.client.publish(try Subject("demo.heard.flood"), payload: [UInt8]()) }
            let all = """
                (SELECT due_at FROM scheduler.event_inbox WHERE schedule_id = '\(id)'
                 UNION ALL SELECT due_at FROM scheduler.executions WHERE schedule_id = '\(id)') d
                """
            #expect(await fixture.waits(.seconds(20), until: "SELECT count(*) FROM \(all)", is: 10_000))
            let tooClose = """
                SELECT count(*) FROM (SELECT due_at - lag(due_at) OVER (ORDER BY due_at) AS apart FROM \(all)) x
                WHERE apart < interval '200 milliseconds'
                """
            #expect(try await fixture.count(tooClose) == 0)
            try await end(fixture, "flood")
        }

        @Test("A burst that is due and has no place stays a fire of its own when the next one begins") func bursts()
            async throws
        {
            let fixture = try await SharedSystem.running.fixture
            let id = try await make(
                fixture, "bursts",
                #""schedule_type":"event","event_subject":"demo.heard.burst","debounce_seconds":0.2,"target_command":"demo.bursts","delivery":"core","completion":"report""#
            )
            let opened = "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)'"
            let due =
                "SELECT count(*) FROM scheduler.event_inbox WHERE schedule_id = '\(id)' AND due_at < clock_timestamp()"
            try await fixture.say("demo.heard.burst")
            #expect(await fixture.waits(until: opened, is: 1))
            for waiting in 1...2 as ClosedRange<Int64> {
                try await fixture.say("demo.heard.burst")
                #expect(await fixture.waits(until: due, is: waiting))
            }
            for count in 1...3 as ClosedRange<Int64> {
                #expect(await fixture.waits(until: opened, is: count))
                try await fixture.succeedOldest(of: id, in: Self.namespace)
            }
            #expect(await fixture.waits(until: opened + " AND state = 'succeeded'", is: 3))
            try await end(fixture, "bursts")
        }

        @Test("An absence is told once, with its command; a message begins anew") func misses() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await make(
                fixture, "alive",
                #""schedule_type":"absence","event_subject":"demo.alive.*","absence_seconds":600,"target_command":"demo.js.event.absent""#
            )
            let deadline = "SELECT count(*) FROM scheduler.timers WHERE schedule_id = '\(id)' AND next_fire_at"
            try await fixture.say("demo.alive.one")
            let set = "UPDATE scheduler.timers SET next_fire_at = now() WHERE schedule_id = '\(id)'"
            // Once a message has moved it, nobody else writes it.
            #expect(
                await fixture.waits(
                    until: deadline
                        + " > (SELECT created_at + interval '600 seconds' FROM scheduler.schedules WHERE id = schedule_id)",
                    is: 1))
            try await fixture.database.execute(script: set)
            #expect(try await fixture.delivered(id, is: 1))
            #expect(await fixture.waits(until: deadline + " > now() + interval '1 year'", is: 1))
            #expect(try await fixture.ledger(of: id) == ["delivered absence 1"])
            let proof = try await fixture.administer(
                "system.verify", #"{"check":"ledger","namespace":"\#(Self.namespace)","schedule_id":"\#(id)"}"#)
            let ledger = try #require(proof["verified"]?["ledger"])
            #expect(ledger["ok"]?.bool == true && ledger["commanded"]?.int64 == 1, "\(ledger)")
            #expect(
                await waitUntil(.seconds(5)) {
                    (try? await fixture.events(of: id).contains("schedule absent")) ?? false
                })
            try await fixture.say("demo.alive.two")
            #expect(await fixture.waits(until: deadline + " < now() + interval '1 hour'", is: 1))
            try await end(fixture, "alive")
        }

        @Test("A stream is asked before an absence is told; without a target the event is all") func asks() async throws
        {
            let fixture = try await SharedSystem.running.fixture
            let fields = #""schedule_type":"absence","event_subject":"demo.js.alive.>","event_stream":"DEMO""#
            let patient = try await make(fixture, "patient", fields + #","absence_seconds":600"#)
            try await fixture.put("demo.js.alive.one")
            // Nobody has read the message; its deadline is moved by asking for it.
            try await fixture.database.execute(
                script:
                    "UPDATE scheduler.timers SET next_fire_at = now() - interval '1 minute' WHERE schedule_id = '\(patient)'"
            )
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.timers WHERE schedule_id = '\(patient)' AND next_fire_at BETWEEN now() AND now() + interval '1 hour'",
                    is: 1))
            let strict = try await make(fixture, "strict", fields + #","absence_seconds":1"#)
            #expect(
                await waitUntil(.seconds(10)) {
                    (try? await fixture.events(of: strict).contains("schedule absent")) ?? false
                })
            #expect(try await fixture.events(of: patient) == ["schedule created"])
            #expect(try await fixture.ledger(of: strict).isEmpty)
            let schedule = try await fixture.done("schedule.get", #"{"name":"strict"}"#, in: Self.namespace).schedule
            #expect(schedule["target_command"] == nil && schedule["next_fire_at"] == nil)
            #expect(schedule["state"]?.string == "active")
            for name in ["patient", "strict"] { try await end(fixture, name) }
        }

        @Test("Other commands say what they can of it") func answers() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body =
                #"{"name":"told","schedule_type":"event","event_subject":"demo.heard.told","debounce_seconds":2,"target_command":"demo.js.told"}"#
            let preview = try await fixture.done("schedule.preview", body, in: Self.namespace)
            #expect(preview.items("fires").isEmpty)
            #expect(
                preview["timing"]?.string
                    == "it fires when a message comes on 'demo.heard.told', once none came for 2 s")
            let made = try await fixture.done("schedule.create", body, in: Self.namespace).schedule
            #expect(made["debounce_seconds"]?.int64 == 2 && made["delay_seconds"]?.int64 == 0)
            #expect(made["next_fire_at"] == nil && made.items("next_fires").isEmpty)
            let triggered = try await fixture.done("schedule.trigger", #"{"name":"told"}"#, in: Self.namespace)
            #expect(triggered["execution"]?["trigger"]?.string == "manual")
            let explained = try await fixture.done(
                "schedule.explain", #"{"name":"told","at":"2026-01-01T00:00:00Z"}"#, in: Self.namespace)
            #expect(String(decoding: explained.bytes, as: UTF8.self).contains("has no times of its own"))
            let patched = try await fixture.done(
                "schedule.update", #"{"name":"told","debounce_seconds":null,"delay_seconds":0.5}"#, in: Self.namespace
            ).schedule
            #expect(patched["debounce_seconds"]?.int64 == 0 && patched["delay_seconds"]?.double == 0.5)
            try await fixture.done("schedule.put", body, in: Self.namespace)
            try await end(fixture, "told")
        }

        private static let refusals: [(fields: String, expected: String)] = [
            (#""schedule_type":"event","target_command":"demo.js.x""#, "10425 /event_subject"),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"elsewhere.x""#,
                "30406 /event_subject"
            ),
            (#""schedule_type":"event","target_command":"demo.js.x","event_subject":">""#, "30407 /event_subject"),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"$JS.API.>""#,
                "30407 /event_subject"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"scheduler.evt.>""#,
                "30407 /event_subject"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"demo.js.*""#,
                "10427 /event_subject"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"demo..x""#,
                "10426 /event_subject"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"demo.y","event_stream":"A.B""#,
                "10426 /event_stream"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"demo.y","absence_seconds":5"#,
                "10427 /absence_seconds"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"demo.y","spread_seconds":5"#,
                "10427 /spread_seconds"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"demo.y","cron_expression":"* * * * *""#,
                "10427 /cron_expression"
            ),
            (
                #""schedule_type":"event","target_command":"demo.js.x","event_subject":"demo.y","debounce_seconds":1,"max_rate_per_second":1"#,
                "10427 /max_rate_per_second"
            ),
            (#""schedule_type":"absence","event_subject":"demo.y""#, "10425 /absence_seconds"),
            (
                #""schedule_type":"absence","event_subject":"demo.y","absence_seconds":5,"max_runs":2"#,
                "10427 /max_runs"
            ),
            (
                #""schedule_type":"interval","interval_seconds":5,"event_subject":"demo.y","target_command":"demo.js.x""#,
                "10427 /event_subject"
            ),
            (#""schedule_type":"event","event_subject":"demo.y""#, "10425 /target_command"),
        ]

        @Test("What cannot be listened to is refused, with the field", arguments: refusals)
        func refuses(fields: String, expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            #expect(try await fixture.refused("schedule.create", "{\(fields)}", in: Self.namespace) == expected)
        }

        @Test("Two instances hear a core subject, and each message fires once") func shares() async throws {
            let fixture = try await TwoInstances.running.fixture
            let id = try await make(
                fixture, "shared",
                #""schedule_type":"event","event_subject":"demo.heard.two","target_command":"demo.js.two""#)
            try await fixture.say("demo.heard.two")
            for _ in 1..<50 { try fixture.client.publish(try Subject("demo.heard.two"), payload: [UInt8]()) }
            #expect(try await fixture.delivered(id, is: 50))
            try await end(fixture, "shared")
            #expect(try await fixture.ledger(of: id).count == 50)
        }
    }
}
