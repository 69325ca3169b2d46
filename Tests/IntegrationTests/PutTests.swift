import JSONText
import LocalServers
import ServiceFixture
import Testing

extension Integration {
    /// `schedule.put`: a definition is made true, and said twice it changes nothing.
    @Suite("Put", .serialized, .timeLimit(.minutes(2))) struct PutTests {
        private static let far = #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.p""#

        private func outcome(_ reply: JSONValue) -> String {
            let changed = reply["changed"]?.bool.map { "\($0)" } ?? "?"
            return "\(reply["outcome"]?.string ?? "?") \(changed) \(reply.schedule["version"]?.int64 ?? -1)"
        }

        @Test("Makes, leaves and replaces a schedule; what is absent is the default again; each change is one event")
        func makesAndReplaces() async throws {
            let fixture = try await TwoInstances.running.fixture
            let first = #"{"name":"n",\#(Self.far),"priority":7,"metadata":{"b":"2","a":"1"},"tags":["x"]}"#
            let created = try await fixture.done("schedule.put", first, in: "put")
            #expect(created["type"]?.string == "io.carillon.v1.schedule_put_response")
            #expect(outcome(created) == "created true 1" && created.schedule["next_fires"]?.count == 5)
            // Pairs in another order, and a default that is said.
            for same in [
                first,
                #"{"name":"n","delivery":"jetstream",\#(Self.far),"priority":7,"tags":["x"],"metadata":{"a":"1","b":"2"}}"#,
            ] {
                let again = try await fixture.done("schedule.put", same, in: "put")
                #expect(outcome(again) == "unchanged false 1" && again.changes.isEmpty && again.id == created.id)
                #expect(again.schedule["next_fire_at"]?.string == created.schedule["next_fire_at"]?.string)
            }
            let count = "SELECT count(*) FROM scheduler.audit_log WHERE namespace = 'put'"
            #expect(try await fixture.count(count) == 1)
            let edited = try await fixture.done("schedule.put", #"{"name":"n",\#(Self.far),"if_version":1}"#, in: "put")
            #expect(outcome(edited) == "updated true 2")
            #expect(
                edited.changes == [
                    #"/priority: 7 -> 5"#, #"/tags: ["x"] -> []"#, #"/metadata: {"a":"1","b":"2"} -> {}"#,
                ])
            #expect(edited.schedule["next_fire_at"]?.string == created.schedule["next_fire_at"]?.string)
            let retimed = try await fixture.done(
                "schedule.put",
                #"{"name":"n","schedule_type":"cron","cron_expression":"0 0 1 1 *","target_command":"demo.js.p"}"#,
                in: "put")
            #expect(
                retimed.changes == [
                    #"/schedule_type: "interval" -> "cron""#, "/interval_seconds: 3600 -> null",
                    #"/cron_expression: null -> "0 0 1 1 *""#,
                ])
            #expect(retimed.schedule["next_fire_at"]?.string != created.schedule["next_fire_at"]?.string)
            #expect(
                try await fixture.refused("schedule.put", #"{"name":"n",\#(Self.far),"if_version":1}"#, in: "put")
                    == "20410")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: created.id) == [
                    "schedule created", "schedule updated", "schedule updated",
                ])
        }

        @Test(
            "An update that says what is so already changes nothing and says so; it is held against if_version all the same"
        )
        func updatesNothing() async throws {
            let fixture = try await SharedSystem.running.fixture
            let created = try await fixture.done(
                "schedule.create", #"{"name":"u",\#(Self.far),"metadata":{"a":"1","b":"2"}}"#, in: "same")
            func update(_ fields: String) async throws -> String {
                let reply = try await fixture.done("schedule.update", #"{"name":"u",\#(fields)}"#, in: "same")
                let (changed, version) = (reply["changed"]?.bool, reply.schedule["version"]?.int64)
                return "\(changed.map { "\($0)" } ?? "?") \(version ?? -1) \(reply.schedule["state"]?.string ?? "?")"
            }
            for same in [
                #""priority":5"#, #""tags":null,"paused":false"#, #""metadata":{"b":"2","a":"1"},"if_version":1"#,
            ] { #expect(try await update(same) == "false 1 active") }
            let entries = "SELECT count(*) FROM scheduler.audit_log WHERE namespace = 'same'"
            #expect(try await fixture.count(entries) == 1)
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"u","priority":5,"if_version":2}"#, in: "same")
                    == "20410")
            #expect(try await update(#""paused":true"#) == "true 2 paused")
            #expect(try await update(#""paused":true"#) == "false 2 paused")
            #expect(try await update(#""priority":6"#) == "true 3 paused")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: created.id) == ["schedule created", "schedule paused", "schedule updated"])
        }

        @Test("A payload is bytes: another space is another payload")
        func payloadIsBytes() async throws {
            let fixture = try await TwoInstances.running.fixture
            _ = try await fixture.done(
                "schedule.put", #"{"name":"b",\#(Self.far),"command_payload":{"a":1}}"#, in: "bytes")
            let spaced = try await fixture.done(
                "schedule.put", #"{"name":"b",\#(Self.far),"command_payload":{"a": 1}}"#, in: "bytes")
            #expect(spaced.changes == [#"/command_payload: {"a":1} -> {"a": 1}"#])
        }

        @Test("Whether it is paused stays as it is unless the body says so")
        func pausedStays() async throws {
            let fixture = try await TwoInstances.running.fixture
            func put(_ rest: String) async throws -> JSONValue {
                try await fixture.done("schedule.put", #"{"name":"s",\#(Self.far)\#(rest)}"#, in: "stays")
            }
            let created = try await put(#","paused":true"#)
            #expect(created.schedule["state"]?.string == "paused")
            #expect(outcome(try await put("")) == "unchanged false 1")
            let edited = try await put(#","priority":1"#)
            #expect(edited.schedule["state"]?.string == "paused" && outcome(edited) == "updated true 2")
            let resumed = try await put(#","priority":2,"paused":false"#)
            #expect(outcome(resumed) == "updated true 3")
            #expect(
                resumed.changes == [
                    #"/state: "paused" -> "active""#, #"/pause_reason: "created paused" -> null"#, "/priority: 1 -> 2",
                ])
            #expect(outcome(try await put(#","priority":2,"paused":false"#)) == "unchanged false 3")
            let paused = try await put(#","priority":2,"paused":true,"reason":"freeze""#)
            #expect(outcome(paused) == "updated true 4" && paused.schedule["pause_reason"]?.string == "freeze")
            #expect(paused.schedule["next_fire_at"] == nil)
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: created.id) == [
                    "schedule created", "schedule updated", "schedule updated", "schedule resumed", "schedule paused",
                ])
        }

        @Test("What ran once is not run again by the same definition; another time of it is another schedule")
        func onceStaysOnce() async throws {
            let fixture = try await TwoInstances.running.fixture
            let body = #"{"name":"o","schedule_type":"immediate","target_command":"demo.js.once"}"#
            let created = try await fixture.done("schedule.put", body, in: "once")
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.schedules WHERE id = '\(created.id)' AND state = 'exhausted'",
                    is: 1))
            let again = try await fixture.done("schedule.put", body, in: "once")
            #expect(again["outcome"]?.string == "unchanged" && again.id == created.id)
            let described = try await fixture.done(
                "schedule.put",
                #"{"name":"o","schedule_type":"immediate","target_command":"demo.js.once","description":"d"}"#,
                in: "once")
            #expect(described.id == created.id && described.schedule["state"]?.string == "exhausted")
            let other = try await fixture.done("schedule.put", #"{"name":"o",\#(Self.far)}"#, in: "once")
            #expect(other["outcome"]?.string == "created" && other.id != created.id)
            #expect(try await fixture.ledger(of: created.id) == ["delivered immediate 1"])
        }

        @Test("Of puts of one new name at once on two instances one creates, and the others find it")
        func together() async throws {
            let fixture = try await TwoInstances.running.fixture
            for round in 0..<3 {
                let body = #"{"name":"r\#(round)",\#(Self.far)}"#
                let replies = try await fixture.together(24, "schedule.put", in: "together") { _ in body }
                #expect(replies.count { $0["outcome"]?.string == "created" } == 1)
                #expect(replies.count { $0["outcome"]?.string == "unchanged" } == 23)
                #expect(Set(replies.map(\.id)).count == 1)
            }
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'together'")
                    == 3)
        }

        @Test("The same request_id at once makes one schedule, and every sender has the same reply")
        func sameRequest() async throws {
            let fixture = try await TwoInstances.running.fixture
            for command in ["schedule.create", "schedule.put"] {
                let body = #"{"name":"\#(command)",\#(Self.far),"request_id":"r-\#(command)"}"#
                let replies = try await fixture.together(40, command, in: "same") { _ in body }
                #expect(Set(replies.map { String(decoding: $0.bytes, as: UTF8.self) }).count == 1)
                #expect(replies[0]["error"] == nil && replies[0].schedule["name"]?.string == command)
            }
            #expect(
                try await fixture.refused(
                    "schedule.put", #"{"name":"x",\#(Self.far),"request_id":"r-schedule.put"}"#, in: "same")
                    == "20411")
        }

        @Test(
            "Each fault has its code and its place",
            arguments: [
                (#"{\#(far)}"#, "10425 /name"), (#"{"name":7,\#(far)}"#, "10424 /name"),
                (#"{"name":null,\#(far)}"#, "10425 /name"), (#"{"name":"a b",\#(far)}"#, "10426 /name"),
                (#"{"name":"fault","paused":1}"#, "10422 /paused /schedule_type /target_command"),
                (#"{"name":"fault",\#(far),"id":"x"}"#, "10423 /id"),
                (#"{"name":"fault",\#(far),"if_version":3}"#, "20410"), ("[]", "10403 "),
            ])
        func faults(_ body: String, _ expected: String) async throws {
            let fixture = try await TwoInstances.running.fixture
            #expect(try await fixture.refused("schedule.put", body, in: "faults") == expected)
        }
    }
}
