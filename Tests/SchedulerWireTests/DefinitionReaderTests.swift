import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

private let needed = #""schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.a""#

private func reading(_ text: String, onto current: ScheduleDefinition? = nil) throws -> DefinitionReader.Reading {
    let zones: ZoneLookup = { name throws(ZoneError) in .utc }
    var reader = DefinitionReader(
        BodyReader(try JSONValue.parse(Array(text.utf8))), defaults: DefinitionDefaults(), zones: zones)
    return reader.read(onto: current, idName: try ScheduleName("the-id"))
}

/// The problems as `/pointer code`, in their order, those of unknown fields included.
private func problems(_ text: String, onto current: ScheduleDefinition? = nil) throws -> [String] {
    var body = try reading(text, onto: current).body
    do { try body.finish() } catch {}
    return body.problems.map { "\($0.detail.pointer) \($0.code.name)" }
}

private func definition(_ text: String, onto current: ScheduleDefinition? = nil) throws -> ScheduleDefinition {
    let reading = try reading(text, onto: current)
    return try #require(reading.definition, "\(reading.body.problems)")
}

@Suite("Reading a schedule") struct DefinitionReaderTests {
    @Test("What is not said has its default")
    func defaults() throws {
        let read = try definition("{\(needed)}")
        var expected = ScheduleDefinition(
            name: try ScheduleName("the-id"), timing: Timing(type: .cron), target: try TargetSubject("demo.a"))
        expected.timing.cronExpression = "0 9 * * *"
        #expect(read == expected)
        #expect(
            try definition(
                "{\(needed),\(DefinitionReader.fields.filter { !needed.contains("\"\($0)\"") }.map { "\"\($0)\":null" }.joined(separator: ","))}"
            ) == expected)
    }

    @Test("Every field is read into its place")
    func everyField() throws {
        let read = try definition(
            #"""
            {"name":"n.1","description":"d","schedule_type":"cron","cron_expression":"*/5 * * * * *","timezone":"Europe/Vienna",
            "dst_policy":"skip","start_at":"2026-01-01T00:00:00Z","end_at":"2027-01-01T00:00:00Z","max_runs":9007199254740993,
            "spread_seconds":1.5,"target_command":"demo.b","command_payload":{"a": 1.50, "b":[ ]},
            "command_headers":{"X-A":"ü","x-b":""},"payload_template":false,"delivery":"core","guarantee":"at_least_once",
            "completion":"none","start_timeout_seconds":1,"run_timeout_seconds":2.5,"heartbeat_timeout_seconds":3,
            "overlap_policy":"buffer_one","max_in_flight":3,"misfire_policy":"fire_all","misfire_grace_seconds":0,
            "catchup_window_seconds":60,"catchup_limit":7,"max_retries":0,"retry_delay_seconds":0.5,
            "retry_max_delay_seconds":6,"retry_max_age_seconds":7,"pause_after_failures":2,"priority":9,
            "tags":["a:1","b","a:1"],"metadata":{"k":"v"},"delete_when_exhausted":true,"shadow":true}
            """#)
        #expect(read.name.description == "n.1" && read.description == "d" && read.target.description == "demo.b")
        #expect(read.timing.cronExpression == "*/5 * * * * *" && read.timing.timezone == "Europe/Vienna")
        #expect(read.timing.dstPolicy == .skip && read.timing.maxRuns == 9_007_199_254_740_993)
        #expect(read.timing.startAt?.rfc3339 == "2026-01-01T00:00:00.000000Z")
        #expect(read.timing.endAt?.rfc3339 == "2027-01-01T00:00:00.000000Z" && read.timing.spreadMilliseconds == 1500)
        #expect(String(decoding: read.payload, as: UTF8.self) == #"{"a": 1.50, "b":[ ]}"#)
        #expect(read.headers == [UserHeader(name: "X-A", value: "ü"), UserHeader(name: "x-b", value: "")])
        #expect(read.delivery == .core && read.overlapPolicy == .bufferOne && read.maxInFlight == 3)
        #expect(read.startTimeoutSeconds == 1 && read.runTimeoutSeconds == 2.5 && read.heartbeatTimeoutSeconds == 3)
        #expect(
            read.misfire
                == MisfireRule(
                    policy: .fireAll, graceMilliseconds: 0, catchupWindowMilliseconds: 60_000, catchupLimit: 7))
        #expect(read.retry == RetryRule(maxRetries: 0, delaySeconds: 0.5, maxDelaySeconds: 6, maxAgeSeconds: 7))
        #expect(read.pauseAfterFailures == 2 && read.priority == 9 && read.tags == ["a:1", "b"])
        #expect(read.metadata == [UserHeader(name: "k", value: "v")] && read.deleteWhenExhausted && read.isShadow)
    }

    /// A field, values of a wrong type, and values out of its bounds.
    static let faults: [(field: String, wrongTypes: [String], outOfBounds: [String])] = [
        ("name", ["1", "{}"], [#""""#, #""a b""#, #""_a""#, "\"\(String(repeating: "a", count: 129))\""]),
        ("description", ["1"], ["\"\(String(repeating: "a", count: 1025))\""]),
        ("timezone", ["1"], ["\"\(String(repeating: "a", count: 65))\""]),
        ("dst_policy", ["1"], [#""vixi""#]), ("start_at", ["1"], [#""2026-13-01T00:00:00Z""#]),
        ("end_at", ["true"], [#""""#]),
        ("max_runs", [#""1""#, "1.5"], ["0", "-1"]), ("spread_seconds", [#""1""#], ["-1", "86401", "0.0001"]),
        ("target_command", ["1", "[]"], [#""""#, #""a.*""#, #""a\r\nb""#, #""a..b""#]),
        ("delivery", ["1"], [#""carrier_pigeon""#]), ("guarantee", ["1"], [#""exactly_once""#]),
        ("completion", ["1"], [#""soon""#]), ("priority", [#""5""#, "1.5"], ["-1", "10"]),
        ("delete_when_exhausted", ["1", #""true""#], []), ("shadow", ["0", #""yes""#], []),
        ("command_headers", ["[]", "1"], []),
        ("metadata", ["[]", "1"], []), ("tags", ["{}", "1"], []),
        ("misfire_policy", ["1"], [#""fire""#]), ("misfire_grace_seconds", [#""1""#], ["-1", "1e12"]),
        ("catchup_window_seconds", ["[]"], ["-1"]), ("catchup_limit", ["1.5"], ["-1", "1001"]),
        ("start_timeout_seconds", ["[]"], ["0", "-1"]), ("run_timeout_seconds", ["[]"], ["0", "1e99"]),
        ("heartbeat_timeout_seconds", ["[]"], ["0"]), ("overlap_policy", ["1"], [#""never""#]),
        ("concurrency_key", ["1"], [#""""#, #""a\nb""#, "\"\(String(repeating: "k", count: 129))\""]),
        ("max_in_flight", ["1.5"], ["0", "4"]), ("max_retries", ["[]"], ["-1", "1001"]),
        ("retry_delay_seconds", ["[]"], ["-1"]), ("retry_max_delay_seconds", ["[]"], ["-1"]),
        ("retry_max_age_seconds", ["[]"], ["-1"]), ("pause_after_failures", ["1.5"], ["0"]),
        ("cron_expression", ["1"], ["\"\(String(repeating: "*", count: 257))\""]),
        ("only_on", ["1"], [#""""#, #""a b""#]), ("not_on", ["[]"], [#""_""#]), ("shift", ["1"], [#""sideways""#]),
        ("windows", ["{}", #""MON-FRI""#], []), ("outside", ["1"], [#""sometimes""#]),
    ]

    @Test("A wrong type and a value out of bounds are told by the field's pointer", arguments: faults)
    func tellsFaults(field: String, wrongTypes: [String], outOfBounds: [String]) throws {
        let others = needed.split(separator: ",").filter { !$0.hasPrefix("\"\(field)\"") }.joined(separator: ",")
        for value in wrongTypes {
            #expect(try problems("{\(others),\"\(field)\":\(value)}") == ["/\(field) wrong_type"])
        }
        for value in outOfBounds {
            #expect(try problems("{\(others),\"\(field)\":\(value)}") == ["/\(field) invalid_value"], "\(value)")
        }
    }

    @Test("The table above has every field, but for those of other types and those not supported yet")
    func isComplete() {
        let elsewhere: Set = [
            "schedule_type", "interval_seconds", "run_at", "rrule", "command_payload", "payload_template", "after",
        ]
        #expect(
            Set(DefinitionReader.fields)
                == elsewhere.union(Self.faults.map(\.field)).union(DefinitionReader.eventFields))
    }

    @Test(
        "Fields of a type belong to it alone, and it needs them",
        arguments: [
            (#"{"schedule_type":"cron","target_command":"a"}"#, ["/cron_expression missing_field"]),
            (#"{"schedule_type":"interval","target_command":"a"}"#, ["/interval_seconds missing_field"]),
            (#"{"schedule_type":"once","target_command":"a"}"#, ["/run_at missing_field"]),
            (
                #"{"schedule_type":"immediate","target_command":"a","interval_seconds":1}"#,
                ["/interval_seconds conflicting_fields"]
            ),
            (#"{"schedule_type":"immediate","target_command":"a","max_runs":2}"#, ["/max_runs invalid_value"]),
            (
                #"{"schedule_type":"interval","interval_seconds":0.09,"target_command":"a"}"#,
                ["/interval_seconds invalid_value"]
            ),
            (
                #"{"schedule_type":"interval","interval_seconds":0.1005,"target_command":"a"}"#,
                ["/interval_seconds invalid_value"]
            ),
            (
                #"{"schedule_type":"interval","interval_seconds":1,"start_at":"2026-01-02T00:00:00Z","end_at":"2026-01-01T00:00:00Z","target_command":"a"}"#,
                ["/end_at conflicting_fields"]
            ),
            (#"{"schedule_type":"rrule","target_command":"a"}"#, ["/rrule missing_field"]),
            (#"{"schedule_type":"rrule","rrule":7,"target_command":"a"}"#, ["/rrule wrong_type"]),
            (
                #"{"schedule_type":"rrule","rrule":"\#(String(repeating: "x", count: 4097))","target_command":"a"}"#,
                ["/rrule invalid_value"]
            ),
            (
                #"{"schedule_type":"rrule","rrule":"FREQ=DAILY","start_at":"2026-01-02T00:00:00.5Z","target_command":"a"}"#,
                ["/start_at invalid_value"]
            ),
            (
                #"{"schedule_type":"cron","cron_expression":"0 9 * * *","rrule":"FREQ=DAILY","target_command":"a"}"#,
                ["/rrule conflicting_fields"]
            ),
            (#"{"schedule_type":"solar","target_command":"a"}"#, ["/schedule_type invalid_value"]),
            (#"{"schedule_type":7,"target_command":"a"}"#, ["/schedule_type wrong_type"]),
            (
                #"{"schedule_type":"eventually","delivery":"request","completion":"report","guarantee":"none","target_command":"a"}"#,
                ["/schedule_type invalid_value", "/guarantee invalid_value"]
            ),
            (
                #"{"schedule_type":"immediate","target_command":"a","delivery":"request","completion":"reply","guarantee":"at_most_once"}"#,
                []
            ),
            (#"{"schedule_type":"immediate","target_command":"a","delivery":"request"}"#, []),
            (
                #"{"schedule_type":"immediate","target_command":"a","delivery":"core","completion":"reply"}"#,
                ["/completion conflicting_fields"]
            ),
            // What the delivery was meant to be is not known.
            (
                #"{"schedule_type":"immediate","target_command":"a","delivery":"pigeon","completion":"reply"}"#,
                ["/delivery invalid_value"]
            ),
            (
                #"{"schedule_type":"immediate","target_command":"a","rrule":"X","after":{},"payload_template":3}"#,
                ["/rrule conflicting_fields", "/payload_template wrong_type", "/after/schedule missing_field"]
            ),
            (#"{"schedule_type":"immediate","target_command":"$JS.API.INFO"}"#, ["/target_command target_reserved"]),
            ("{}", ["/schedule_type missing_field", "/target_command missing_field"]),
        ])
    func types(text: String, expected: [String]) throws { #expect(try problems(text) == expected) }

    @Test("All problems come at once: of the name, the timing, the target and the rest, and unknown fields")
    func allAtOnce() throws {
        let text = #"""
            {"name":"a b","schedule_type":"interval","interval_seconds":0,"start_at":1,"target_command":"a.>","priority":11,
            "command_headers":{"Nats-Msg-Id":"x","X\n":"y","Z":"a\r\nb"},"tags":["ok","no way",3],"nonsense":1}
            """#
        #expect(
            try problems(text) == [
                "/name invalid_value", "/interval_seconds invalid_value", "/start_at wrong_type",
                "/target_command invalid_value",
                "/command_headers/Nats-Msg-Id header_refused", "/command_headers/X\n header_refused",
                "/command_headers/Z header_refused", "/tags/1 invalid_value", "/tags/2 wrong_type",
                "/priority invalid_value", "/nonsense unknown_field",
            ])
    }

    @Test("A fault elsewhere hides no timing, and a fault of the timing no target")
    func readsPartsApart() throws {
        let withoutTarget = try reading(
            #"{"schedule_type":"cron","cron_expression":"0 0 30 2 *","start_at":7,"target_command":"*"}"#)
        #expect(withoutTarget.definition == nil && withoutTarget.target == nil)
        #expect(withoutTarget.timing?.cronExpression == "0 0 30 2 *")
        let withoutTiming = try reading(#"{"schedule_type":"cron","target_command":"demo.a","command_payload":[1]}"#)
        #expect(
            withoutTiming.timing == nil && withoutTiming.target?.description == "demo.a"
                && withoutTiming.payload.count == 3)
        #expect(
            try problems(#"{"cron_expression":"nonsense","target_command":"a"}"#)
                == ["/schedule_type missing_field", "/cron_expression invalid_timing"])
        #expect(
            try problems(#"{"rrule":"FREQ=NEVER","target_command":"a"}"#)
                == ["/schedule_type missing_field", "/rrule invalid_timing"])
    }

    @Test("A local run_at is read in the zone; in a gap the first valid instant, in a repeat the first pass")
    func localInstants() throws {
        let read = try definition(#"{"schedule_type":"once","run_at":"2026-11-21T09:30:00","target_command":"a"}"#)
        #expect(read.timing.runAt?.rfc3339 == "2026-11-21T09:30:00.000000Z")
        #expect(
            try problems(#"{"schedule_type":"once","run_at":"21.11.2026","target_command":"a"}"#) == [
                "/run_at invalid_value"
            ])
    }
}

@Suite("A time zone in front of a cron expression") struct ZonePrefixTests {
    private let prefixed =
        #""schedule_type":"cron","cron_expression":"CRON_TZ=Asia/Tokyo 0 9 * * *","target_command":"a""#

    @Test("It is the schedule's zone where the request names no other")
    func isTaken() throws {
        #expect(try definition("{\(prefixed)}").timing.timezone == "Asia/Tokyo")
        #expect(try definition(#"{\#(prefixed),"timezone":null}"#).timing.timezone == "Asia/Tokyo")
        #expect(try definition(#"{\#(prefixed),"timezone":"Asia/Tokyo"}"#).timing.timezone == "Asia/Tokyo")
        #expect(try problems(#"{\#(prefixed),"timezone":"UTC"}"#) == ["/timezone conflicting_fields"])
    }

    @Test("A patch of either keeps them together")
    func patches() throws {
        let current = try definition("{\(prefixed)}")
        #expect(try definition(#"{"priority":1}"#, onto: current).timing == current.timing)
        #expect(try problems(#"{"timezone":"UTC"}"#, onto: current) == ["/timezone conflicting_fields"])
        let other = try definition(#"{"cron_expression":"TZ=Asia/Seoul 0 9 * * *"}"#, onto: current)
        #expect(other.timing.timezone == "Asia/Seoul")
        #expect(try definition(#"{"cron_expression":"0 9 * * *"}"#, onto: current).timing.timezone == "Asia/Tokyo")
    }
}

@Suite("Patching a schedule") struct DefinitionPatchTests {
    private func current() throws -> ScheduleDefinition {
        try definition(
            #"{"name":"n",\#(needed),"priority":7,"tags":["a"],"max_runs":3,"command_headers":{"A":"b"},"timezone":"Europe/Vienna"}"#
        )
    }

    @Test("What is absent stays, null brings the default back, a value replaces the whole")
    func merges() throws {
        let current = try current()
        #expect(try definition("{}", onto: current) == current)
        var expected = current
        expected.priority = 5
        expected.tags = ["b"]
        expected.headers = []
        expected.timing.maxRuns = nil
        let patch = #"{"priority":null,"tags":["b"],"command_headers":{},"max_runs":null}"#
        #expect(try definition(patch, onto: current) == expected)
    }

    @Test("Another type begins a timing of its own, in the same zone")
    func changesType() throws {
        let read = try definition(#"{"schedule_type":"interval","interval_seconds":5}"#, onto: current())
        #expect(read.timing.intervalMilliseconds == 5000 && read.timing.cronExpression == nil)
        #expect(read.timing.timezone == "Europe/Vienna" && read.timing.maxRuns == nil && read.priority == 7)
    }

    @Test("What is required cannot be taken away")
    func keepsTheRequired() throws {
        let current = try current()
        #expect(try problems(#"{"target_command":null}"#, onto: current) == ["/target_command missing_field"])
        #expect(try problems(#"{"schedule_type":null}"#, onto: current) == ["/schedule_type missing_field"])
        #expect(try problems(#"{"cron_expression":null}"#, onto: current) == ["/cron_expression missing_field"])
    }
}

@Suite("What a user may put into headers") struct UserHeaderTests {
    @Test(
        "Fine",
        arguments: [
            ("X-A", "v"), ("a", ""), ("A-", "ü € \u{1F600}"), (String(repeating: "a", count: 64), "x"),
            ("Natsy", "nats"),
        ])
    func accepts(name: String, value: String) { #expect(UserHeaderRule.problem(name: name, value: value) == nil) }

    @Test(
        "Refused",
        arguments: [
            ("", "v"), ("1a", "v"), ("-a", "v"), ("a b", "v"), ("a:b", "v"), ("a\r\nb", "v"), ("ä", "v"),
            (String(repeating: "a", count: 65), "v"), ("Nats-Msg-Id", "v"), ("X-nAtS-Msg-Id", "v"),
            ("kv-operation", "v"),
            ("a-Scheduler-Fence", "v"), ("Status", "v"), ("DESCRIPTION", "v"), ("content-type", "v"),
            ("Traceparent", "v"), ("tracestate", "v"), ("a", "x\r\nNats-Msg-Id: 1"), ("a", "x\ny"), ("a", "x\u{0}"),
            ("a", "x\u{7F}"), ("a", "\u{85}"), ("a", "Nats-Msg-Id: 1"), ("a", "KV-Operation"), ("a", "scheduler-fence"),
        ])
    func refuses(name: String, value: String) { #expect(UserHeaderRule.problem(name: name, value: value) != nil) }

    @Test("At most 16, 4 KiB together, no two but for their case")
    func bounds() throws {
        func found(_ headers: String) throws -> [String] { try problems("{\(needed),\"command_headers\":\(headers)}") }
        let many = (0..<17).map { "\"h\($0)\":\"\"" }.joined(separator: ",")
        #expect(try found("{\(many)}") == ["/command_headers invalid_value"])
        let long = (0..<2).map { "\"h\($0)\":\"\(String(repeating: "x", count: 2047))\"" }.joined(separator: ",")
        #expect(try found("{\(long)}") == ["/command_headers invalid_value"])
        #expect(try found(#"{"A":"1","a":"2"}"#) == ["/command_headers/a header_refused"])
        #expect(try found(#"{"A":1}"#) == ["/command_headers/A wrong_type"])
    }
}
