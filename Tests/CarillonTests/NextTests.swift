import Recurrence
import Testing

@testable import carillon

@Suite struct NextTests {
    private func fires(
        _ expression: String, zone: String = "UTC", policy: String = "vixie", count: Int = 3,
        from: String = "2026-01-01T00:00:00Z"
    ) throws -> [String] {
        let start = try #require(Instant(rfc3339: from))
        return try NextFires(
            expression: expression, timezone: zone, dstPolicy: policy, count: count, start: start
        ).lines()
    }

    @Test(arguments: [
        ("0 3 * * *", ["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"]),
        ("*/20 * * * * *", ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]),
        ("@yearly", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
        ("@every 1.5s", ["2026-01-01T00:00:01.500000Z", "2026-01-01T00:00:03Z"]),
    ]) func instantsAreStrictlyLaterAndInUTC(expression: String, expected: [String]) throws {
        #expect(try fires(expression, count: 2) == expected)
    }

    @Test func aZoneMovesThem() throws {
        #expect(try fires("30 9 * * *", zone: "Asia/Kolkata", count: 1) == ["2026-01-01T04:00:00Z"])
    }

    @Test func theGapOfSpringIsThePolicysMatter() throws {
        let before = "2026-03-29T00:00:00Z"
        #expect(try fires("30 2 * * *", zone: "Europe/Paris", count: 1, from: before) == ["2026-03-29T01:00:00Z"])
        #expect(
            try fires("30 2 * * *", zone: "Europe/Paris", policy: "skip", count: 1, from: before)
                == ["2026-03-30T00:30:00Z"])
    }

    @Test func aFaultNamesTheFieldAndPointsAtThePlace() throws {
        let fault = #expect(throws: NextFires.Fault.self) { try fires("0 25 * * *") }
        let lines = try #require(fault?.lines)
        #expect(lines[0].contains("hour"))
        #expect(lines[1] == "  0 25 * * *")
        #expect(lines[2] == "    ^")
    }

    @Test(arguments: [
        ("0 0 * * *", "Mars/Olympus", "vixie", 1, "--timezone"), ("0 0 * * *", "UTC", "often", 1, "--dst-policy"),
        ("0 0 * * *", "UTC", "vixie", 0, "--count"),
    ]) func otherFaultsNameTheirFlag(
        expression: String, zone: String, policy: String, count: Int, flag: String
    ) throws {
        let fault = #expect(throws: NextFires.Fault.self) {
            try fires(expression, zone: zone, policy: policy, count: count)
        }
        #expect(fault?.lines.first?.hasPrefix(flag) == true)
    }

    @Test func hChoosesByItsKey() throws {
        let start = try #require(Instant(rfc3339: "2026-01-01T00:00:00Z"))
        func fires(_ expression: String, _ key: String?) throws -> [String] {
            try NextFires(
                expression: expression, timezone: nil, dstPolicy: "vixie", hashKey: key, count: 2, start: start
            ).lines()
        }
        // SHA-256 of "billing/report" begins with 0x3e212c6e3bb90390; modulo 60, then the quotient modulo 24.
        #expect(try fires("H * * * *", "billing/report") == ["2026-01-01T00:40:00Z", "2026-01-01T01:40:00Z"])
        #expect(try fires("H H * * *", "billing/report") == ["2026-01-01T22:40:00Z", "2026-01-02T22:40:00Z"])
        #expect(try fires("H(0-29)/10 5 * * *", "billing/report") == ["2026-01-01T05:00:00Z", "2026-01-01T05:10:00Z"])
        let fault = #expect(throws: NextFires.Fault.self) { try fires("H * * * *", nil) }
        #expect(fault?.lines.last?.hasPrefix("--hash-key") == true)
    }

    @Test func theZoneMayStandInFront() throws {
        let start = try #require(Instant(rfc3339: "2026-01-01T00:00:00Z"))
        func fires(_ expression: String, zone: String?) throws -> [String] {
            try NextFires(expression: expression, timezone: zone, dstPolicy: "vixie", count: 1, start: start).lines()
        }
        #expect(try fires("CRON_TZ=Asia/Kolkata 30 9 * * *", zone: nil) == ["2026-01-01T04:00:00Z"])
        #expect(try fires("TZ=Asia/Kolkata @daily", zone: "Asia/Kolkata") == ["2026-01-01T18:30:00Z"])
        let other = #expect(throws: NextFires.Fault.self) { try fires("TZ=Asia/Kolkata @daily", zone: "UTC") }
        #expect(other?.lines.first?.hasPrefix("--timezone") == true)
        let abbreviation = #expect(throws: NextFires.Fault.self) { try fires("TZ=EST @daily", zone: nil) }
        #expect(abbreviation?.lines.first?.contains("America/New_York") == true)
        #expect(abbreviation?.lines.last == "     ^")
    }

    @Test(arguments: [
        (
            "30 2 * * *", "vixie", "2026-03-28T00:00:00Z", 2,
            [
                "# At 02:30 every day, in Europe/Paris (dst_policy vixie)",
                "2026-03-28T01:30:00Z  2026-03-28T02:30:00 CET",
                "2026-03-29T01:00:00Z  2026-03-29T03:00:00 CEST  gap: the clocks go from 02:00 to 03:00, there is no "
                    + "02:30; vixie: fires once, at the first instant after the gap",
            ]
        ),
        (
            "0,30 2,3 * * *", "vixie", "2026-03-29T00:00:00Z", 1,
            [
                "# At 02:00, 02:30, 03:00 and 03:30 every day, in Europe/Paris (dst_policy vixie)",
                "2026-03-29T01:00:00Z  2026-03-29T03:00:00 CEST  gap: the clocks go from 02:00 to 03:00, there is no "
                    + "02:00 to 02:30 (2 times); vixie: this fire stands for it too",
            ]
        ),
        (
            "30 2 * * *", "skip", "2026-03-29T00:00:00Z", 1,
            [
                "# At 02:30 every day, in Europe/Paris (dst_policy skip)",
                "-                     2026-03-29T02:30:00  gap: the clocks go from 02:00 to 03:00, there is no 02:30; "
                    + "skip: no fire in a gap",
                "2026-03-30T00:30:00Z  2026-03-30T02:30:00 CEST",
            ]
        ),
        (
            "30 * * * *", "vixie", "2026-10-25T00:00:00Z", 3,
            [
                "# Every hour at minute 30, in Europe/Paris (dst_policy vixie)",
                "2026-10-25T00:30:00Z  2026-10-25T02:30:00 CEST  repeat: 02:30 comes twice, this is the first pass; "
                    + "vixie: both passes fire",
                "2026-10-25T01:30:00Z  2026-10-25T02:30:00 CET  repeat: 02:30 comes twice, this is the second pass; "
                    + "vixie: both passes fire",
                "2026-10-25T02:30:00Z  2026-10-25T03:30:00 CET",
            ]
        ),
        (
            "30 2 * * *", "vixie", "2026-10-25T00:00:00Z", 1,
            [
                "# At 02:30 every day, in Europe/Paris (dst_policy vixie)",
                "2026-10-25T00:30:00Z  2026-10-25T02:30:00 CEST  repeat: 02:30 comes twice, this is the first pass; "
                    + "vixie: the other pass does not fire",
            ]
        ),
        (
            "0 0 0 1 1 * 2020", "vixie", "2026-01-01T00:00:00Z", 1,
            [
                "# At 00:00 on the 1st of January in 2020, in Europe/Paris (dst_policy vixie)",
                "# no fire after 2026-01-01T00:00:00Z",
            ]
        ),
    ]) func anExplanationSaysWhatTheClocksDid(
        expression: String, policy: String, from: String, count: Int, expected: [String]
    ) throws {
        let start = try #require(Instant(rfc3339: from))
        let lines = try NextFires(
            expression: expression, timezone: "Europe/Paris", dstPolicy: policy, count: count, start: start
        ).explanation()
        #expect(lines == expected)
    }

    @Test func aRuleIsReadAsOne() throws {
        let start = try #require(Instant(rfc3339: "2026-03-27T12:00:00Z"))
        func next(_ rule: String, startAt: String? = nil, key: String? = nil) throws -> NextFires {
            NextFires(
                expression: rule, timezone: "Europe/Paris", dstPolicy: "vixie", hashKey: key, count: 2, start: start,
                startAt: try startAt.map { try #require(Instant(rfc3339: $0)) })
        }
        #expect(
            try next("FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0").explanation() == [
                "# By FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0, from 2026-03-27T12:00:00Z, in Europe/Paris "
                    + "(dst_policy vixie)",
                "2026-03-28T01:30:00Z  2026-03-28T02:30:00 CET",
                "2026-03-29T01:00:00Z  2026-03-29T03:00:00 CEST  gap: the clocks go from 02:00 to 03:00, there is no "
                    + "02:30; vixie: fires once, at the first instant after the gap",
            ])
        // An occurrence of a rule that begins with it, and none of one that begins with the question.
        #expect(
            try next("rrule:freq=weekly;count=2", startAt: "2026-03-27T12:00:00Z").lines() == ["2026-04-03T11:00:00Z"])
        #expect(
            try next("FREQ=WEEKLY", startAt: "2026-04-01T12:00:00Z").lines()
                == ["2026-04-01T12:00:00Z", "2026-04-08T12:00:00Z"])
        let fault = #expect(throws: NextFires.Fault.self) { try next("FREQ=DAILY;BYHOUR=24").lines() }
        #expect(fault?.lines[1...] == ["  FREQ=DAILY;BYHOUR=24", "                    ^"])
        let key = #expect(throws: NextFires.Fault.self) { try next("FREQ=DAILY", key: "a/b").lines() }
        #expect(key?.lines.first?.hasPrefix("--hash-key") == true)
    }
}
