import Recurrence
import Testing
import ZoneData

@Suite("What a change of the clocks did to an occurrence")
struct ClockChangeTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let expression: String
        var zone = "America/New_York"
        var policy = DSTPolicy.vixie
        let after: String
        let changes: [ClockChange?]
        var testDescription: String { "\(expression) \(zone) \(policy)" }
    }

    static let examples: [Example] = [
        Example(expression: "30 2 * * *", after: "2026-03-07T00:00:00Z", changes: [nil, .gap, nil]),
        Example(expression: "0 2,3 * * *", after: "2026-03-08T05:00:00Z", changes: [nil, nil]),
        Example(expression: "30 1 * * *", after: "2026-10-31T00:00:00Z", changes: [nil, .repeat, nil]),
        Example(expression: "30 * * * *", after: "2026-11-01T04:00:00Z", changes: [nil, .repeat, .repeat, nil]),
        Example(expression: "0 * * * *", after: "2026-11-01T04:00:00Z", changes: [.repeat, .repeat, nil]),
        Example(
            expression: "30 1 * * *", policy: .literal, after: "2026-10-31T00:00:00Z",
            changes: [nil, .repeat, .repeat, nil]),
        Example(expression: "30 2 * * *", policy: .skip, after: "2026-03-07T00:00:00Z", changes: [nil, nil]),
        Example(expression: "30 1 * * *", policy: .utc, after: "2026-10-31T00:00:00Z", changes: [nil, nil, nil]),
        Example(
            expression: "45 1 * * *", zone: "Australia/Lord_Howe", after: "2026-04-04T12:00:00Z",
            changes: [.repeat, nil]),
        Example(expression: "0 12 * * *", zone: "UTC", after: "2026-04-04T12:00:00Z", changes: [nil, nil]),
        Example(expression: "0 12 * * *", zone: "Asia/Tokyo", after: "2026-04-04T12:00:00Z", changes: [nil, nil]),
    ]

    @Test("is told of each fire", arguments: examples)
    func changes(_ example: Example) throws {
        let recurrence = try cron(example.expression, zone: example.zone, policy: example.policy)
        let fires = try recurrence.fires(after: instant(example.after), count: example.changes.count)
        #expect(fires.map { recurrence.clockChange(at: $0) } == example.changes)
    }

    @Test("an instant that is no occurrence was not changed")
    func others() throws {
        let recurrence = try cron("30 2 * * *", zone: "America/New_York")
        #expect(try recurrence.clockChange(at: instant("2026-03-08T07:00:00.001Z")) == nil)
        #expect(try recurrence.clockChange(at: instant("2026-03-08T07:01:00Z")) == nil)
        #expect(
            try Recurrence.once(instant("2026-03-08T07:00:00Z")).clockChange(at: instant("2026-03-08T07:00:00Z")) == nil
        )
    }

    @Test("the local times that a gap removes")
    func removed() throws {
        let (start, end) = (try instant("2026-01-01T00:00:00Z"), try instant("2028-01-01T00:00:00Z"))
        let fixed = try cron("0,20,40 2 * * *", zone: "America/New_York").removedTimes(after: start, through: end)
        #expect(fixed.map(\.count) == [3, 3])
        #expect(fixed.map(\.isMadeUp) == [true, true])
        #expect(fixed.first?.first.iso8601 == "2026-03-08T02:00:00")
        #expect(fixed.first?.last.iso8601 == "2026-03-08T02:40:00")
        #expect(try fixed.first?.transition.instant == instant("2026-03-08T07:00:00Z"))
        #expect(fixed.first.map { $0.transition.offsetAfter - $0.transition.offsetBefore } == 3600)
        let wildcard = try cron("*/20 * * * *", zone: "America/New_York")
        #expect(wildcard.removedTimes(after: start, through: end, limit: 1).map(\.isMadeUp) == [false])
        #expect(try cron("0 5 * * *", zone: "America/New_York").removedTimes(after: start, through: end).isEmpty)
        #expect(try cron("0 2 * * *", zone: "Asia/Tokyo").removedTimes(after: start, through: end).isEmpty)
        let apia = try cron("0 12 * * *", zone: "Pacific/Apia")
        let lost = try apia.removedTimes(
            after: instant("2011-12-01T00:00:00Z"), through: instant("2012-01-02T00:00:00Z"))
        #expect(lost.map(\.first.iso8601) == ["2011-12-30T12:00:00"] && lost.first?.isMadeUp == false)
    }

    @Test("the occurrences of a range")
    func ranges() throws {
        let recurrence = try cron("0 * * * *")
        let (start, end) = (try instant("2026-01-01T00:00:00Z"), try instant("2026-01-01T03:00:00Z"))
        #expect(
            recurrence.fires(in: start..<end).map(brief) == [
                "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z",
            ])
        #expect(Array(recurrence.fires(in: start..<start)).isEmpty)
        #expect(try cron("0 0 0 1 1 * 2030").fires(in: .earliest ..< .latest).map(brief) == ["2030-01-01T00:00:00Z"])
    }
}
