import JSONText
import LocalServers
import ServiceFixture
import Testing

extension Integration {
    /// What a definition may say: every field, what it must not hold, and what belongs to a later version.
    @Suite("Fields", .serialized, .timeLimit(.minutes(1))) struct FieldTests {
        private static let far = #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.f""#

        /// A field, a value that is not its default, and the default; nil: the field is not there.
        private static let fields: [(name: String, value: String, initial: String?)] = [
            ("description", #""d""#, #""""#), ("timezone", #""Europe/Vienna""#, #""UTC""#),
            ("dst_policy", #""literal""#, #""vixie""#), ("start_at", #""2020-01-01T00:00:00.000000Z""#, nil),
            ("end_at", #""2099-01-01T00:00:00.000000Z""#, nil), ("max_runs", "9007199254740993", nil),
            ("spread_seconds", "1.5", "0"), ("only_on", #""work""#, nil), ("not_on", #""off""#, nil),
            ("shift", #""next_business_day""#, #""none""#),
            ("windows", #"[{"days":["MON-FRI"],"from":"08:00","to":"18:00"}]"#, "[]"),
            ("outside", #""defer""#, #""skip""#),
            ("command_payload", #"{"a": 1.50,"id":"{{execution_id}}"}"#, "{}"),
            ("command_headers", #"{"X-A":"ü","X-B":""}"#, "{}"), ("payload_template", "true", "false"),
            ("delivery", #""core""#, #""jetstream""#), ("start_timeout_seconds", "1.5", nil),
            ("run_timeout_seconds", "60.5", "300"), ("heartbeat_timeout_seconds", "5", nil),
            ("overlap_policy", #""buffer_one""#, #""skip""#), ("max_in_flight", "3", "1"),
            ("concurrency_key", #""eu \"1\"""#, nil),
            ("misfire_policy", #""fire_all""#, #""fire_once""#), ("misfire_grace_seconds", "0.5", "300"),
            ("catchup_window_seconds", "60", "86400"), ("catchup_limit", "7", "100"), ("max_retries", "0", "3"),
            ("retry_delay_seconds", "0.5", "300"), ("retry_max_delay_seconds", "6.25", "3600"),
            ("retry_max_age_seconds", "7", "86400"), ("pause_after_failures", "2", nil), ("priority", "9", "5"),
            ("tags", #"["a:1","b"]"#, "[]"), ("metadata", #"{"k":"v"}"#, "{}"),
            ("delete_when_exhausted", "true", "false"), ("shadow", "true", "false"),
        ]
        /// Fields of which this version has one value alone, and those that the types below say.
        private static let others: Set = [
            "name", "schedule_type", "target_command", "cron_expression", "guarantee", "completion",
        ]
        /// What a reply tells besides.
        private static let told: Set = [
            "id", "namespace", "version", "state", "next_fire_at", "run_count", "created_at", "created_by",
            "updated_at", "updated_by",
        ]

        private func texts(_ reply: JSONValue) -> [String: String] {
            Dictionary(
                uniqueKeysWithValues: reply.schedule.members.map {
                    ($0.name, String(decoding: $0.value.bytes, as: UTF8.self))
                })
        }

        @Test("Each field comes back as it was said, and null brings its default back")
        func roundTrip() async throws {
            let fixture = try await SharedSystem.running.fixture
            for calendar in [#"{"name":"work"}"#, #"{"name":"off","holidays":["2026-12-25"]}"#] {
                try await fixture.done("calendar.put", calendar, in: "fields")
            }
            let said = Self.fields.map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",")
            let type = #""schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.js.all""#
            let single = #""guarantee":"at_least_once","completion":"report""#
            let id = try await fixture.done(
                "schedule.create", #"{"name":"all",\#(type),\#(single),\#(said)}"#, in: "fields"
            ).id
            let shown = texts(try await fixture.done("schedule.get", #"{"id":"\#(id)"}"#, in: "fields"))
            for field in Self.fields { #expect(shown[field.name] == field.value, "\(field.name)") }
            #expect(shown["name"] == #""all""# && shown["cron_expression"] == #""0 9 * * *""#)
            // A field that is not in the list above is one that nobody tries.
            let tried = Set(Self.fields.map(\.name)).union(Self.others)
            #expect(Set(shown.keys).subtracting(Self.told) == tried)
            let nothing = (Self.fields.map(\.name) + ["name", "guarantee", "completion"]).map { "\"\($0)\":null" }
            try await fixture.done(
                "schedule.update", #"{"id":"\#(id)",\#(nothing.joined(separator: ","))}"#, in: "fields")
            let bare = texts(try await fixture.done("schedule.get", #"{"id":"\#(id)"}"#, in: "fields"))
            for field in Self.fields { #expect(bare[field.name] == field.initial, "\(field.name)") }
            #expect(bare["name"] == "\"\(id)\"" && bare["cron_expression"] == shown["cron_expression"])
        }

        @Test("What decides over the fires comes back for each type")
        func types() async throws {
            let fixture = try await SharedSystem.running.fixture
            let tomorrow = try await fixture.rows(
                "SELECT to_char((now() + interval '1 day') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"000Z\"')"
            )
            for (type, field, value) in [
                ("interval", "interval_seconds", "0.25"), ("once", "run_at", "\"\(tomorrow[0][0] ?? "")\""),
                ("rrule", "rrule", #""FREQ=DAILY;BYHOUR=9""#),
            ] {
                let body =
                    #"{"schedule_type":"\#(type)","\#(field)":\#(value),"target_command":"demo.js.t","paused":true}"#
                let id = try await fixture.done("schedule.create", body, in: "types").id
                let shown = texts(try await fixture.done("schedule.get", #"{"id":"\#(id)"}"#, in: "types"))
                #expect(shown["schedule_type"] == "\"\(type)\"" && shown[field] == value)
            }
        }

        @Test("SCHEDULER_MAX_INSTANCES is the most of max_in_flight; 3 where nobody sets it")
        func ceiling() async throws {
            let shared = try await SharedSystem.running.fixture
            let raised = try await RuleSystem.running.fixture
            func create(_ most: Int) -> String { #"{\#(Self.far),"max_in_flight":\#(most)}"# }
            #expect(try await shared.refused("schedule.create", create(4), in: "ceiling") == "10426 /max_in_flight")
            let reply = try await raised.done("schedule.create", create(5), in: "ceiling")
            #expect(reply.schedule["max_in_flight"]?.int64 == 5)
            #expect(try await raised.refused("schedule.create", create(6), in: "ceiling") == "10426 /max_in_flight")
        }

        private static func many(_ count: Int) -> String {
            "{" + (0..<count).map { "\"X\($0)\":\"\"" }.joined(separator: ",") + "}"
        }

        private static func long(_ bytes: Int) -> String { #"{"X":"\#(String(repeating: "x", count: bytes - 1))"}"# }

        @Test(
            "A header that could pass for ours, for NATS's, or for two is refused",
            arguments: [
                (#"{"X-Nats-Msg-Id":"1"}"#, "30423 /command_headers/X-Nats-Msg-Id"),
                (#"{"nAtS-A":"1"}"#, "30423 /command_headers/nAtS-A"),
                (#"{"X-KV-Operation":"1"}"#, "30423 /command_headers/X-KV-Operation"),
                (#"{"XScheduler-Fence":"1"}"#, "30423 /command_headers/XScheduler-Fence"),
                (#"{"X":"a Nats-b"}"#, "30423 /command_headers/X"), (#"{"X":"kv-"}"#, "30423 /command_headers/X"),
                (#"{"X":"1 SCHEDULER-"}"#, "30423 /command_headers/X"),
                (#"{"Status":"1"}"#, "30423 /command_headers/Status"),
                (#"{"DESCRIPTION":"1"}"#, "30423 /command_headers/DESCRIPTION"),
                (#"{"content-Type":"1"}"#, "30423 /command_headers/content-Type"),
                (#"{"traceParent":"1"}"#, "30423 /command_headers/traceParent"),
                (#"{"tracestate":"1"}"#, "30423 /command_headers/tracestate"),
                (#"{"X":"a\rb"}"#, "30423 /command_headers/X"), (#"{"X":"a\nb"}"#, "30423 /command_headers/X"),
                (#"{"X":"a\u007fb"}"#, "30423 /command_headers/X"), (#"{"X":"\u0085"}"#, "30423 /command_headers/X"),
                (#"{"X":"\u0000"}"#, "10426 /command_headers/X"), (#"{"X":1}"#, "10424 /command_headers/X"),
                (#"{"X_Y":""}"#, "30423 /command_headers/X_Y"), (#"{"1X":""}"#, "30423 /command_headers/1X"),
                (#"{"":""}"#, "30423 /command_headers/"), (#"{"X Y":""}"#, "30423 /command_headers/X Y"),
                (#"{"X:":""}"#, "30423 /command_headers/X:"), (#"{"ä":""}"#, "30423 /command_headers/ä"),
                (
                    #"{"\#(String(repeating: "X", count: 65))":""}"#,
                    "30423 /command_headers/\(String(repeating: "X", count: 65))"
                ),
                (#"{"X":"1","x":"2"}"#, "30423 /command_headers/x"),
                (#"{"Status":"1","X":"a\nb"}"#, "30423 /command_headers/Status /command_headers/X"),
                (many(17), "10426 /command_headers"), (long(4097), "10426 /command_headers"),
                ("[]", "10424 /command_headers"),
                (many(16), "taken"), (long(4096), "taken"),
            ])
        func headers(_ headers: String, _ expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{\#(Self.far),"paused":true,"command_headers":\#(headers)}"#
            guard expected == "taken" else {
                #expect(try await fixture.refused("schedule.create", body, in: "headers") == expected)
                return
            }
            try await fixture.done("schedule.create", body, in: "headers")
        }

        @Test(
            "What does not go together, and what is no choice, is told with its field",
            arguments: [
                (#""completion":"reply""#, "10427 /completion"),
                (#""delivery":"pigeon""#, "10426 /delivery"),
            ])
        func later(_ field: String, _ expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            for command in ["create", "put", "validate", "update"] {
                let body = command == "update" ? #"{"name":"l",\#(field)}"# : #"{"name":"l",\#(Self.far),\#(field)}"#
                if command == "update" {
                    try await fixture.done("schedule.put", #"{"name":"l",\#(Self.far)}"#, in: "later")
                }
                #expect(try await fixture.refused("schedule.\(command)", body, in: "later") == expected, "\(command)")
            }
        }

        @Test("With delete_when_exhausted a schedule is gone as soon as it is over, and its history stays")
        func deleteWhenExhausted() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body =
                #"{"name":"d","schedule_type":"immediate","target_command":"demo.js.d","delete_when_exhausted":true}"#
            let id = try await fixture.done("schedule.create", body, in: "gone").id
            let gone = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'deleted'"
            #expect(await fixture.waits(until: gone, is: 1))
            #expect(try await fixture.refused("schedule.get", #"{"name":"d"}"#, in: "gone") == "20404")
            #expect(try await fixture.refused("schedule.trigger", #"{"id":"\#(id)"}"#, in: "gone") == "20404")
            #expect(try await fixture.done("schedule.list", "", in: "gone")["schedules"]?.count == 0)
            #expect(try await fixture.ledger(of: id) == ["delivered immediate 1"])
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: id) == [
                    "schedule created", "execution delivered", "schedule exhausted",
                ])
            // An edit that leaves nothing to come does the same.
            let edited = try await fixture.done(
                "schedule.create",
                #"{"name":"e","schedule_type":"interval","interval_seconds":0.1,"max_runs":1000,"target_command":"demo.js.d","delete_when_exhausted":true}"#,
                in: "gone")
            #expect(await waitUntil(.seconds(5)) { ((try? await fixture.ledger(of: edited.id)) ?? []).count > 0 })
            try await fixture.done("schedule.update", #"{"name":"e","max_runs":1}"#, in: "gone")
            let over = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(edited.id)' AND state = 'deleted'"
            #expect(await fixture.waits(until: over, is: 1))
            #expect(
                try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'gone'") == 0
            )
        }
    }
}
