import JSONText
import LocalServers
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// `bulk_create`, `bulk`, `validate`: many at once, with a result for each.
    @Suite("Bulk", .serialized, .timeLimit(.minutes(2))) struct BulkTests {
        private static let far = #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.k""#

        private static func schedules(_ definitions: [String], _ rest: String = "") -> String {
            #"{"schedules":[\#(definitions.map { "{\($0)}" }.joined(separator: ","))]\#(rest)}"#
        }

        private static func many(_ count: Int, _ name: String = "m") -> [String] {
            (0..<count).map { #""name":"\#(name)\#($0)",\#(Self.far)"# }
        }

        /// `index ok|code pointers` of each result.
        private func results(_ reply: JSONValue) -> [String] {
            reply.items("results").map { result in
                let index = result["index"]?.int64 ?? -1
                guard let error = result["error"] else { return "\(index) ok" }
                let pointers = error.items("details").map { $0["pointer"]?.string ?? "?" }
                return ([String(index), String(error["err_code"]?.int64 ?? 0)] + pointers).joined(separator: " ")
            }
        }

        /// A thousand schedules are made by one request, and counted.
        private func makesAThousand(_ fixture: ServiceFixture) async throws {
            let body = Self.schedules(Self.many(1000), #","request_id":"t""#)
            let begun = ContinuousClock.now
            let reply = try await fixture.command("schedule.bulk_create", body, timeout: .seconds(30))
            print("bulk_create of 1,000: \(ContinuousClock.now - begun), reply of \(reply.bytes.count) bytes")
            #expect(reply["created"]?.int64 == 1000 && reply["failed"]?.int64 == 0 && reply.bytes.count < 1 << 20)
            let last = try #require(reply.items("results").last)
            #expect(last["index"]?.int64 == 999 && last["schedule"]?["name"]?.string == "m999")
            let shown = try await fixture.done("schedule.get", #"{"name":"m999"}"#)
            #expect(shown.id == last["schedule"]?["id"]?.string)
            #expect(shown.schedule["next_fire_at"]?.string == last["schedule"]?["next_fire_at"]?.string)
            #expect(try await fixture.count("SELECT schedule_count FROM scheduler.namespaces") == 1000)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.audit_log WHERE action = 'created'") == 1000)
            // Sent again, it has the same reply; with another body it is refused.
            let again = try await fixture.command("schedule.bulk_create", body)
            #expect(Array(again.bytes) == Array(reply.bytes))
            #expect(
                try await fixture.refused("schedule.bulk_create", Self.schedules(Self.many(1), #","request_id":"t""#))
                    == "20411")
        }

        @Test("What is wrong with one keeps no other, unless all or none is asked for")
        func oneByOne() async throws {
            let fixture = try await TwoInstances.running.fixture
            try await fixture.done("schedule.create", #"{"name":"there",\#(Self.far)}"#, in: "mixed")
            let definitions = [
                #""name":"a",\#(Self.far)"#, #""name":"there",\#(Self.far)"#, #""name":"a",\#(Self.far)"#,
                #""name":"b","schedule_type":"cron","cron_expression":"61 * * * *","target_command":"other.x","nonsense":1"#,
                #"\#(Self.far),"paused":true"#, #""name":"c",\#(Self.far),"only_on":"nowhere""#,
            ]
            let problems = [
                "/schedules/1/name", "/schedules/2/name", "/schedules/3/target_command", "/schedules/3/cron_expression",
                "/schedules/3/nonsense", "/schedules/5/only_on",
            ]
            let atomic = try await fixture.refused(
                "schedule.bulk_create", Self.schedules(definitions, #","atomic":true"#), in: "mixed")
            // What only the database can tell is told when nothing else is wrong.
            #expect(atomic == (["10422"] + problems.dropFirst()).joined(separator: " "))
            #expect(
                try await fixture.refused(
                    "schedule.bulk_create", Self.schedules(Array(definitions[0...1]), #","atomic":true"#), in: "mixed")
                    == "20409 /schedules/1/name")
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'mixed'") == 1)
            let rehearsed = try await fixture.done(
                "schedule.bulk_create", Self.schedules(definitions, #","dry_run":true"#), in: "mixed")
            #expect(rehearsed["dry_run"]?.bool == true && rehearsed["created"]?.int64 == 2)
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'mixed'") == 1)
            let reply = try await fixture.done("schedule.bulk_create", Self.schedules(definitions), in: "mixed")
            #expect(
                results(reply) == [
                    "0 ok", "1 20409 /schedules/1/name", "2 20409 /schedules/2/name",
                    "3 10422 " + problems[2...4].joined(separator: " "), "4 ok", "5 20430 /schedules/5/only_on",
                ])
            #expect(reply.items("results")[4]["schedule"]?["state"]?.string == "paused")
        }

        @Test("At the namespace's limit as many are made as there is room for, also by several at once")
        func limit() async throws {
            let fixture = try await TwoInstances.running.fixture
            try await fixture.database.execute(
                script:
                    "INSERT INTO scheduler.namespaces (namespace, schedule_count, max_schedules) VALUES ('full', 0, 25)"
            )
            let replies = try await fixture.together(6, "schedule.bulk_create", in: "full") { index in
                Self.schedules(Self.many(10, "f\(index)_"))
            }
            #expect(replies.reduce(0) { $0 + ($1["created"]?.int64 ?? 0) } == 25)
            #expect(replies.flatMap { results($0) }.count { $0.hasSuffix("40403") } == 35)
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'full'")
                    == 25)
            #expect(
                try await fixture.refused(
                    "schedule.bulk_create", Self.schedules(Self.many(2, "x"), #","atomic":true"#), in: "full")
                    == "40403 /schedules/0 /schedules/1")
            let checked = try await fixture.done("schedule.validate", Self.schedules(Self.many(2, "x")), in: "full")
            #expect(checked.items("warnings").map { $0["pointer"]?.string } == [""])
        }

        @Test("A thousand errors about long texts that JSON escapes fit a message")
        func hostileItems() async throws {
            let fixture = try await TwoInstances.running.fixture
            let name = String(repeating: #"\u0001"#, count: 120)
            let item = #"{"name":"\#(name)","schedule_type":"x","\#(name)":1}"#
            let items = Array(repeating: item, count: 690) + Array(repeating: "[]", count: 310)
            let body = #"{"schedules":[\#(items.joined(separator: ","))]}"#
            #expect(body.utf8.count < 1 << 20)
            let reply = try await fixture.command(
                "schedule.bulk_create", body, namespace: "hostile", timeout: .seconds(10))
            #expect(reply["failed"]?.int64 == 1000 && reply.bytes.count < 1 << 19)
            #expect(reply.items("results").allSatisfy { $0["error"]?["err_code"]?.int64 != nil })
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'hostile'") == 0)
        }

        @Test("Two at once with the same names make each once")
        func sameNames() async throws {
            let fixture = try await TwoInstances.running.fixture
            let replies = try await fixture.together(4, "schedule.bulk_create", in: "names") { _ in
                Self.schedules(Self.many(50))
            }
            #expect(replies.reduce(0) { $0 + ($1["created"]?.int64 ?? 0) } == 50)
            #expect(replies.allSatisfy { $0["error"] == nil })
        }

        @Test(
            "Each fault has its code and its place",
            arguments: [
                ("bulk_create", "{}", "10425 /schedules"), ("bulk_create", #"{"schedules":{}}"#, "10424 /schedules"),
                ("bulk_create", #"{"schedules":[]}"#, "10426 /schedules"),
                (
                    "bulk_create", #"{"schedules":[\#(Array(repeating: "1", count: 1001).joined(separator: ","))]}"#,
                    "40413 /schedules"
                ),
                ("bulk_create", #"{"schedules":[1],"atomic":true}"#, "10403 /schedules/0"),
                ("bulk_create", #"{"schedules":[{}],"if_version":1}"#, "10427 /if_version"),
                ("bulk", "{}", "10425 /operation /ids"),
                ("bulk", #"{"operation":"explode","ids":["x"]}"#, "10426 /operation /ids/0"),
                ("bulk", #"{"operation":"pause","ids":[],"names":["a"]}"#, "10427 /names"),
                ("bulk", #"{"operation":"pause","ids":[]}"#, "10426 /ids"),
                ("bulk", #"{"operation":"pause","names":["a","a"]}"#, "10426 /names/1"),
                ("bulk", #"{"operation":"pause","names":"a"}"#, "10424 /names"),
                ("bulk", #"{"operation":"pause","names":["a"],"cursor":"x"}"#, "10427 /cursor"),
                ("bulk", #"{"operation":"delete","filter":{}}"#, "10426 /filter"),
                ("bulk", #"{"operation":"delete","filter":7}"#, "10403 /filter"),
                ("bulk", #"{"operation":"delete","filter":{"tag":"a","x":1}}"#, "10423 /filter/x"),
                ("bulk", #"{"operation":"delete","filter":{"tag":"a"},"cursor":"x"}"#, "10405 /cursor"),
                (
                    "bulk", #"{"operation":"resume","names":["a"],"until":"2099-01-01T00:00:00Z"}"#, "10427 /until"
                ),
                (
                    "bulk",
                    #"{"operation":"pause","names":[\#(Array(repeating: "1", count: 1001).joined(separator: ","))]}"#,
                    "40413 /names"
                ),
                ("validate", "{}", "10425 /schedule_type /target_command"),
                ("validate", #"{\#(far),"priority":"x"}"#, "10424 /priority"),
                (
                    "validate", #"{"schedules":[{\#(far)},{}]}"#,
                    "10425 /schedules/1/schedule_type /schedules/1/target_command"
                ),
            ])
        func faults(_ command: String, _ body: String, _ expected: String) async throws {
            let fixture = try await TwoInstances.running.fixture
            #expect(try await fixture.refused("schedule.\(command)", body, in: "bulkfaults") == expected)
        }

        @Test("A definition is checked as create checks it, shown with its defaults, and not stored")
        func validates() async throws {
            let fixture = try await TwoInstances.running.fixture
            // A core target: of a stream's it would be told that nobody takes from it.
            let body = #"{"name":"v",\#(Self.far),"delivery":"core"}"#
            let reply = try await fixture.done("schedule.validate", body, in: "validate")
            #expect(reply["valid"]?.bool == true && reply["warnings"]?.count == 0)
            #expect(reply.schedule["priority"]?.int64 == 5 && reply.schedule["next_fires"]?.count == 5)
            #expect(try await fixture.refused("schedule.get", #"{"name":"v"}"#, in: "validate") == "20404")
            try await fixture.done("schedule.create", #"{"name":"v",\#(Self.far)}"#, in: "validate")
            let taken = try await fixture.done("schedule.validate", body, in: "validate")
            #expect(taken.items("warnings").map { $0["pointer"]?.string } == ["/name"])
            let several = try await fixture.done(
                "schedule.validate", Self.schedules([#""name":"w",\#(Self.far)"#, #""name":"v",\#(Self.far)"#]),
                in: "validate")
            #expect(several.items("schedules").map { $0["name"]?.string } == ["w", "v"])
            #expect(several.items("warnings").map { $0["pointer"]?.string } == ["/schedules/1/name"])
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'validate'") == 1)
        }

        @Test("Each schedule of a bulk has its receipt; what is refused keeps no other; a page says where to go on")
        func receipts() async throws {
            let fixture = try await TwoInstances.running.fixture
            try await fixture.done("schedule.bulk_create", Self.schedules(Self.many(5)), in: "bulk")
            func bulk(_ body: String) async throws -> JSONValue {
                try await fixture.done("schedule.bulk", "{\(body)}", in: "bulk")
            }
            func outcomes(_ reply: JSONValue) -> [String] {
                reply.items("results").map { result in
                    let outcome = result["outcome"]?.string ?? String(result["error"]?["err_code"]?.int64 ?? 0)
                    return "\(result["name"]?.string ?? "?") \(outcome)"
                }
            }
            let paused = try await bulk(#""operation":"pause","names":["m3","none","m1"],"reason":"why""#)
            #expect(outcomes(paused) == ["m3 paused", "none 20404", "m1 paused"])
            let shown = try await fixture.done("schedule.get", #"{"name":"m1"}"#, in: "bulk")
            #expect(shown.schedule["state"]?.string == "paused" && shown.schedule["pause_reason"]?.string == "why")
            let rehearsed = try await bulk(#""operation":"pause","filter":{"name_prefix":"m"},"dry_run":true"#)
            #expect(
                rehearsed["dry_run"]?.bool == true
                    && outcomes(rehearsed).sorted() == [
                        "m0 paused", "m1 unchanged", "m2 paused", "m3 unchanged", "m4 paused",
                    ])
            let resumed = try await bulk(#""operation":"resume","filter":{"state":"paused"}"#)
            #expect(outcomes(resumed).sorted() == ["m1 resumed", "m3 resumed"])
            var left: [String] = []
            var cursor: String? = ""
            var pages = 0
            while let next = cursor, pages < 9 {
                let page = try await bulk(
                    #""operation":"delete","filter":{"name_prefix":"m"},"limit":2"#
                        + (next.isEmpty ? "" : #","cursor":"\#(next)""#))
                left += outcomes(page)
                cursor = page["next_cursor"]?.string
                pages += 1
            }
            #expect(left.sorted() == (0..<5).map { "m\($0) deleted" } && pages == 3)
            #expect(try await fixture.done("schedule.list", "{}", in: "bulk")["schedules"]?.count == 0)
        }

        @Test("A thousand are made at once; a bulk that a crash cut short is finished by its request_id, nothing twice")
        func crashInTheMiddle() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let victim = try await fixture.startInstance(
                "victim", environment: ["CARILLON_FAIL_AT": "publish.before@40"])
            try await makesAThousand(fixture)
            let body = #"{"operation":"trigger","filter":{"name_prefix":"m"},"limit":120,"request_id":"once"}"#
            await #expect(throws: (any Error).self) {
                try await fixture.command("schedule.bulk", body, timeout: .seconds(2))
            }
            #expect(await victim.process.waitForEnd(.seconds(10)))
            let opened = try await fixture.count("SELECT count(*) FROM scheduler.executions")
            #expect((40..<120).contains(opened), "the crash was to come in the middle: \(opened)")
            let second = try await fixture.startInstance("second")
            let reply = try await fixture.command("schedule.bulk", body, timeout: .seconds(20))
            #expect(reply["results"]?.count == 120 && reply["next_cursor"]?.string != nil)
            #expect(reply.items("results").allSatisfy { $0["outcome"]?.string == "triggered" })
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.executions WHERE state = 'delivered'", is: 120))
            #expect(try await fixture.count("SELECT count(DISTINCT schedule_id) FROM scheduler.executions") == 120)
            let again = try await fixture.command("schedule.bulk", body)
            #expect(Array(again.bytes) == Array(reply.bytes))
            #expect(
                try await fixture.refused(
                    "schedule.bulk", #"{"operation":"pause","filter":{"name_prefix":"m"},"request_id":"once"}"#)
                    == "20411")
            #expect(await second.stop())
            await fixture.stop()
        }

        @Test("Three hundred that fire every second are paused together, and what may still fire is named")
        func manyInFlight() async throws {
            let fixture = try await TwoInstances.running.fixture
            let soon = (0..<300).map {
                #""name":"s\#($0)","schedule_type":"interval","interval_seconds":1,"target_command":"demo.js.k""#
            }
            try await fixture.done("schedule.bulk_create", Self.schedules(soon), in: "flight")
            let reply = try await fixture.command(
                "schedule.bulk", #"{"operation":"pause","filter":{"name_prefix":"s"}}"#, namespace: "flight",
                timeout: .seconds(20))
            #expect(reply["results"]?.count == 300)
            let inFlight = Set(reply.items("in_flight").compactMap(\.string))
            let open = try await fixture.rows(
                """
                SELECT e.id::text FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'flight' AND e.state = 'claimed'
                """)
            #expect(Set(open.compactMap { $0[0] }).isSubset(of: inFlight))
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.schedules WHERE namespace = 'flight' AND state = 'paused'") == 300)
        }
    }
}
