import Recurrence
import TestSupport
import Testing

@Suite("H: values chosen by a number")
struct HashedFieldTests {
    /// Expression, number, and the same without `H`.
    static let examples: [(String, UInt64, String)] = [
        ("H * * * *", 125, "5 * * * *"), ("H * * * *", 60, "0 * * * *"), ("H * * * *", .max, "15 * * * *"),
        // The first H takes the remainder, the next one that of the quotient.
        ("H H * * *", 60 * 7 + 5, "5 7 * * *"), ("H H H * * *", 60 * (60 * 7 + 5) + 9, "9 5 7 * * *"),
        ("H 3 * * *", 60 * 7 + 5, "5 3 * * *"), ("0 H * * *", 31, "0 7 * * *"),
        ("H(0-29) * * * *", 31, "1 * * * *"), ("H(10-10) * * * *", 31, "10 * * * *"),
        ("H/15 * * * *", 17, "2-59/15 * * * *"), ("H(0-29)/10 * * * *", 17, "7-29/10 * * * *"),
        ("H(5-9)/20 * * * *", 7, "7 * * * *"), ("H/60 * * * *", 61, "1 * * * *"), ("H/1 * * * *", 61, "* * * * *"),
        // Days that every month has.
        ("0 0 H * *", 27, "0 0 28 * *"), ("0 0 H * *", 28, "0 0 1 * *"), ("0 0 H(1-31) * *", 30, "0 0 31 * *"),
        ("0 0 1 H *", 11, "0 0 1 12 *"), ("0 0 1 H(APR-JUN) *", 2, "0 0 1 6 *"), ("0 0 * * H", 6, "0 0 * * SAT"),
        ("0 0 * * H(MON-FRI)", 4, "0 0 * * FRI"), ("0 0 * * +H", 3, "0 0 * * WED"),
        ("H,H * * * *", 60 * 8 + 3, "3,8 * * * *"), ("0,H(31-59) * * * *", 30, "0,32 * * * *"),
    ]

    @Test("each takes its share of the number", arguments: examples)
    func chooses(text: String, number: UInt64, plain: String) throws {
        let hashed = try CronExpression(parsing: text, hash: number)
        #expect(hashed.usesHash)
        // Where all minutes are chosen the expression is still fixed: it does not begin with `*`.
        let start = try instant("2026-01-01T00:00:00Z")
        let recurrence = Recurrence(hashed, zone: .utc, anchor: start)
        #expect(try recurrence.fires(after: start, count: 20) == cron(plain).fires(after: start, count: 20))
    }

    @Test("hours and minutes are chosen independently: each time of a day is as likely")
    func spread() throws {
        let times = try (UInt64(0)..<1440).map { number in
            let expression = try CronExpression(parsing: "H H * * *", hash: number)
            return Recurrence(expression, zone: .utc, anchor: .earliest).next(after: Instant(milliseconds: -1))
        }
        #expect(Set(times).count == 1440)
    }

    @Test("an expression without H is the same with every number")
    func unhashed() throws {
        let expression = try CronExpression(parsing: "30 9 * * MON", hash: 17)
        #expect(!expression.usesHash)
        #expect(try expression == CronExpression(parsing: "30 9 * * MON"))
    }

    @Test(
        "a zone in front",
        arguments: [
            ("CRON_TZ=Europe/Paris 0 9 * * *", "Europe/Paris"), ("TZ=UTC @daily", "UTC"), ("TZ=x @every 1h", "x"),
            ("0 9 * * *", nil), ("  TZ=a\t0 9 * * *", "a"),
        ] as [(String, String?)])
    func zones(text: String, zone: String?) throws {
        #expect(try CronExpression(parsing: text).timezone == zone)
        #expect(CronExpression.zonePrefix(of: text)?.name == zone)
    }

    @Test("no text crashes the reader, and what it accepts can be asked anything")
    func hostileTexts() throws {
        var generator = SeededGenerator(seed: 29)
        let pieces = [
            "*", "?", "/", "-", ",", "#", "L", "W", "LW", "H", "H(", ")", "+", "0", "5", "29", "31", "59", "60", "1970",
            "2199", "MON", "fri", "JAN", "l", "TZ=", "=", "@every", "@daily", "1h", "\u{e9}", "\n", "\0",
            "99999999999999999999",
        ]
        var accepted = 0
        for round in 0..<4000 {
            let fields = (0..<Int.random(in: 1...8, using: &generator)).map { _ in
                // Every other text is made of plain fields but for one, so that many are accepted.
                round % 2 == 0 && Int.random(in: 0..<4, using: &generator) > 0
                    ? "*"
                    : (0..<Int.random(in: 1...5, using: &generator))
                        .compactMap { _ in pieces.randomElement(using: &generator) }.joined()
            }
            guard let expression = try? CronExpression(parsing: fields.joined(separator: " "), hash: 7) else {
                continue
            }
            accepted += 1
            let recurrence = Recurrence(expression, zone: .utc, policy: .skip, anchor: .earliest)
            let next = recurrence.next(after: Instant(milliseconds: 0))
            if let next { #expect(recurrence.latest(through: next) == next, "\(expression)") }
            #expect(!recurrence.sentence.isEmpty)
        }
        #expect(accepted > 100)
    }
}
