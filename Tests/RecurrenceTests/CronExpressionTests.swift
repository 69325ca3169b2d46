import Recurrence
import Testing

@Suite("Cron expressions: what is read and what is refused")
struct CronExpressionTests {
    @Test(
        "spellings of the same pattern",
        arguments: [
            ("*/15 * * * *", "0-59/15 * * * *"), ("0,15,30,45 * * * *", "0-59/15 * * * *"),
            ("0 0 * * sun", "0 0 * * 0"), ("0 0 * * 7", "0 0 * * 0"), ("0 0 * * Fri-sun", "0 0 * * 5-7"),
            ("0 0 * * SUN-tue", "0 0 * * 0,1,2"), ("0 0 1 jan-MAR,Dec *", "0 0 1 1-3,12 *"),
            ("0 0 * * *", "0 0 0 * * *"), ("\t5  4 * * * ", "05 04 * * *"), ("0 0 * * 1-7/2", "0 0 * * 1,3,5,0"),
            ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"), ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * 0"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@hourly", "0 * * * *"),
            ("10-20/90 * * * *", "10 * * * *"), ("4-4 * * * *", "4 * * * *"), ("0 0 * * 7-7", "0 0 * * 0"),
        ])
    func equivalents(text: String, other: String) throws {
        let start = try instant("2026-11-21T07:40:00Z")
        #expect(try cron(text).fires(after: start, count: 30) == cron(other).fires(after: start, count: 30))
    }

