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
}
