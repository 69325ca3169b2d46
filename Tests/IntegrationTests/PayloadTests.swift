import Glibc
import JSONText
import LocalServers
import Migrations
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerStore
import ServiceFixture
import Synchronization
import Testing

extension Integration {
    /// Payload schemas of targets, and payloads whose strings are templates, as requesters and receivers see them.
    @Suite("Payloads", .serialized, .timeLimit(.minutes(2))) struct PayloadTests {
        private static let targets = """
            targets:
              - {namespace: "*", subject: demo.js.free.>, max_payload_bytes: 2000}
              - {namespace: "*", subject: demo.js.invoice, payload_schema: schemas/invoice.json}
              - {namespace: "*", subject: demo.js.hostile, payload_schema: schemas/hostile.json}
              - {namespace: "*", subject: demo.js.fires, payload_schema: schemas/fires.json}
            """

        private static let schemas = [
            "invoice": """
            {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "multipleOf": 0.01},
             "lines": {"items": {"$ref": "#/definitions/line"}}, "by": {"enum": ["interval", "a person"]}},
             "definitions": {"line": {"type": "string", "maxLength": 40}}}
            """,
            "hostile": #"{"properties": {"a": {"pattern": "^(a+)+$"}}}"#,
            // What a sample has for an id, and what no execution has.
            "fires": #"{"properties": {"id": {"pattern": "^00000000-"}}}"#,
        ]

        /// One system for the tests that look at schedules of their own only.
        private static let shared = Task { try await start() }

        private static func start() async throws -> (ServiceFixture, ServiceInstance) {
            var options = ServiceFixture.Options()
            options.targets = targets
            let fixture = try await ServiceFixture.start(options)
            #expect(mkdir(fixture.folder + "/schemas", 0o700) == 0)
            for (name, text) in schemas { try Filesystem.write(text, to: "\(fixture.folder)/schemas/\(name).json") }
            try await fixture.makeStream()
            return (fixture, try await fixture.startInstance())
        }

        /// - Returns: the body of a definition that fires in an hour, and then each hour.
        private func hourly(_ name: String, _ target: String, _ payload: String, _ more: String = "") -> String {
            #"{"name":"\#(name)","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.\#(target)","command_payload":\#(payload)\#(more)}"#
        }

        private static let template = #","payload_template":true"#

        /// What a schedule sent, in the order of its stream, once all that it opened is delivered.
        private func sent(by id: String, _ fixture: ServiceFixture) async throws -> [String] {
            let delivered = """
                SELECT least(1, count(*)) - count(*) FILTER (WHERE state <> 'delivered') FROM scheduler.executions
                WHERE schedule_id = '\(id)'
                """
            #expect(await fixture.waits(until: delivered, is: 1))
            return try await messages(of: id, fixture).map { String(decoding: $0.payload, as: UTF8.self) }
        }

        private func messages(of id: String, _ fixture: ServiceFixture) async throws -> [StoredMessage] {
            try await fixture.messages(of: "DEMO").filter {
                String(decoding: $0.headerBlock, as: UTF8.self).contains("Scheduler-Schedule-Id: \(id)")
            }
        }

        @Test("A payload that breaks its target's schema is refused by each command, with the places in it")
        func schemas() async throws {
            let (fixture, _) = try await Self.shared.value
            #expect(
                try await fixture.refused(
                    "schedule.create", hourly("a", "invoice", #"{"amount":0.005,"lines":["x",3]}"#))
                    == "30422 /command_payload/amount /command_payload/lines/1")
            #expect(
                try await fixture.refused("schedule.create", hourly("a", "invoice", "[]")) == "30422 /command_payload")
            // All problems at once, those of other fields too.
            #expect(
                try await fixture.refused(
                    "schedule.create", hourly("a", "invoice", #"{"amount":"1"}"#, #","priority":10"#))
                    == "10422 /priority /command_payload/amount")
            let id = try await fixture.done(
                "schedule.create", hourly("a", "invoice", #"{"amount":12.34,"lines":["one"]}"#)
            ).id
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"a","command_payload":{"amount":true}}"#)
                    == "30422 /command_payload/amount")
            try await fixture.done("schedule.create", hourly("free", "free.a", #"{"amount":true}"#))
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"free","target_command":"demo.js.invoice"}"#)
                    == "30422 /command_payload/amount")
            #expect(
                try await fixture.refused("schedule.trigger", #"{"name":"a","payload":{"amount":1,"lines":[null]}}"#)
                    == "30422 /payload/lines/0")
            try await fixture.done("schedule.trigger", #"{"name":"a","payload":{"amount":1.0e2}}"#)
            #expect(try await sent(by: id, fixture) == [#"{"amount":1.0e2}"#])
            // Hours of backtracking, were it not counted.
            let subject = String(repeating: "a", count: 5000) + "!"
            #expect(
                try await fixture.refused("schedule.create", hourly("h", "hostile", #"{"a":"\#(subject)"}"#))
                    == "30422 /command_payload")
            #expect(
                try await fixture.command("target.list", "{}").items("targets")[2]["payload_schema"]?["properties"]
                    != nil)
        }

        @Test("A stricter schema makes schedules invalid when they would fire; taken back, they heal")
        func invalidAndHealed() async throws {
            let (fixture, first) = try await Self.start()
            let second = #""interval","interval_seconds":1,"target_command":"demo.js.invoice""#
            for (name, amount, more) in [
                ("large", "1000", ""), ("small", "1", ""), ("template", "1000", Self.template),
            ] {
                try await fixture.done(
                    "schedule.create",
                    #"{"name":"\#(name)","schedule_type":\#(second),"command_payload":{"amount":\#(amount)}\#(more)}"#)
            }
            #expect(await first.stop())
            let path = fixture.folder + "/schemas/invoice.json"
            try Filesystem.write(#"{"properties": {"amount": {"maximum": 999}}}"#, to: path)
            let strict = try await fixture.startInstance("strict")
            let invalid =
                "SELECT count(*) FROM scheduler.schedules WHERE state = 'invalid' AND pause_reason LIKE '%/amount: expected a number at most 999, got 1000'"
            #expect(await fixture.waits(until: invalid, is: 2))
            #expect(
                try await fixture.rows("SELECT name FROM scheduler.schedules WHERE state = 'active'") == [["small"]])
            #expect(await strict.stop())
            try Filesystem.write(Self.schemas["invoice"] ?? "", to: path)
            let mild = try await fixture.startInstance("mild")
            #expect(
                await fixture.waits(until: "SELECT count(*) FROM scheduler.schedules WHERE state = 'active'", is: 3))
            #expect(await mild.stop())
            await fixture.stop()
        }

        @Test("Each fire renders its own values; its event has the hash of what went out")
        func templates() async throws {
            let (fixture, _) = try await Self.shared.value
            let payload =
                ##"{"n":1.50, "id":"{{execution_id}}", "at":"{{scheduled_for}}", "by":["{{trigger}}","é {{{metadata.say}}} \"{{schedule_name}}\\"], "{{fence}}":null}"##
            let created = try await fixture.done(
                "schedule.create",
                ##"{"name":"t.1","schedule_type":"immediate","target_command":"demo.js.free.a","command_payload":\##(payload),"metadata":{"say":"\"<&>\" \\ \n 😀"}\##(Self.template)}"##
            )
            #expect(created.schedule["payload_template"]?.bool == true)
            #expect(created.schedule["command_payload"]?["id"]?.string == "{{execution_id}}")
            let sent = try await sent(by: created.id, fixture)
            let message = try #require(try await messages(of: created.id, fixture).first)
            // Its claim goes when its event is stored.
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.claims", is: 0))
            let headers = String(decoding: message.headerBlock, as: UTF8.self)
            func header(_ name: String) -> String {
                headers.split(separator: "\r\n").first { $0.hasPrefix(name + ":") }.map {
                    String($0.dropFirst(name.count + 2))
                } ?? "?"
            }
            let expected =
                #"{"n":1.50,"id":"\#(header("Scheduler-Execution-Id"))","at":"\#(header("Scheduler-Scheduled-For"))","by":["immediate","é \"<&>\" \\ \n 😀 \"t.1\\"],"{{fence}}":null}"#
            #expect(sent == [expected])
            let hashes = try await fixture.eventMessages(of: created.id)
                .compactMap {
                    try JSONValue.parse($0.payload)["data"]?["payload_sha256"]?.string
                }
            #expect(hashes == [Digest.hexadecimal(Digest.sha256(message.payload))])
        }

        @Test("After the reply to an update what was claimed before it is rendered anew")
        func edited() async throws {
            let (fixture, _) = try await Self.shared.value
            let id = try await fixture.done(
                "schedule.create",
                #"{"name":"e","schedule_type":"interval","interval_seconds":1,"target_command":"demo.js.free.e","command_payload":"{{metadata.v}} {{fence}}","metadata":{"v":"old"}\#(Self.template)}"#
            ).id
            let rows =
                "SELECT least(2, count(*)) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
            #expect(await fixture.waits(until: rows, is: 2))
            // The next one is claimed a second ahead.
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'claimed'",
                    is: 1))
            try await fixture.done("schedule.update", #"{"name":"e","metadata":{"v":"new"}}"#)
            let before = try await messages(of: id, fixture).count
            let version =
                "SELECT least(2, count(*)) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered' AND schedule_version = 2"
            #expect(await fixture.waits(until: version, is: 2))
            try await fixture.done("schedule.delete", #"{"name":"e"}"#)
            let after = try await messages(of: id, fixture).dropFirst(before)
            let texts = after.map { String(decoding: $0.payload, as: UTF8.self) }
            #expect(texts.count >= 2 && texts.allSatisfy { $0.hasPrefix("\"new ") }, "\(texts)")
        }

        @Test("Templates are checked when they are made: names, sizes, and what they give by the schema")
        func refusals() async throws {
            let (fixture, _) = try await Self.shared.value
            func refused(_ target: String, _ payload: String, _ more: String = "") async throws -> String {
                try await fixture.refused("schedule.create", hourly("t", target, payload, Self.template + more))
            }
            #expect(
                try await refused("free.a", #"{"a":["{{attempt}}","{{nobody}}"],"b":"{{#fence}}"}"#)
                    == "10426 /command_payload/a/1 /command_payload/b")
            #expect(try await refused("free.a", #""{{metadata.x}}""#) == "10426 /command_payload")
            // The largest fire counts: thirty-six bytes for each.
            let ids = String(repeating: "{{execution_id}}", count: 100)
            #expect(try await refused("free.a", "\"\(ids)\"") == "30413 /command_payload")
            #expect(try await refused("invoice", #"{"amount":"{{attempt}}"}"#) == "30422 /command_payload/amount")
            #expect(
                try await refused("invoice", #"{"amount":1,"lines":["{{scheduled_for}} {{scheduled_for}}"]}"#)
                    == "30422 /command_payload/lines/0")
            let id = try await fixture.done(
                "schedule.create", hourly("t", "invoice", #"{"amount":1,"by":"{{trigger}}"}"#, Self.template)
            ).id
            // As a trigger it would be another: nothing is opened.
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"t"}"#) == "30422 /command_payload/by")
            #expect(
                try await fixture.refused(
                    "schedule.trigger", #"{"name":"t","payload":{"amount":1,"by":"{{trigger}}"}}"#)
                    == "30422 /payload/by")
            #expect(
                try await fixture.refused(
                    "schedule.trigger", #"{"name":"t","payload":{"amount":1,"lines":["{{no}}"]}}"#)
                    == "30422 /payload/lines/0")
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)'") == 0)
            try await fixture.done(
                "schedule.trigger", #"{"name":"t","payload":{"amount":1,"lines":["{{schedule_name}} by {{trigger}}"]}}"#
            )
            #expect(try await sent(by: id, fixture) == [#"{"amount":1,"lines":["t by manual"]}"#])
            // An edit of what a template shows is an edit of what it gives.
            let named = try await fixture.done(
                "schedule.update",
                #"{"name":"t","command_payload":{"amount":1,"by":"{{metadata.who}}"},"metadata":{"who":"a person"}}"#)
            #expect(named.schedule["version"]?.int64 == 2)
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"t","metadata":{"who":"a machine"}}"#)
                    == "30422 /command_payload/by")
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"t","metadata":null}"#)
                    == "10426 /command_payload/by")
        }

        @Test("A fire whose rendering breaks the schema is dead and never sent; the schedule goes on")
        func deadFire() async throws {
            let (fixture, instance) = try await Self.start()
            let id = try await fixture.done(
                "schedule.create",
                #"{"schedule_type":"interval","interval_seconds":1,"target_command":"demo.js.fires","command_payload":{"id":"{{execution_id}}"}\#(Self.template)}"#
            ).id
            let dead =
                "SELECT least(2, count(*)) FROM scheduler.executions WHERE state = 'dead' AND reason = 'payload_invalid' AND last_outcome = 'failed' AND fired_at IS NULL"
            #expect(await fixture.waits(until: dead, is: 2))
            #expect(try await fixture.rows("SELECT state FROM scheduler.schedules WHERE id = '\(id)'") == [["active"]])
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.executions WHERE state NOT IN ('dead', 'claimed')") == 0)
            #expect(try await fixture.messages(of: "DEMO").isEmpty)
            #expect(await instance.stop())
            #expect(
                try await fixture.events(of: id).prefix(3) == [
                    "schedule created", "execution failed", "execution dead",
                ])
            await fixture.stop()
        }

        @Test("A rescue sends the very bytes that the dead instance sent")
        func rescue() async throws {
            let (fixture, first) = try await Self.start()
            #expect(await first.stop())
            let seen = Mutex<[(id: String, payload: [UInt8])]>([])
            let subscription = try fixture.client.subscribe(try SubjectFilter("demo.js.>"), pendingLimit: 1000) {
                message in
                let arrival = (message.header("Nats-Msg-Id") ?? "", Array(message.payload))
                seen.withLock { $0.append(arrival) }
            }
            let victim = try await fixture.startInstance(
                "victim", environment: ["CARILLON_FAIL_AT": "publish.acknowledged@1"])
            _ = try? await fixture.command(
                "schedule.create",
                #"{"schedule_type":"immediate","timezone":"Asia/Kathmandu","target_command":"demo.js.free.a","command_payload":"{{execution_id}} {{attempt}} {{fence}} {{due_at}} {{scheduled_for_local}} {{missed_count}}"\#(Self.template)}"#
            )
            #expect(await victim.process.waitForEnd(.seconds(15)), "the victim sent nothing")
            let rescuer = try await fixture.startInstance("rescuer")
            #expect(
                await fixture.waits(
                    .seconds(20), until: "SELECT count(*) FROM scheduler.executions WHERE state = 'delivered'", is: 1))
            let sent = seen.withLock { $0 }
            #expect(sent.count == 2 && sent[0] == sent[1])
            #expect(String(decoding: sent[0].payload, as: UTF8.self).contains("+05:45 0"))
            #expect(try await fixture.messages(of: "DEMO").count == 1)
            subscription.cancel()
            #expect(await rescuer.stop())
            await fixture.stop()
        }

        @Test("The migration goes down, with templates paused where they stood, and up again")
        func migration() async throws {
            let (fixture, instance) = try await Self.start()
            try await fixture.done("schedule.create", hourly("template", "free.a", "{}", Self.template))
            try await fixture.done("schedule.create", hourly("plain", "free.a", "{}"))
            #expect(await instance.stop())
            let migrator = try Schema.migrator(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            let version = try #require(try await migrator.status().first { $0.name == "templates" }?.version)
            _ = try await migrator.down(to: version - 1)
            #expect(
                try await fixture.rows("SELECT name, state FROM scheduler.schedules ORDER BY name")
                    == [["plain", "active"], ["template", "paused"]])
            _ = try await migrator.up()
            let again = try await fixture.startInstance("again")
            try await fixture.done("schedule.resume", #"{"name":"template"}"#)
            #expect(await again.stop())
            await fixture.stop()
        }
    }
}
