import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

@Suite("Which fields a change sets")
struct ChangedFieldsTests {
    private static func view(_ change: (inout Schedule) -> Void = { _ in }) throws -> ScheduleView {
        let now = Instant(milliseconds: 1_800_000_000_000)
        var timing = Timing(type: .interval)
        timing.intervalMilliseconds = 60_000
        let definition = ScheduleDefinition(
            name: try ScheduleName("n"), timing: timing, target: try TargetSubject("a.b"))
        let id = try #require(ScheduleID(text: "01a1fd73-4acf-7c52-9c07-fd9a55eb6b51"))
        var schedule = Schedule(
            id: id, namespace: try Namespace("ns"), definition: definition, anchor: now, createdAt: now,
            updatedAt: now)
        change(&schedule)
        return ScheduleView(schedule: schedule, timer: Timer(schedule: id, nextFireAt: now))
    }

    private static func text(_ before: ScheduleView?, _ after: ScheduleView) -> String {
        var writer = JSONWriter()
        writer.object { $0.changes(ChangedField.between(before, after)) }
        return writer.text
    }

    @Test("Each field with what it was and what it is; what is new comes last, what is gone is null")
    func fields() throws {
        let before = try Self.view { $0.pauseReason = nil }
        let after = try Self.view {
            $0.definition.timing.intervalMilliseconds = 1500
            $0.definition.timing.maxRuns = 3
            $0.definition.payload = Array(#"{"a": [1]}"#.utf8)
            $0.state = .paused
            $0.pausedUntil = Instant(milliseconds: 1_800_000_001_000)
        }
        let until = #""2027-01-15T08:00:01.000000Z""#
        #expect(
            Self.text(before, after)
                == #"{"changes":[{"pointer":"/state","from":"active","to":"paused"},"#
                + #"{"pointer":"/interval_seconds","from":60,"to":1.5},"#
                + #"{"pointer":"/command_payload","from":{},"to":{"a": [1]}},"#
                + #"{"pointer":"/paused_until","from":null,"to":\#(until)},"#
                + #"{"pointer":"/max_runs","from":null,"to":3}]}"#)
        #expect(Self.text(after, before).contains(#"{"pointer":"/max_runs","from":3,"to":null}"#))
    }

    @Test("Bookkeeping and the order of pairs are no change; a creation and a deletion are one of the state")
    func nothing() throws {
        let pairs = [UserHeader(name: "a", value: "1"), UserHeader(name: "b", value: "2")]
        let one = try Self.view { $0.definition.metadata = pairs }
        let other = try Self.view {
            $0.definition.metadata = pairs.reversed()
            $0.version = 7
            $0.updatedBy = "x"
            // Without meaning in an active one.
            $0.pausedUntil = Instant(milliseconds: 5)
        }
        #expect(Self.text(one, other) == #"{"changes":[]}"#)
        #expect(Self.text(nil, one) == #"{"changes":[{"pointer":"/state","from":null,"to":"active"}]}"#)
        let gone = try Self.view {
            $0.definition.metadata = pairs
            $0.state = .deleted
        }
        #expect(Self.text(one, gone) == #"{"changes":[{"pointer":"/state","from":"active","to":"deleted"}]}"#)
    }
}