    @Test(
        "@every is an interval",
        arguments: [
            ("1h30m", 5_400_000), ("100ms", 100), ("1.5s", 1500), ("0.1s", 100), (".5m", 30_000),
            ("1h0.25s", 3_600_250),
            ("250000us", 250), ("250000µs", 250), ("1000000000ns", 1000), ("0.001h", 3600), ("24h", 86_400_000),
        ])
    func every(duration: String, milliseconds: Int64) throws {
        let expression = try CronExpression(parsing: "@every \(duration)")
        #expect(expression.form == .every(milliseconds: milliseconds))
        let anchor = Instant(milliseconds: 42)
        #expect(
            Recurrence(expression, zone: .utc, anchor: anchor)
                == .interval(periodMilliseconds: milliseconds, anchor: anchor))
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let text: String
        let code: CronError.Code
        var field: CronField?
        let offset: Int
        var suggestion: String?
        var testDescription: String { text }
    }

    static let refusals: [Refusal] = [
        Refusal(text: "", code: .empty, offset: 0, suggestion: "0 * * * *"),
        Refusal(text: " \t ", code: .empty, offset: 0, suggestion: "0 * * * *"),
        Refusal(text: "* * * *", code: .fieldCount, offset: 7),
        Refusal(text: "* * * * * * * *", code: .fieldCount, offset: 14),
        Refusal(text: "CRON_TZ= 0 0 * * *", code: .timezone, offset: 8),
        Refusal(text: "TZ=UTC", code: .empty, offset: 6),
        Refusal(text: "TZ=UTC 0 0 * *", code: .fieldCount, offset: 14),
        Refusal(text: "TZ=UTC TZ=UTC 0 0 * *", code: .syntax, field: .minute, offset: 7),
        Refusal(text: "CRON_TZ=UTC 0 25 * * *", code: .outOfRange, field: .hour, offset: 14),
        Refusal(text: "ZONE=UTC 0 0 * * *", code: .syntax, field: .second, offset: 0),
        Refusal(text: "0 9 * * * EST", code: .syntax, field: .dayOfWeek, offset: 10),
        Refusal(text: "0 9 * * * Europe/Paris", code: .syntax, field: .dayOfWeek, offset: 10),
        Refusal(text: "0 0 9 * * * EST", code: .syntax, field: .year, offset: 12),
        Refusal(text: "60 * * * *", code: .outOfRange, field: .minute, offset: 0, suggestion: "0"),
        Refusal(text: "60 * * * * *", code: .outOfRange, field: .second, offset: 0, suggestion: "0"),
        Refusal(text: "0 24 * * *", code: .outOfRange, field: .hour, offset: 2, suggestion: "0"),
        Refusal(text: "0 0 0 * *", code: .outOfRange, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 1,32 * *", code: .outOfRange, field: .dayOfMonth, offset: 6),
        Refusal(text: "0 0 * 13 *", code: .outOfRange, field: .month, offset: 6),
        Refusal(text: "0 0 * * 1-8", code: .outOfRange, field: .dayOfWeek, offset: 10),
        Refusal(text: "99999999999999999999 * * * *", code: .outOfRange, field: .minute, offset: 0),
        Refusal(text: "0 22-2 * * *", code: .reversedRange, field: .hour, offset: 2, suggestion: "22-23,0-2"),
        Refusal(text: "5-0 * * * *", code: .reversedRange, field: .minute, offset: 0, suggestion: "5-59,0"),
        Refusal(text: "0 0 * * FRI-MON", code: .reversedRange, field: .dayOfWeek, offset: 8, suggestion: "5-7,1"),
        Refusal(text: "0 0 * * 5-0", code: .reversedRange, field: .dayOfWeek, offset: 8, suggestion: "5-7"),
        Refusal(text: "0 0 * DEC-feb *", code: .reversedRange, field: .month, offset: 6, suggestion: "12,1-2"),
        Refusal(text: "/30 * * * *", code: .step, field: .minute, offset: 0, suggestion: "*/30"),
        Refusal(text: "0/15 * * * *", code: .step, field: .minute, offset: 0, suggestion: "0-59/15"),
        Refusal(text: "0 1,8/4 * * *", code: .step, field: .hour, offset: 4, suggestion: "8-23/4"),
        Refusal(text: "*/0 * * * *", code: .step, field: .minute, offset: 2, suggestion: "*"),
        Refusal(text: "10-20/0 * * * *", code: .step, field: .minute, offset: 6, suggestion: "10-20"),
        Refusal(text: "*/ * * * *", code: .syntax, field: .minute, offset: 2),
        Refusal(text: "*/-5 * * * *", code: .syntax, field: .minute, offset: 2),
        Refusal(text: "1, * * * *", code: .syntax, field: .minute, offset: 2),
        Refusal(text: ",1 * * * *", code: .syntax, field: .minute, offset: 0),
        Refusal(text: "1- * * * *", code: .syntax, field: .minute, offset: 2),
        Refusal(text: "-1 * * * *", code: .syntax, field: .minute, offset: 0),
        Refusal(text: "1--2 * * * *", code: .syntax, field: .minute, offset: 2),
        Refusal(text: "** * * * *", code: .syntax, field: .minute, offset: 1),
        Refusal(text: "1.5 * * * *", code: .syntax, field: .minute, offset: 1),
        Refusal(text: "*\n* * * * *", code: .syntax, field: .minute, offset: 1),
        Refusal(text: "*/5/2 * * * *", code: .syntax, field: .minute, offset: 3),
        Refusal(text: "0 0 * * monday", code: .syntax, field: .dayOfWeek, offset: 8, suggestion: "MON"),
        Refusal(text: "0 0 * * 1-SUNDAY", code: .syntax, field: .dayOfWeek, offset: 10, suggestion: "SUN"),
        Refusal(text: "0 JAN * * *", code: .syntax, field: .hour, offset: 2),
        Refusal(text: "é * * * *", code: .syntax, field: .minute, offset: 0),
        // Years.
        Refusal(text: "0 0 0 1 1 * 1969", code: .outOfRange, field: .year, offset: 12),
        Refusal(text: "0 0 0 1 1 * 2200", code: .outOfRange, field: .year, offset: 12),
        Refusal(text: "0 0 0 1 1 * 30", code: .outOfRange, field: .year, offset: 12, suggestion: "2030"),
        Refusal(
            text: "0 0 0 1 1 * 2035-2030", code: .reversedRange, field: .year, offset: 12, suggestion: "2030-2035"),
        Refusal(text: "0 0 0 1 1 * 2030/2", code: .step, field: .year, offset: 12, suggestion: "2030-2199/2"),
        Refusal(text: "0 0 0 1 1 * H", code: .modifier, field: .year, offset: 12),
        // Modifiers out of place.
        Refusal(text: "L 0 * * *", code: .modifier, field: .minute, offset: 0),
        Refusal(text: "0 0 * L *", code: .modifier, field: .month, offset: 6),
        Refusal(text: "0 0 * * L", code: .modifier, field: .dayOfWeek, offset: 8),
        Refusal(text: "0 0 l * *", code: .syntax, field: .dayOfMonth, offset: 4, suggestion: "L"),
        Refusal(text: "0 0 15w * *", code: .syntax, field: .dayOfMonth, offset: 6, suggestion: "15W"),
        Refusal(text: "0 0 lw * *", code: .syntax, field: .dayOfMonth, offset: 4, suggestion: "LW"),
        Refusal(text: "0 0 * * 5l", code: .syntax, field: .dayOfWeek, offset: 9, suggestion: "5L"),
        Refusal(text: "h * * * *", code: .syntax, field: .minute, offset: 0, suggestion: "H"),
        Refusal(text: "0 0 L-0 * *", code: .outOfRange, field: .dayOfMonth, offset: 6, suggestion: "L"),
        Refusal(text: "0 0 L-31 * *", code: .outOfRange, field: .dayOfMonth, offset: 6),
        Refusal(text: "0 0 L- * *", code: .syntax, field: .dayOfMonth, offset: 6),
        Refusal(text: "0 0 L-3W * *", code: .modifier, field: .dayOfMonth, offset: 7),
        Refusal(text: "0 0 LL * *", code: .modifier, field: .dayOfMonth, offset: 5),
        Refusal(text: "0 0 W * *", code: .modifier, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 32W * *", code: .outOfRange, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 1-15W * *", code: .modifier, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 1,15W * *", code: .modifier, field: .dayOfMonth, offset: 6, suggestion: "15W"),
        Refusal(text: "0 0 15W,20 * *", code: .modifier, field: .dayOfMonth, offset: 4, suggestion: "15W"),
        Refusal(text: "0 0 LW,1 * *", code: .modifier, field: .dayOfMonth, offset: 4, suggestion: "LW"),
        Refusal(text: "0 0 15W/2 * *", code: .syntax, field: .dayOfMonth, offset: 7),
        Refusal(text: "0 0 * * 5W", code: .modifier, field: .dayOfWeek, offset: 9),
        Refusal(text: "0 0 1#2 * *", code: .modifier, field: .dayOfMonth, offset: 5),
        Refusal(text: "0 0 * * MON#0", code: .outOfRange, field: .dayOfWeek, offset: 12),
        Refusal(text: "0 0 * * MON#6", code: .outOfRange, field: .dayOfWeek, offset: 12),
        Refusal(text: "0 0 * * MON#", code: .syntax, field: .dayOfWeek, offset: 12),
        Refusal(text: "0 0 * * #2", code: .modifier, field: .dayOfWeek, offset: 8),
        Refusal(text: "0 0 * * MON-FRI#2", code: .modifier, field: .dayOfWeek, offset: 8),
        Refusal(text: "0 0 * * 1-5L", code: .modifier, field: .dayOfWeek, offset: 8),
        Refusal(text: "0 0 * * MON#2/2", code: .syntax, field: .dayOfWeek, offset: 13),
        Refusal(text: "0 0 * * FRILL", code: .syntax, field: .dayOfWeek, offset: 8, suggestion: "FRI"),
        Refusal(text: "? 0 * * *", code: .modifier, field: .minute, offset: 0, suggestion: "*"),
        Refusal(text: "0 0 * ? *", code: .modifier, field: .month, offset: 6, suggestion: "*"),
        Refusal(text: "0 0 +1 * MON", code: .modifier, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 1 * MON,+TUE", code: .modifier, field: .dayOfWeek, offset: 12),
        Refusal(text: "0 0 1 * +", code: .syntax, field: .dayOfWeek, offset: 9),
        Refusal(text: "0 0 1 * ++MON", code: .modifier, field: .dayOfWeek, offset: 9),
        Refusal(text: "0~30 * * * *", code: .modifier, field: .minute, offset: 1, suggestion: "H(0-30)"),
        // H, here without a key.
        Refusal(text: "H * * * *", code: .hashKey, field: .minute, offset: 0),
        Refusal(text: "0 H(9-17) * * *", code: .hashKey, field: .hour, offset: 2),
        Refusal(text: "H(29-0) * * * *", code: .reversedRange, field: .minute, offset: 2, suggestion: "H(0-29)"),
        Refusal(text: "H(0-60) * * * *", code: .outOfRange, field: .minute, offset: 4, suggestion: "0"),
        Refusal(text: "H(5) * * * *", code: .syntax, field: .minute, offset: 3),
        Refusal(text: "H(0-29 * * * *", code: .syntax, field: .minute, offset: 6),
        Refusal(text: "H/0 * * * *", code: .step, field: .minute, offset: 2, suggestion: "H"),
        Refusal(text: "5H * * * *", code: .modifier, field: .minute, offset: 1),
        Refusal(text: "@hourly H", code: .syntax, offset: 8, suggestion: "@hourly"),
        Refusal(text: "@Daily", code: .unknownNickname, offset: 0, suggestion: "@daily"),
        Refusal(text: "@fortnightly", code: .unknownNickname, offset: 0),
        Refusal(text: "@reboot", code: .unsupported, offset: 0),
        Refusal(text: "@daily 5", code: .syntax, offset: 7, suggestion: "@daily"),
        Refusal(text: "@every", code: .duration, offset: 6, suggestion: "@every 1h"),
        Refusal(text: "@every 30", code: .duration, offset: 7, suggestion: "@every 30s"),
        Refusal(text: "@every 1h 30m", code: .duration, offset: 10),
        Refusal(text: "@every 99ms", code: .duration, offset: 7, suggestion: "@every 100ms"),
        Refusal(text: "@every 0s", code: .duration, offset: 7, suggestion: "@every 100ms"),
        Refusal(text: "@every 100.5ms", code: .duration, offset: 7),
        Refusal(text: "@every 1s100us", code: .duration, offset: 7),
        Refusal(text: "@every -1h", code: .duration, offset: 7),
        Refusal(text: "@every 1d", code: .duration, offset: 7),
        Refusal(text: "@every .s", code: .duration, offset: 7),
        Refusal(text: "@every 9999999999h", code: .duration, offset: 7),
        // Dates that no year has.
        Refusal(text: "0 0 30 2 *", code: .neverMatches, field: .dayOfMonth, offset: 4, suggestion: "L"),
        Refusal(text: "0 0 31 2,4 *", code: .neverMatches, field: .dayOfMonth, offset: 4, suggestion: "L"),
        Refusal(text: "0 0 31 4,6,9,11 *", code: .neverMatches, field: .dayOfMonth, offset: 4, suggestion: "L"),
        Refusal(text: "0 0 30 2 +MON", code: .neverMatches, field: .dayOfMonth, offset: 4, suggestion: "L"),
        Refusal(text: "0 0 31 2 ?", code: .neverMatches, field: .dayOfMonth, offset: 4, suggestion: "L"),
        Refusal(text: "0 0 L-30 4 *", code: .neverMatches, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 L-29 2 *", code: .neverMatches, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 31W 2,6 *", code: .neverMatches, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 30W 2 +MON", code: .neverMatches, field: .dayOfMonth, offset: 4),
        Refusal(text: "0 0 1-7 * +MON#2", code: .neverMatches, field: .dayOfWeek, offset: 10),
        Refusal(text: "0 0 15W * +SUN", code: .neverMatches, field: .dayOfWeek, offset: 10),
        Refusal(text: "0 0 1-21 * +FRI#L", code: .neverMatches, field: .dayOfWeek, offset: 11),
        Refusal(text: "0 0 28 2 +MON#5", code: .neverMatches, field: .dayOfWeek, offset: 9),
        Refusal(
            text: "0 0 0 29 2 * 2025-2027", code: .neverMatches, field: .year, offset: 13, suggestion: "2028"),
        Refusal(text: "0 0 0 29 2 * 2100", code: .neverMatches, field: .year, offset: 13, suggestion: "2104"),
        Refusal(text: "0 0 0 29 2 * 2197-2199", code: .neverMatches, field: .year, offset: 13, suggestion: "2196"),
        Refusal(text: "0 0 0 29 2 +MON 2024", code: .neverMatches, field: .year, offset: 16, suggestion: "2044"),
        Refusal(text: "0 0 0 ? 2 MON#5 2026", code: .neverMatches, field: .year, offset: 16, suggestion: "2044"),
        Refusal(text: "0 0 0 13 1 +FRI 2026", code: .neverMatches, field: .year, offset: 16, suggestion: "2034"),
        Refusal(text: String(repeating: " ", count: 257), code: .tooLong, offset: 256),
        Refusal(
            text: Array(repeating: "1", count: 61).joined(separator: ",") + " * * * *", code: .tooManyItems,
            field: .dayOfWeek, offset: 128),
    ]

    @Test("refusals say where and what instead", arguments: refusals)
    func refuses(_ refusal: Refusal) throws {
        let error = try #require(throws: CronError.self) { try CronExpression(parsing: refusal.text) }
        #expect(error.code == refusal.code, "\(error)")
        #expect(error.field == refusal.field, "\(error)")
        #expect(error.offset == refusal.offset, "\(error)")
        #expect(error.suggestion == refusal.suggestion, "\(error)")
        #expect(error.description.hasSuffix("."))
    }

    @Test("the sentence names field, place, expectation, finding and advice")
    func sentence() throws {
        let error = try #require(throws: CronError.self) { try CronExpression(parsing: "0/15 * * * *") }
        #expect(
            error.description
                == "The minute field (byte 0) expected `*` or a range before the step, but got `0/15`; write `0-59/15`."
        )
    }

    @Test(
        "dates that exist in some year are accepted",
        arguments: [
            "0 0 29 2 *", "0 0 31 2,3 *", "0 0 30 2 MON", "0 0 30 */2 *", "0 0 31 1-12/2 *", "0 0 29 2 +MON",
            "0 0 L-28 2 *", "0 0 L-30 * *", "0 0 29W 2 *", "0 0 31W * *", "0 0 * 2 SUN#5", "0 0 31 2 MON#5",
            "0 0 LW * +FRI#L", "0 0 0 29 2 +MON 2044-2190", "0 0 0 L 12 ? 2199", "0 0 0 30 2 FRI 2150",
        ])
    func existingDates(text: String) throws {
        let after = try instant("2096-03-01T00:00:00Z")
        #expect(try cron(text).next(after: after) != nil)
    }

    @Test("suggestions can be parsed where they replace the field", arguments: refusals)
    func suggestionsAreValid(_ refusal: Refusal) throws {
        guard let suggestion = refusal.suggestion else { return }
        guard let field = refusal.field else {
            _ = try CronExpression(parsing: suggestion)
            return
        }
        var words = ["0", "0", "0", "1", "1", "*", "*"]
        words[field.rawValue] = suggestion
        _ = try CronExpression(parsing: words.joined(separator: " "), hash: 0)
    }
}
