import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("What an expression says, in words")
struct SentenceTests {
    /// Expression, sentence in UTC without its end.
    static let examples: [(String, String)] = [
        ("30 2 * * FRI#L", "At 02:30 on the last Friday of each month"),
        ("* * * * *", "Every minute"),
        ("* * * * * *", "Every second"),
        ("*/10 * * * * *", "Every 10 seconds"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("*/7 * * * *", "At minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour"),
        ("5-9 * * * *", "At minutes 5 to 9 of every hour"),
        ("*/15 9-17 * * MON-FRI", "Every 15 minutes from 09:00 to 17:45, Monday to Friday"),
        ("* 9 * * *", "Every minute from 09:00 to 09:59"),
        ("* 9,17 * * *", "Every minute of hours 9 and 17"),
        ("30 * * * *", "Every hour at minute 30"),
        ("@hourly", "Every hour at minute 0"),
        ("0 */2 * * *", "Every 2 hours at minute 0"),
        ("15 8-18 * * *", "Every hour at minute 15 from 08:15 to 18:15"),
        ("0 0,2,4,6,8,10,13 * * *", "At minute 0 of hours 0, 2, 4, 6, 8, 10 and 13"),
        ("15 * * * * *", "Every minute, at second 15"),
        ("30 5 * * * *", "Every hour at minute 5, at second 30"),
        ("*/20 5 * * * *", "Every 20 seconds of minute 5 of every hour"),
        ("*/20 5,6 9-12 * * *", "Every 20 seconds of minutes 5 and 6 of hours 9 to 12"),
        ("*/20 * 9-12 * * *", "Every 20 seconds from 09:00:00 to 12:59:40"),
        ("0 9 * * *", "At 09:00 every day"),
        ("@daily", "At 00:00 every day"),
        ("0 */6 * * *", "At 00:00, 06:00, 12:00 and 18:00 every day"),
        ("30 15 10 * * *", "At 10:15:30 every day"),
        ("0 9,17 * * 1-5", "At 09:00 and 17:00, Monday to Friday"),
        ("0 9 * * 0,6", "At 09:00 on Saturdays and Sundays"),
        ("0 9 * * SUN", "At 09:00 on Sundays"),
        ("0 9 * * 0-6", "At 09:00, Monday to Sunday"),
        ("0 9 1 * *", "At 09:00 on the 1st of each month"),
        ("0 9 2,13,22 * *", "At 09:00 on the 2nd, the 13th and the 22nd of each month"),
        ("0 9 1-7 * *", "At 09:00 on the 1st to the 7th of each month"),
        ("0 9 */2 * *", "At 09:00 on every 2nd day from the 1st to the 31st of each month"),
        ("0 9 L * *", "At 09:00 on the last day of each month"),
        (
            "0 9 15,L,L-1,L-3 * *",
            "At 09:00 on the 15th, the last day, the day before the last and "
                + "the day 3 days before the last of each month"
        ),
        ("0 9 LW * *", "At 09:00 on the last working day of each month"),
        ("0 9 15W 6 *", "At 09:00 on the working day nearest the 15th of June"),
        ("0 9 * * MON#2,FRI#L", "At 09:00 on the second Monday and the last Friday of each month"),
        ("0 9 * 1-3 TUE,MON#2", "At 09:00 on Tuesdays and the second Monday of January to March"),
        ("0 9 * 6,12 *", "At 09:00 every day in June and December"),
        ("*/5 * * 6 *", "Every 5 minutes in June"),
        ("0 9 * 6-8 MON", "At 09:00 on Mondays in June to August"),
        ("0 9 1 * MON", "At 09:00 on the 1st of each month and also on Mondays"),
        ("0 9 L 6 MON#1", "At 09:00 on the last day of June and also on the first Monday of June"),
        ("0 9 1 * MON-FRI", "At 09:00 on the 1st of each month and also from Monday to Friday"),
        ("0 9 * 6 TUE-THU", "At 09:00, Tuesday to Thursday in June"),
        ("0 9 13 * +FRI", "At 09:00 on the 13th of each month, if that is a Friday"),
        ("0 9 1-7 * +MON,TUE", "At 09:00 on the 1st to the 7th of each month, if that is a Monday or a Tuesday"),
        ("0 0 9 1 1 * 2030", "At 09:00 on the 1st of January in 2030"),
        ("0 0 9 * * * 2030,2032", "At 09:00 every day in 2030 and 2032"),
        ("0 0 9 * 6 * 2030-2035", "At 09:00 every day in June from 2030 to 2035"),
        ("0 0 9 1 1 * 2030-2040/5", "At 09:00 on the 1st of January every 5 years from 2030 to 2040"),
        ("0 * * * * * 2030", "Every minute in 2030"),
    ]

    @Test("table", arguments: examples)
    func table(text: String, sentence: String) throws {
        #expect(try cron(text).sentence == sentence + ", in UTC")
    }

    @Test("zone, policy, intervals and instants")
    func others() throws {
        #expect(
            try cron("30 2 * * 5L", zone: "Europe/Paris").sentence
                == "At 02:30 on the last Friday of each month, in Europe/Paris")
        #expect(try cron("0 9 * * *", zone: "Europe/Paris", policy: .utc).sentence == "At 09:00 every day, in UTC")
        #expect(
            try cron("@every 1h30m0.25s").sentence
                == "Every 1 hour 30 minutes 0.25 seconds, counted from 1970-01-01T00:00:00Z")
        #expect(Recurrence.once(try instant("2026-11-21T07:40:00Z")).sentence == "Once, at 2026-11-21T07:40:00Z")
    }

    @Test("H shows what it chose")
    func hashed() throws {
        let expression = try CronExpression(parsing: "H H(2-4) * * *", hash: 90)
        #expect(Recurrence(expression, zone: .utc, anchor: .earliest).sentence == "At 03:30 every day, in UTC")
    }

    @Test("is told of every expression that is accepted")
    func total() throws {
        var generator = SeededGenerator(seed: 23)
        for _ in 0..<300 {
            let days = RandomDays(using: &generator)
            guard
                let expression = try? CronExpression(parsing: "\(days.years == nil ? "" : "*/7 ")5-9 */3 \(days.text)")
            else { continue }
            let sentence = Recurrence(expression, zone: .utc, anchor: .earliest).sentence
            #expect(sentence.hasSuffix(", in UTC") && !sentence.contains("  ") && sentence.first?.isUppercase == true)
        }
    }
}
