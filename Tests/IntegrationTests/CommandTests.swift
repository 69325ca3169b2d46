import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// What each command answers, on real servers. Each test has a namespace of its own.
    @Suite("Commands", .serialized, .timeLimit(.minutes(2))) struct CommandTests {
        private static let far = #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.c""#

        @Test("A schedule is created, shown, listed, changed, paused, resumed and deleted; each change is one event")
        func lifeOfASchedule() async throws {
            let fixture = try await SharedSystem.running.fixture
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"life",\#(Self.far),"actor":"ann","command_payload":{"a": 1.50, "b":[ ]}}"#,
                in: "life")
            #expect(created["type"]?.string == "io.carillon.v1.schedule_create_response")
            #expect(created.schedule["version"]?.int64 == 1 && created.schedule["state"]?.string == "active")
            #expect(created.schedule["created_by"]?.string == "ann" && created.schedule["next_fires"]?.count == 5)
            let shown = try await fixture.done("schedule.get", #"{"name":"life"}"#, in: "life")
            #expect(shown.id == created.id)
            #expect(
                shown.schedule["command_payload"].map { String(decoding: $0.bytes, as: UTF8.self) }
                    == #"{"a": 1.50, "b":[ ]}"#)
            #expect(try await fixture.done("schedule.list", "", in: "life")["schedules"]?.count == 1)
            let byID = #"{"id":"\#(created.id)""#
            let updated = try await fixture.done(
                "schedule.update", byID + #","priority":9,"if_version":1}"#, in: "life")
            #expect(updated.schedule["version"]?.int64 == 2 && updated.schedule["priority"]?.int64 == 9)
            #expect(updated.schedule["next_fire_at"]?.string == created.schedule["next_fire_at"]?.string)
            let paused = try await fixture.done("schedule.pause", byID + #","reason":"why"}"#, in: "life")
            #expect(paused.schedule["state"]?.string == "paused" && paused.schedule["pause_reason"]?.string == "why")
            #expect(paused.schedule["next_fire_at"] == nil)
            // Paused once more: nothing happens, and nothing is told.
            #expect(try await fixture.done("schedule.pause", byID + "}", in: "life").schedule["version"]?.int64 == 3)
            let resumed = try await fixture.done("schedule.resume", byID + "}", in: "life")
            #expect(resumed.schedule["next_fire_at"]?.string == created.schedule["next_fire_at"]?.string)
            let retimed = try await fixture.done("schedule.update", byID + #","interval_seconds":7200}"#, in: "life")
            #expect(retimed.schedule["next_fire_at"]?.string != created.schedule["next_fire_at"]?.string)
            let deleted = try await fixture.done("schedule.delete", byID + "}", in: "life")
            #expect(deleted.schedule["state"]?.string == "deleted")
            #expect(try await fixture.refused("schedule.get", byID + "}", in: "life") == "20404")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: created.id) == [
                    "schedule created", "schedule updated", "schedule paused", "schedule resumed", "schedule updated",
                    "schedule deleted",
                ])
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'life'") == 0
            )
        }

        @Test(
            "Each fault has its code and its place, and changes nothing",
            arguments: [
                ("schedule.create", "{", "10400 "), ("schedule.create", "[]", "10403 "),
                ("schedule.create", #"{"a":1,"a":2}"#, "10400 /a"),
                ("schedule.create", "{}", "10425 /schedule_type /target_command"),
                ("schedule.create", #"{\#(far),"nonsense":1}"#, "10423 /nonsense"),
                (
                    "schedule.create", #"{\#(far),"request_id":"\u0000","description":"a\u0000"}"#,
                    "10426 /request_id /description"
                ),
                ("schedule.create", #"{\#(far),"priority":"5"}"#, "10424 /priority"),
                ("schedule.create", #"{\#(far),"if_version":0,"priority":10}"#, "10426 /if_version /priority"),
                ("schedule.create", #"{\#(far),"if_version":1,"tags":1}"#, "10422 /if_version /tags"),
                ("schedule.validate", #"{\#(far),"if_version":1}"#, "10427 /if_version"),
                (
                    "schedule.create",
                    #"{"schedule_type":"cron","cron_expression":"0 0 30 2 *","target_command":"demo.a"}"#,
                    "10428 /cron_expression"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"cron","cron_expression":"61 * * * *","timezone":"Mars/Base","target_command":"*"}"#,
                    "10422 /target_command /timezone /cron_expression"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"cron","cron_expression":"0 0 30 2 *","target_command":"other.a","max_runs":"x"}"#,
                    "10422 /max_runs /target_command /cron_expression"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"cron","cron_expression":"0 9 * * *","timezone":"Mars/Base","target_command":"demo.a"}"#,
                    "10430 /timezone"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"cron","cron_expression":"0 9 * * *","end_at":"2020-01-01T00:00:00Z","target_command":"demo.a"}"#,
                    "10429 /cron_expression"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"rrule","rrule":"FREQ=DAILY;BYHOUR=24","target_command":"demo.a"}"#,
                    "10428 /rrule"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"rrule","rrule":"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30","target_command":"demo.a"}"#,
                    "10428 /rrule"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"rrule","rrule":"FREQ=DAILY;UNTIL=20200101T000000Z","target_command":"demo.a"}"#,
                    "10429 /rrule"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"rrule","rrule":"FREQ=DAILY","timezone":"Mars/Base","target_command":"demo.a"}"#,
                    "10430 /timezone"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"once","run_at":"2020-01-01T00:00:00Z","target_command":"demo.a"}"#,
                    "10426 /run_at"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"once","run_at":"2099-01-01T00:00:00Z","target_command":"demo.a"}"#,
                    "10426 /run_at"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"interval","interval_seconds":1,"spread_seconds":2,"target_command":"demo.a"}"#,
                    "10426 /spread_seconds"
                ),
                (
                    "schedule.create", #"{"schedule_type":"immediate","target_command":"other.a"}"#,
                    "30403 /target_command"
                ),
                (
                    "schedule.create",
                    #"{"schedule_type":"immediate","target_command":"scheduler.cmd.x.schedule.create"}"#,
                    "30404 /target_command"
                ),
                (
                    "schedule.create", #"{"schedule_type":"immediate","target_command":"$JS.API.STREAM.DELETE.DEMO"}"#,
                    "30404 /target_command"
                ),
                (
                    "schedule.create", #"{\#(far),"command_headers":{"X-Nats-Msg-Id":"1"}}"#,
                    "30423 /command_headers/X-Nats-Msg-Id"
                ),
                ("schedule.create", #"{\#(far),"after":{}}"#, "10425 /after/schedule"),
                ("schedule.get", "{}", "10425 /id"), ("schedule.get", #"{"id":"x","more":1}"#, "10422 /id /more"),
                ("schedule.get", #"{"name":"nobody"}"#, "20404"),
                ("schedule.delete", #"{"name":"a b"}"#, "10426 /name"),
                ("schedule.update", #"{"name":"nobody","priority":1}"#, "20404"),
                ("schedule.update", #"{"priority":10,"zone":1}"#, "10422 /id /priority /zone"),
                ("schedule.pause", #"{"name":"nobody"}"#, "20404"), ("schedule.resume", #"{"name":7}"#, "10424 /name"),
                ("schedule.trigger", #"{"name":"nobody"}"#, "20404"),
                ("schedule.list", #"{"limit":0,"cursor":"x","state":"lost"}"#, "10422 /state /limit /cursor"),
                (
                    "schedule.preview",
                    #"{"schedule_type":"cron","cron_expression":"x","target_command":"demo.a","count":1001}"#,
                    "10422 /count /cron_expression"
                ),
                ("execution.get", "{}", "10425 /id"),
                ("execution.get", #"{"id":"0190b2c3-d4e5-8001-8123-456789abcdef"}"#, "20405"),
                (
                    "execution.list", #"{"status":"lost","limit":1001,"schedule_id":"x"}"#,
                    "10426 /schedule_id /status /limit"
                ),
                ("target.list", #"{"x":1}"#, "10423 /x"), ("schedule.vanish", "{}", "10404"),
                ("nothing.at_all", "{}", "10404"),
            ])
        func faults(command: String, body: String, expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            #expect(try await fixture.refused(command, body, in: "faults") == expected)
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'faults'") == 0)
        }

        @Test("A message that the server would not take is refused before it is stored")
        func tooLarge() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{\#(Self.far),"command_payload":"\#(String(repeating: "x", count: 1_048_000))"}"#
            #expect(try await fixture.refused("schedule.create", body, in: "large") == "30413 /command_payload")
        }

        @Test("dry_run answers what would be and changes nothing")
        func dryRun() async throws {
            let fixture = try await SharedSystem.running.fixture
            let would = try await fixture.done(
                "schedule.create", #"{"name":"dry",\#(Self.far),"dry_run":true,"request_id":"d"}"#, in: "dry")
            #expect(would.schedule["name"]?.string == "dry")
            for table in ["schedules", "audit_log", "requests", "namespaces"] {
                #expect(try await fixture.count("SELECT count(*) FROM scheduler.\(table) WHERE namespace = 'dry'") == 0)
            }
            let real = try await fixture.done("schedule.create", #"{"name":"dry",\#(Self.far)}"#, in: "dry")
            for command in ["pause", "delete", "trigger"] {
                _ = try await fixture.done("schedule.\(command)", #"{"name":"dry","dry_run":true}"#, in: "dry")
            }
            _ = try await fixture.done("schedule.update", #"{"name":"dry","priority":1,"dry_run":true}"#, in: "dry")
            let after = try await fixture.done("schedule.get", #"{"name":"dry"}"#, in: "dry")
            #expect(after.schedule["version"]?.int64 == 1 && after.schedule["state"]?.string == "active")
            #expect(try await fixture.ledger(of: real.id).isEmpty)
        }

        @Test("if_version refuses a change of what has moved")
        func ifVersion() async throws {
            let fixture = try await SharedSystem.running.fixture
            _ = try await fixture.done("schedule.create", #"{"name":"v",\#(Self.far)}"#, in: "versions")
            for (command, more) in [
                ("update", #","priority":1"#), ("pause", ""), ("resume", ""), ("delete", ""), ("trigger", ""),
            ] {
                #expect(
                    try await fixture.refused(
                        "schedule.\(command)", #"{"name":"v","if_version":2\#(more)}"#, in: "versions") == "20410")
            }
        }

        @Test("The same request_id gives the same reply; another body is refused; fifty at once make one schedule")
        func requestIDs() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{\#(Self.far),"request_id":"r1"}"#
            let replies = try await withThrowingTaskGroup(of: [UInt8].self) { tasks in
                for _ in 0..<50 {
                    tasks.addTask {
                        Array(try await fixture.command("schedule.create", body, namespace: "requests").bytes)
                    }
                }
                return try await tasks.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
            }
            #expect(replies.count == 1)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'requests'") == 1)
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'requests'")
                    == 1
            )
            #expect(
                try await fixture.refused(
                    "schedule.create", #"{\#(Self.far),"request_id":"r1","priority":1}"#, in: "requests") == "20411")
            // Another namespace's ids are its own.
            _ = try await fixture.done(
                "schedule.create", #"{\#(Self.far),"request_id":"r1","priority":1}"#, in: "requests2")
        }

        @Test("Thirty-two creators at once end at exactly the limit")
        func limit() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await fixture.database.execute(
                script:
                    "INSERT INTO scheduler.namespaces (namespace, schedule_count, max_schedules) VALUES ('limited', 0, 20)"
            )
            let made = try await withThrowingTaskGroup(of: Bool.self) { tasks in
                for _ in 0..<32 {
                    tasks.addTask {
                        let reply = try await fixture.command("schedule.create", "{\(Self.far)}", namespace: "limited")
                        if let error = reply["error"] { #expect(error["err_code"]?.int64 == 40403) }
                        return reply["error"] == nil
                    }
                }
                return try await tasks.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(made == 20)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'limited'") == 20)
        }

        @Test("A name belongs to one schedule of a namespace, and is free after deletion and exhaustion")
        func names() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{"name":"n",\#(Self.far)}"#
            _ = try await fixture.done("schedule.create", body, in: "names")
            #expect(try await fixture.refused("schedule.create", body, in: "names") == "20409 /name")
            _ = try await fixture.done("schedule.create", body, in: "names2")
            #expect(try await fixture.refused("schedule.get", #"{"name":"n"}"#, in: "names3") == "20404")
            _ = try await fixture.done("schedule.delete", #"{"name":"n"}"#, in: "names")
            let once = try await fixture.done(
                "schedule.create", #"{"name":"n","schedule_type":"immediate","target_command":"demo.js.n"}"#,
                in: "names")
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(once.id)' AND state = 'exhausted'",
                    is: 1
                ))
            _ = try await fixture.done("schedule.create", body, in: "names")
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'names'")
                    == 1)
        }

        @Test("An exhausted schedule that gets another timing lives again, and counts again")
        func revives() async throws {
            let fixture = try await SharedSystem.running.fixture
            let once = try await fixture.done(
                "schedule.create", #"{"name":"o","schedule_type":"immediate","target_command":"demo.js.o"}"#,
                in: "revive")
            let count = "SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'revive'"
            #expect(await fixture.waits(until: count, is: 0))
            let again = try await fixture.done(
                "schedule.update",
                #"{"id":"\#(once.id)","schedule_type":"interval","interval_seconds":0.1,"max_runs":2}"#,
                in: "revive")
            #expect(again.schedule["state"]?.string == "active" && again.schedule["next_fires"]?.count == 2)
            #expect(await fixture.waits(until: count, is: 0))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: once.id) == [
                    "schedule created", "execution delivered", "schedule exhausted", "schedule updated",
                    "execution delivered", "execution delivered", "schedule exhausted",
                ])
        }

        @Test("Lists page through everything once, by limit and cursor")
        func pages() async throws {
            let fixture = try await SharedSystem.running.fixture
            for number in 0..<7 {
                let tag = number % 2 == 0 ? #","tags":["even"]"# : ""
                _ = try await fixture.done(
                    "schedule.create", #"{"name":"p\#(number)",\#(Self.far)\#(tag)}"#, in: "pages")
            }
            var names: [String] = []
            var cursor = ""
            repeat {
                let page = try await fixture.done("schedule.list", #"{"limit":3\#(cursor)}"#, in: "pages")
                names += page.items("schedules").compactMap { $0["name"]?.string }
                cursor = page["next_cursor"]?.string.map { #","cursor":"\#($0)""# } ?? ""
            } while !cursor.isEmpty
            #expect(names == (0..<7).map { "p\($0)" })
            #expect(try await fixture.done("schedule.list", #"{"tag":"even"}"#, in: "pages")["schedules"]?.count == 4)
            #expect(
                try await fixture.done("schedule.list", #"{"name_prefix":"p1"}"#, in: "pages")["schedules"]?.count == 1)
            #expect(
                try await fixture.done("schedule.list", #"{"state":"paused"}"#, in: "pages")["schedules"]?.count == 0)
        }

        @Test("A trigger fires now, with its own payload, on paused and exhausted schedules too")
        func triggers() async throws {
            let fixture = try await SharedSystem.running.fixture
            let paused = try await fixture.done(
                "schedule.create", #"{"name":"t",\#(Self.far),"paused":true}"#, in: "triggers")
            let reply = try await fixture.done(
                "schedule.trigger", #"{"name":"t","payload":{"x": 2.0}}"#, in: "triggers")
            let id = try #require(reply["execution"]?["id"]?.string)
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.executions WHERE id = '\(id)' AND state = 'delivered'", is: 1
                ))
            #expect(try await fixture.ledger(of: paused.id) == ["delivered manual 1"])
            let sent = try await fixture.messages(of: "DEMO").filter { $0.header("Scheduler-Execution-Id") == id }
            #expect(sent.map { String(decoding: $0.payload, as: UTF8.self) } == [#"{"x": 2.0}"#])
            #expect(sent.first?.header("Scheduler-Trigger") == "manual")
            let shown = try await fixture.done("execution.get", #"{"id":"\#(id)"}"#, in: "triggers")
            #expect(shown["execution"]?["status"]?.string == "delivered")
            #expect(try await fixture.refused("execution.get", #"{"id":"\#(id)"}"#, in: "others") == "20405")
            #expect(
                try await fixture.done("execution.list", #"{"schedule_name":"t"}"#, in: "triggers")["executions"]?.count
                    == 1)
            let once = try await fixture.done(
                "schedule.create", #"{"schedule_type":"immediate","target_command":"demo.js.t"}"#, in: "triggers")
            let exhausted = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(once.id)' AND state = 'exhausted'"
            #expect(await fixture.waits(until: exhausted, is: 1))
            _ = try await fixture.done("schedule.trigger", #"{"id":"\#(once.id)"}"#, in: "triggers")
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(once.id)' AND state = 'delivered'",
                    is: 2))
            #expect(
                try await fixture.done("schedule.get", #"{"id":"\#(once.id)"}"#, in: "triggers").schedule["run_count"]?
                    .int64 == 1)
        }

        @Test("A preview counts from where it is asked to, and stores nothing")
        func previews() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body =
                #"{"schedule_type":"cron","cron_expression":"30 9 * * *","timezone":"Europe/Vienna","target_command":"demo.a","from":"2026-10-24T00:00:00Z","count":3}"#
            let fires = try await fixture.done("schedule.preview", body, in: "preview").items("fires")
            #expect(
                fires.map { $0["at"]?.string } == [
                    "2026-10-24T07:30:00.000000Z", "2026-10-25T08:30:00.000000Z", "2026-10-26T08:30:00.000000Z",
                ])
            #expect(fires.first?["local"]?.string == "2026-10-24T09:30:00")
            #expect(fires.map { $0["dst"]?.isNull } == [true, true, true])
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'preview'") == 0)
        }

        @Test("A request without a reply subject works")
        func silentRequests() async throws {
            let fixture = try await SharedSystem.running.fixture
            try fixture.client.publish(
                try Subject("scheduler.cmd.silent.schedule.create"), payload: Array("{\(Self.far)}".utf8))
            #expect(
                await fixture.waits(until: "SELECT count(*) FROM scheduler.schedules WHERE namespace = 'silent'", is: 1)
            )
        }
    }
}
