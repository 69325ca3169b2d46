import JSONText
import PayloadTemplates
import Recurrence
import Testing

@Suite struct PayloadTemplateTests {
    private static func values() throws -> FireValues {
        var common = FireValues.Common()
        common.scheduleID = "0195-id"
        common.scheduleName = "nightly.report"
        common.namespace = "billing"
        common.targetCommand = "cmd.billing.run"
        common.metadata = [("quoted", "say \"hi\" \\ \n \u{1F600} <b>&amp;"), ("empty", "")]
        let at = try #require(Instant(rfc3339: "2026-11-21T09:30:00.250Z"))
        var values = FireValues(common, scheduledFor: at, dueAt: at.adding(milliseconds: 1750))
        values.executionID = "execution"
        values.attempt = 2
        values.fence = 41
        values.trigger = "cron"
        return values
    }

    private static let names = ["quoted", "empty"]

    private func render(_ payload: String, _ change: (inout FireValues) -> Void = { _ in }) throws -> String {
        var values = try Self.values()
        change(&values)
        let template = try PayloadTemplate(try JSONValue.parse(payload), metadata: Self.names)
        let bytes = template.render(values)
        // What is rendered is JSON, and no larger than was said.
        _ = try JSONValue.parse(bytes)
        #expect(bytes.count <= template.mostBytes(values.common))
        #expect(bytes == template.render(values))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "Each variable has its value",
        arguments: [
            ("schedule_id", "0195-id"), ("schedule_name", "nightly.report"), ("namespace", "billing"),
            ("target_command", "cmd.billing.run"), ("timezone", "UTC"), ("execution_id", "execution"),
            ("attempt", "2"), ("fence", "41"), ("trigger", "cron"), ("missed_count", "0"),
            ("scheduled_for", "2026-11-21T09:30:00.250000Z"), ("due_at", "2026-11-21T09:30:02.000000Z"),
            ("scheduled_for_local", "2026-11-21T09:30:00.250+00:00"), ("scheduled_for_date", "2026-11-21"),
            ("due_at_local", "2026-11-21T09:30:02+00:00"), ("scheduled_for_unix", "1795253400"),
            ("scheduled_for_unix_ms", "1795253400250"), ("due_at_unix", "1795253402"),
            ("due_at_unix_ms", "1795253402000"),
        ])
    func variables(name: String, value: String) throws {
        #expect(try render(#""{{\#(name)}}""#) == "\"\(value)\"")
        #expect(
            try render(#"{"a": ["< {{ \#(name) }} >{{{\#(name)}}}{{&\#(name)}}"]}"#)
                == #"{"a":["< \#(value) >\#(value)\#(value)"]}"#)
    }

    @Test("The tests know all variables that there are")
    func complete() { #expect(TemplateVariable.allCases.count == 19) }

    @Test("Values are escaped for JSON and for nothing else")
    func escaping() throws {
        let expected = #""say \"hi\" \\ \n \#u{1F600} <b>&amp;""#
        #expect(try render(#""{{metadata.quoted}}""#) == expected)
        #expect(try render(#""{{{metadata.quoted}}}""#) == expected)
        #expect(try render(#""\"\u00e9\n{{attempt}}\u0001\\""#) == #""\"é\n2\u0001\\""#)
    }

    @Test("Numbers, names and the order of members stay; white space goes")
    func verbatim() throws {
        let payload = """
             { "{{attempt}}" : 1.50e+3 , "b" : [ 12345678901234567890 , null , true, "{ {x} }" ] ,
               "a" : "{{attempt}}" }
            """
        #expect(
            try render(payload)
                == #"{"{{attempt}}":1.50e+3,"b":[12345678901234567890,null,true,"{ {x} }"],"a":"2"}"#)
        #expect(try render("[]") == "[]")
        #expect(try render(#"["{{attempt}}","{{fence}}",{},"x"]"#) == #"["2","41",{},"x"]"#)
    }

    @Test("Sections show what there is: not what is empty or 0")
    func sections() throws {
        let text =
            #""{{#missed_count}}{{missed_count}} missed by {{schedule_name}}{{/missed_count}}{{^missed_count}}none{{/missed_count}}""#
        #expect(try render(text) == "\"none\"")
        #expect(try render(text) { $0.missedCount = 3 } == "\"3 missed by nightly.report\"")
        #expect(try render(#""{{^metadata.empty}}-{{/metadata.empty}}{{! a comment }}""#) == "\"-\"")
    }

    @Test("White space around tags is kept, on every line")
    func whitespace() throws {
        for text in [
            #""  {{attempt}}  ""#, #""a\n  {{attempt}}\n  \n""#, #""\n\n{{attempt}}\n""#, #""\t{{attempt}}\r\n \t""#,
        ] {
            #expect(try render(text) == text.replacing("{{attempt}}", with: "2"))
        }
    }

    @Test("The zone's own time, with its offset")
    func local() throws {
        let rules = try ZoneRules(name: "Europe/Berlin", tzif: Self.berlin)
        let summer = try #require(Instant(rfc3339: "2026-07-01T22:30:00Z"))
        #expect(
            try render(#""{{scheduled_for_local}} {{scheduled_for_date}}""#) {
                $0.common.zone = rules
                $0.scheduledFor = summer
            } == #""2026-07-02T00:30:00+02:00 2026-07-02""#)
    }

    /// The rule alone, as the footer of a file has it.
    private static var berlin: [UInt8] {
        let header = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
        let counts: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]
        let type: [UInt8] = [0, 0, 0x0E, 0x10, 0, 0] + Array("CET".utf8) + [0]
        let block = header + counts + type
        return block + block + Array("\nCET-1CEST,M3.5.0,M10.5.0/3\n".utf8)
    }

    @Test(
        "What is no template is refused at its string, with the place in it",
        arguments: [
            (#"{"a":{"b":["x {{schedule}}"]}}"#, "/a/b/0", "there is no variable 'schedule', at character 3"),
            (#""é{{schedule.name}}""#, "", "there is no variable 'schedule.name', at character 2"),
            (#""{{metadata.none}}""#, "", "there is no variable 'metadata.none', at character 1"),
            (#""{{#missing}}{{/missing}}""#, "", "there is no variable 'missing', at character 1"),
            (#""{{.}}""#, "", "there is no variable '.', at character 1"),
            (
                #""{{uppercased(trigger)}}""#, "",
                "expected the name of a variable, got 'uppercased(trigger)', at character 1"
            ),
            (#""{{}}""#, "", "expected the name of a variable, got '', at character 1"),
            (#""{{attempt""#, "", "expected '}}' that ends this tag, at character 1"),
            (#""{{{attempt}}""#, "", "expected '}}}' that ends this tag, at character 1"),
            (#""{{""#, "", "expected a name and '}}' after '{{', at character 1"),
            (#""{{>other}}""#, "", "partials and blocks are not known here, at character 1"),
            (#""{{$other}}""#, "", "partials and blocks are not known here, at character 1"),
            (#""{{=<% %>=}}""#, "", "other delimiters than '{{' and '}}' are not known here, at character 1"),
            (#""{{% CONTENT_TYPE:HTML}}""#, "", "pragmas are not known here, at character 1"),
            (#""{{#fence}}{{/attempt}}""#, "", "this ends another section than the one that is open, at character 14"),
            (#""{{#fence}}""#, "", "a section is not ended, at character 11"),
            ("\"{{attempt}}\u{301}\"", "", "a tag is not ended, at character 10"),
        ])
    func refused(payload: String, pointer: String, message: String) throws {
        let value = try JSONValue.parse(payload)
        let refusal = #expect(throws: PayloadTemplate.Refusal.self) {
            try PayloadTemplate(value, metadata: Self.names)
        }
        #expect(refusal?.problems.map(\.message) == [message])
        #expect(refusal?.problems.first?.pointer.description == pointer)
    }

    @Test("Every wrong string is told")
    func all() throws {
        let value = try JSONValue.parse(#"["{{a}}", "{{attempt}}", {"x": "{{b}}"}]"#)
        let refusal = #expect(throws: PayloadTemplate.Refusal.self) { try PayloadTemplate(value, metadata: []) }
        #expect(refusal?.problems.map(\.pointer.description) == ["/0", "/2/x"])
    }

    @Test("Size and number of tags are bounded")
    func bounds() throws {
        let many = "\"" + String(repeating: "{{attempt}}", count: PayloadTemplate.mostTags + 1) + "\""
        #expect(throws: PayloadTemplate.Refusal.self) { try PayloadTemplate(try JSONValue.parse(many), metadata: []) }
        let each = "[" + Array(repeating: "\"{{attempt}}\"", count: PayloadTemplate.mostTags).joined(separator: ",")
        #expect(throws: Never.self) { try PayloadTemplate(try JSONValue.parse(each + "]"), metadata: []) }
        #expect(throws: PayloadTemplate.Refusal.self) {
            try PayloadTemplate(try JSONValue.parse(each + #","{{fence}}"]"#), metadata: [])
        }
        let long = "\"" + String(repeating: "a", count: 16_400) + "{{attempt}}\""
        #expect(throws: PayloadTemplate.Refusal.self) { try PayloadTemplate(try JSONValue.parse(long), metadata: []) }
        // Long texts with a tag somewhere are no trouble: Mustache sees the tag's line only.
        let lines = String(repeating: "a line\\n", count: 50_000)
        #expect(try render("\"\(lines){{attempt}}\\n\(lines)\"") == "\"\(lines)2\\n\(lines)\"")
    }
}
