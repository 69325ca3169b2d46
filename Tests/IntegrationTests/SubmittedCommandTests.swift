import JSONText
import LocalServers
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerStore
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    @Suite("Submitted commands", .serialized, .timeLimit(.minutes(1))) struct SubmittedCommandTests {
        private static let hourly = #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.s""#

        /// Waits until as many outcomes of a namespace are told.
        private func outcomes(
            _ count: Int, in namespace: String, _ fixture: ServiceFixture, within limit: Duration = .seconds(10)
        ) async throws -> [CommandEvent] {
            var found: [CommandEvent] = []
            _ = await waitUntil(limit) {
                found = (try? await fixture.outcomes(in: namespace)) ?? []
                return found.count >= count
            }
            #expect(found.count == count, "\(namespace)")
            return found
        }

        @Test("What is submitted is applied in order, told by an event each, and gone from the stream")
        func applied() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await fixture.submit(
                "schedule.create", #"{"name":"a",\#(Self.hourly),"command_payload":{"b": 1.50},"request_id":"one"}"#,
                in: "sub")
            try await fixture.submit(
                "schedule.update", #"{"name":"a","priority":7,"if_version":1}"#, in: "sub", id: "two")
            let third = try await fixture.submit(
                "schedule.pause", #"{"name":"a","reason":"tea","if_version":2}"#, in: "sub")
            let told = try await outcomes(3, in: "sub", fixture)
            let schedule = try await fixture.done("schedule.get", #"{"name":"a"}"#, in: "sub").schedule
            #expect(schedule["state"]?.string == "paused" && schedule["priority"]?.int64 == 7)
            #expect(schedule["version"]?.int64 == 3)
            // What a key is put beside stays as it was written.
            #expect(schedule["command_payload"].map { String(decoding: $0.bytes, as: UTF8.self) } == #"{"b": 1.50}"#)
            let id = try #require(schedule["id"]?.string)
            #expect(told.allSatisfy { $0.outcome == "applied" && $0.data?["schedule_id"]?.string == id })
            #expect(told.allSatisfy { $0.subject == "scheduler.evt.sub.schedule.command_accepted.\(id)" })
            #expect(told.map { $0.data?["verb"]?.string } == ["create", "update", "pause"])
            let keys = told.map { $0.event["correlationid"]?.string ?? "" }
            #expect(keys == told.map { $0.data?["request_id"]?.string ?? "?" })
            // The body's, the message's, and the stream's own.
            #expect(keys[0] == "one" && keys[1] == "two" && keys[2].hasSuffix("Z-\(third)"))
            let order = ["schedule created", "schedule command_accepted", "schedule updated"]
            #expect(Array(try await fixture.events(of: id).prefix(3)) == order)
            #expect(await fixture.submittedDrains())
            let status = try await fixture.statuses().first
            #expect(status?["commands_pending"]?.int64 == 0 && status?["commands_cursor"]?.int64 == third)
        }

        @Test("The same request_id or message id, submitted and requested, makes one change")
        func once() async throws {
            let fixture = try await SharedSystem.running.fixture
            let trigger = #"{"name":"t","request_id":"x"}"#
            try await fixture.done("schedule.create", #"{"name":"t",\#(Self.hourly)}"#, in: "twice")
            for _ in 0..<3 { try await fixture.submit("schedule.trigger", trigger, in: "twice") }
            _ = try await outcomes(3, in: "twice", fixture)
            let reply = try await fixture.done("schedule.trigger", trigger, in: "twice")
            try await fixture.done("schedule.trigger", #"{"name":"t","request_id":"y"}"#, in: "twice")
            try await fixture.submit("schedule.trigger", #"{"name":"t","request_id":"y"}"#, in: "twice")
            // The stream itself knows a message id again, for two minutes.
            let place = try await fixture.submit("schedule.trigger", #"{"name":"t"}"#, in: "twice", id: "m")
            #expect(try await fixture.submit("schedule.trigger", #"{"name":"t"}"#, in: "twice", id: "m") == place)
            _ = try await outcomes(5, in: "twice", fixture)
            try await fixture.done("schedule.trigger", #"{"request_id":"m","name":"t"}"#, in: "twice")
            try await fixture.submit("schedule.trigger", #"{"name":"t","request_id":"y","force":true}"#, in: "twice")
            let told = try await outcomes(6, in: "twice", fixture)
            #expect(told.map(\.outcome) == ["applied", "repeated", "repeated", "repeated", "applied", "20411"])
            #expect(told[1].data?["schedule_id"]?.string == reply["execution"]?["schedule_id"]?.string)
            let fired = try await fixture.count(
                """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'twice'
                """)
            #expect(fired == 3)
        }

        @Test("What can be no command is rejected, and what follows is applied")
        func poison() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await NamespaceTable.setLimit(1, of: try Namespace("poison"), on: fixture.database)
            func on(_ rest: String) -> String { "scheduler.submit.poison.\(rest)" }
            let create = #"{"name":"n",\#(Self.hourly)}"#
            let cases: [(subject: String, body: String, outcome: String)] = [
                (on("schedule.get"), #"{"name":"n"}"#, "10404"), (on("schedule.no"), "{}", "10404"),
                (on("widget.create"), "{}", "10404"), (on("schedule"), "{}", "10401"),
                (on("schedule.create.more"), "{}", "10401"), (on("schedule.create"), "{\"name\"", "10400"),
                (on("schedule.create"), "[1]", "10403"), (on("schedule.create"), #"{"nonsense":1}"#, "10422"),
                (on("schedule.create"), String(repeating: "[", count: 40), "10402"),
                (on("schedule.create"), create, "applied"),
                (on("schedule.create"), #"{"name":"m",\#(Self.hourly)}"#, "40403"),
                (on("schedule.create"), #"{"schedule_type":"immediate","target_command":"other.x"}"#, "30403"),
                (on("schedule.pause"), #"{"name":"none"}"#, "20404"),
                (on("schedule.pause"), #"{"name":"n","if_version":9}"#, "20410"),
                (on("schedule.pause"), "", "10425"),
                (on("schedule.delete"), #"{"name":"n","dry_run":true}"#, "rehearsed"),
                (on("schedule.delete"), #"{"name":"n"}"#, "applied"),
            ]
            for poison in cases { try await fixture.submit(on: poison.subject, Array(poison.body.utf8)) }
            for subject in ["scheduler.submit._system.schedule.create", "scheduler.submit.-.schedule.create"] {
                try await fixture.submit(on: subject, Array(create.utf8))
            }
            let told = try await outcomes(cases.count, in: "poison", fixture)
            #expect(told.map(\.outcome) == cases.map(\.outcome))
            for event in told where !event.isAccepted {
                #expect(event.subject == "scheduler.evt.poison.schedule.command_rejected._")
                #expect(event.data?["error"]?["description"]?.string?.isEmpty == false)
                #expect(event.event["subject"]?.string == "_" && event.data?["request_id"]?.string?.isEmpty == false)
            }
            #expect(told[7].data?["error"]?.items("details").contains { $0["pointer"]?.string == "/nonsense" } == true)
            // What names no creator's namespace is told in none.
            let nobodys = try await outcomes(2, in: "_system", fixture)
            #expect(nobodys.map(\.outcome) == ["10401", "10401"])
            #expect(nobodys.first?.data?["command_subject"]?.string == "scheduler.submit._system.schedule.create")
        }

        @Test("Put, bulk, backfill, executions and calendars can be submitted too")
        func everyVerb() async throws {
            let fixture = try await SharedSystem.running.fixture
            let from = try await fixture.rows(
                "SELECT to_char((now() - interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
            let secondly = #""schedule_type":"cron","cron_expression":"* * * * * *","target_command":"demo.js.s""#
            let put = #"{"name":"p",\#(secondly),"not_on":"c","paused":true}"#
            let items = ["a", "b"].map { #"{"name":"\#($0)",\#(Self.hourly)}"# }.joined(separator: ",")
            // The last of its executions has to wait for ten seconds.
            let backfill = #"{"name":"p","from":"\#(from[0][0] ?? "")","limit":1000}"#
            let first: [(command: String, body: String, outcome: String)] = [
                ("calendar.put", #"{"name":"c"}"#, "applied"), ("schedule.put", put, "applied"),
                ("schedule.put", put, "applied"), ("schedule.put", #"{"name":"q"}"#, "10425"),
                ("schedule.bulk_create", #"{"schedules":[\#(items)]}"#, "applied"),
                ("schedule.bulk_create", #"{"schedules":[]}"#, "10426"),
                ("schedule.bulk", #"{"names":["a","b"],"operation":"pause"}"#, "applied"),
                ("schedule.bulk", #"{"names":["a"],"operation":"dance"}"#, "10426"),
                ("calendar.delete", #"{"name":"c"}"#, "20431"),
                ("schedule.update", #"{"name":"p","not_on":null}"#, "applied"),
                ("calendar.delete", #"{"name":"c"}"#, "applied"), ("calendar.delete", #"{"name":"c"}"#, "20430"),
                ("schedule.backfill", backfill, "applied"),
                ("schedule.backfill", #"{"name":"p","from":"2020-01-01T00:00:00Z"}"#, "20422"),
            ]
            for command in first { try await fixture.submit(command.command, command.body, in: "verbs") }
            _ = try await outcomes(first.count, in: "verbs", fixture)
            // Where a second began before the update, its row, passed in the pause, is a later one.
            let row = try await fixture.rows(
                """
                SELECT e.id::text, s.id::text FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'verbs' AND e.origin = 'backfill' ORDER BY e.id DESC LIMIT 1
                """)
            let (last, id) = (row.first?[0] ?? "none", row.first?[1] ?? "none")
            let second: [(command: String, body: String, outcome: String)] = [
                ("execution.cancel", #"{"id":"\#(last)"}"#, "applied"),
                ("execution.retry", #"{"id":"\#(last)"}"#, "applied"),
                ("execution.retry", #"{"id":"0190b2c3-d4e5-8001-8123-456789abcdef"}"#, "20405"),
            ]
            for command in second { try await fixture.submit(command.command, command.body, in: "verbs") }
            let all = first + second
            let told = try await outcomes(all.count, in: "verbs", fixture)
            #expect(told.map(\.outcome) == all.map(\.outcome))
            let verbs = told.map { "\($0.data?["noun"]?.string ?? "").\($0.data?["verb"]?.string ?? "")" }
            #expect(verbs == all.map(\.command))
            for (event, command) in zip(told, all) {
                let isOfNone = command.command.contains("bulk") || command.command.hasPrefix("calendar")
                let end = event.isAccepted ? "command_accepted.\(isOfNone ? "_" : id)" : "command_rejected._"
                #expect(event.subject == "scheduler.evt.verbs.schedule.\(end)", "\(command.command)")
            }
            let again = "SELECT count(*) FROM scheduler.executions WHERE retry_of = '\(last)' AND state = 'delivered'"
            #expect(await fixture.waits(until: again, is: 1))
            #expect(try await fixture.count(of: "paused", in: "verbs") == 3)
            // What waits still ends with its schedule.
            try await fixture.done("schedule.delete", #"{"name":"p"}"#, in: "verbs")
        }

        @Test("A pause of what is in flight keeps nobody behind it waiting")
        func recalls() async throws {
            let fixture = try await SharedSystem.running.fixture
            // Somebody listens, and no stream answers: each publish waits for its time-out.
            let ear = try FiredMessages("demo.mute.>", on: fixture.client)
            let count = 8
            for index in 0..<count {
                try await fixture.submit(
                    "schedule.create",
                    #"{"name":"m\#(index)",\#(Self.hourly.replacing("demo.js.s", with: "demo.mute.s"))}"#, in: "mute")
                try await fixture.submit("schedule.trigger", #"{"name":"m\#(index)"}"#, in: "mute")
            }
            for index in 0..<count { try await fixture.submit("schedule.pause", #"{"name":"m\#(index)"}"#, in: "mute") }
            // Two seconds each, one after the other, would be sixteen.
            let told = try await outcomes(3 * count, in: "mute", fixture, within: .seconds(8))
            #expect(told.allSatisfy { $0.outcome == "applied" })
            for index in 0..<count {
                try await fixture.submit("schedule.delete", #"{"name":"m\#(index)"}"#, in: "mute")
            }
            _ = try await outcomes(4 * count, in: "mute", fixture)
            #expect(ear.count > 0)
            ear.cancel()
            // Nothing is left behind: now a stream takes what was triggered.
            try await fixture.makeStream("MUTE", subjects: "demo.mute.>")
            let left = """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'mute' AND e.state = 'claimed'
                """
            #expect(await fixture.waits(.seconds(20), until: left, is: 0))
        }

        @Test("A worker's report is acknowledged by the stream, and does not stay in it")
        func reports() async throws {
            let fixture = try await SharedSystem.running.fixture
            for report in ["started", "succeeded", "failed"] {
                try await fixture.submit(on: "scheduler.run.test.01a1fd73-4b71-8e15-b464-f0143fffdf21.\(report)", [])
            }
            #expect(await fixture.submittedDrains())
            #expect(try await fixture.statuses().allSatisfy { $0["ready"]?.bool == true })
        }

        @Test("nats-py submits through JetStream, and reads what became of it")
        func natsPy() async throws {
            let fixture = try await SharedSystem.running.fixture
            let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
                separator: "/")
            let log = fixture.folder + "/submit.log"
            let process = try ChildProcess(
                [Tool.python, folder + "/python/submit.py", await fixture.nats.url], logPath: log)
            let hasEnded = await process.waitForEnd(.seconds(30))
            #expect(hasEnded && process.hasSucceeded, "\(Filesystem.tail(log))")
        }
    }
}
