import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

@Suite("Reading calendars and windows") struct ConstraintTests {
    private func read(_ fields: String) throws -> (problems: [String], constraint: FireConstraint?, text: String) {
        let body = #"{"schedule_type":"interval","interval_seconds":60,"target_command":"a"\#(fields)}"#
        var reader = DefinitionReader(
            BodyReader(try JSONValue.parse(body)), defaults: DefinitionDefaults(), zones: { _ in .utc })
        let read = reader.read(onto: nil, idName: try ScheduleName("a"))
        var text = ""
        if let definition = read.definition {
            var writer = JSONWriter(capacity: 512)
            writer.windows(definition.timing.constraint.windows)
            text = String(decoding: writer.bytes, as: UTF8.self)
        }
        return (
            read.body.problems.map { "\($0.detail.pointer) \($0.code.name)" }, read.definition?.timing.constraint, text
        )
    }

    @Test("What is said is kept, and written as it was meant")
    func reads() throws {
        let read = try read(
            #","only_on":"de","not_on":"closed","shift":"next_business_day","outside":"defer","windows":[{"days":["MON-FRI"],"from":"22:00","to":"06:00"},{"from":"00:00","to":"24:00"}]"#
        )
        #expect(read.problems == [])
        let constraint = try #require(read.constraint)
        #expect(constraint.onlyOn?.description == "de" && constraint.notOn?.description == "closed")
        #expect(constraint.shift == .nextBusinessDay && constraint.outside == .defer)
        #expect(constraint.windows[0].endsNextDay && !constraint.windows[1].endsNextDay)
        #expect(
            read.text
                == #"[{"days":["MON-FRI"],"from":"22:00","to":"06:00"},{"days":["MON-SUN"],"from":"00:00","to":"24:00"}]"#
        )
    }

    @Test(
        "Each problem has its place",
        arguments: [
            (#","windows":[1]"#, ["/windows/0 not_an_object"]),
            (#","windows":[{}]"#, ["/windows/0/from missing_field", "/windows/0/to missing_field"]),
            (
                #","windows":[{"from":"8:00","to":"24:01"}]"#,
                ["/windows/0/from invalid_value", "/windows/0/to invalid_value"]
            ),
            (#","windows":[{"from":"24:00","to":"01:00"}]"#, ["/windows/0/from invalid_value"]),
            (#","windows":[{"from":"08:00","to":"08:00"}]"#, ["/windows/0/to invalid_value"]),
            (#","windows":[{"from":"08:00","to":"09:00","days":[]}]"#, ["/windows/0/days wrong_type"]),
            (#","windows":[{"from":"08:00","to":"09:00","days":["MON","XXX"]}]"#, ["/windows/0/days/1 invalid_value"]),
            (#","windows":[{"from":"08:00","to":"09:00","zone":"UTC"}]"#, ["/windows/0/zone unknown_field"]),
            (#","shift":"next_business_day""#, ["/shift conflicting_fields"]),
            (#","outside":"defer""#, ["/outside conflicting_fields"]),
            (#","outside":"skip","shift":"none","windows":[]"#, []),
        ])
    func refuses(fields: String, expected: [String]) throws {
        #expect(try read(fields).problems == expected)
    }
}

@Suite("Reading a calendar") struct CalendarReaderTests {
    private func read(_ body: String) throws -> (problems: [String], definition: CalendarDefinition?) {
        var reader = BodyReader(try JSONValue.parse(body))
        let definition = reader.calendar()
        return (reader.problems.map { "\($0.detail.pointer) \($0.code.name)" }, definition)
    }

    @Test("What is written is what was read, and reads the same again")
    func goesRound() throws {
        let body =
            #"{"working_days":["SUN-THU"],"holidays":["2026-12-25",{"date":"2026-01-01","name":"New Year"},"#
            + #"{"from":"2026-12-24","to":"2026-12-31","name":"closed"},"#
            + #"{"rrule":"FREQ=YEARLY","start":"2026-05-01","days":2,"except":["2027-05-01"]}]}"#
        let first = try read(body)
        #expect(first.problems == [])
        let definition = try #require(first.definition)
        #expect(definition.holidays.count == 4 && definition.workingDays.texts == ["MON-THU", "SUN"])
        var writer = JSONWriter(capacity: 512)
        writer.object { $0.members(of: definition) }
        #expect(try read(String(decoding: writer.bytes, as: UTF8.self)).definition == definition)
    }

    @Test(
        "Each problem has its place",
        arguments: [
            (#"{"working_days":[]}"#, ["/working_days wrong_type"]),
            (#"{"working_days":["MO"]}"#, ["/working_days/0 invalid_value"]),
            (#"{"holidays":{}}"#, ["/holidays wrong_type"]),
            (#"{"holidays":["2026-02-30"]}"#, ["/holidays/0 invalid_value"]),
            (#"{"holidays":[{"from":"2026-02-03","to":"2026-02-02"}]}"#, ["/holidays/0/to invalid_value"]),
            (#"{"holidays":[{}]}"#, ["/holidays/0/from missing_field", "/holidays/0/to missing_field"]),
            (#"{"holidays":[{"rrule":"FREQ=YEARLY"}]}"#, ["/holidays/0/start missing_field"]),
            (#"{"holidays":[{"date":"2026-02-02","rule":"x"}]}"#, ["/holidays/0/rule unknown_field"]),
            (#"{"ical":"nonsense"}"#, ["/ical invalid_value"]),
            (#"{"ical":1}"#, ["/ical wrong_type"]),
        ])
    func refuses(body: String, expected: [String]) throws {
        #expect(try read(body).problems == expected)
    }
}
