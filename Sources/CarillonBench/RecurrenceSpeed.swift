import Foundation
import Recurrence
import ZoneData

/// How quick the arithmetic of occurrences is, on one core: nanoseconds a question, least of several rounds.
struct RecurrenceSpeed {
    let zone: ZoneRules
    let rounds: Int
    /// Instants of the years 1970 to 2065, in no order: each question is asked anew, not after its last answer.
    let instants: [Instant]

    /// Expressions as people write them.
    static let ordinary = [
        "* * * * *", "*/5 * * * *", "15,45 * * * *", "0 3 * * *", "30 2 * * *", "0 9 * * MON-FRI", "0 0 1 * *",
        "0 8-18/2 * * 1-5", "0 0 1 */3 *", "30 4 1,15 * FRI", "0 0 L * *", "0 8 * * MON#2", "0 12 15W * *",
        "*/10 * * * * *",
    ]

    init(zone: ZoneRules, rounds: Int, count: Int = 2000) {
        self.zone = zone
        self.rounds = rounds
        // A fixed sequence, so that two runs ask the same.
        var generator = SplitMix(state: 42)
        let years: Range<Int64> = 0..<3_029_529_600_000
        instants = (0..<count).map { _ in Instant(milliseconds: .random(in: years, using: &generator)) }
    }

    /// The least time of some rounds, divided by `count`: what else runs on the machine only adds.
    func nanoseconds(_ count: Int, _ work: () -> Void) -> Double {
        var least = Duration.seconds(3600)
        for _ in 0..<rounds { least = min(least, ContinuousClock().measure(work)) }
        return Double(least.components.attoseconds) / 1e9 / Double(count) + Double(least.components.seconds) * 1e9
    }

    /// Questions in no order.
    func next(_ recurrence: Recurrence) -> Double {
        var sum: Int64 = 0
        let time = nanoseconds(instants.count) {
            for instant in instants { sum &+= recurrence.next(after: instant)?.milliseconds ?? 0 }
        }
        keep(sum)
        return time
    }

    /// Each question asks for what follows the last answer.
    func chain(_ recurrence: Recurrence) -> Double {
        let time = nanoseconds(instants.count) {
            var last = instants[0]
            for _ in instants { last = recurrence.next(after: last) ?? instants[0] }
            keep(last.milliseconds)
        }
        return time
    }

    func parse(_ text: String) -> Double {
        var count = 0
        let time = nanoseconds(1000) {
            for _ in 0..<1000 where (try? CronExpression(parsing: text, hash: 7)) != nil { count += 1 }
        }
        keep(Int64(count))
        return time
    }

    /// What Foundation's calendar needs for the next date with these components.
    func foundation(_ components: DateComponents) -> Double? {
        var calendar = Calendar(identifier: .gregorian)
        guard let timeZone = TimeZone(identifier: zone.name) else { return nil }
        calendar.timeZone = timeZone
        let dates = instants.prefix(500).map { Date(timeIntervalSince1970: Double($0.milliseconds) / 1000) }
        return nanoseconds(dates.count) {
            var sum = 0.0
            for date in dates {
                sum +=
                    calendar.nextDate(after: date, matching: components, matchingPolicy: .nextTime)?
                    .timeIntervalSince1970 ?? 0
            }
            keep(Int64(sum))
        }
    }

    func recurrence(_ text: String, policy: DSTPolicy = .vixie) throws -> Recurrence {
        Recurrence(
            try CronExpression(parsing: text, hash: 7), zone: zone, policy: policy, anchor: Instant(milliseconds: 0))
    }

    /// As long, and with as many items, as is legal.
    static var longestTexts: [String] {
        let ranges = (0..<28).map { "\($0)-\($0 + 1)/1" }.joined(separator: ",")
        let minutes = (0..<60).map { "\($0)" }.joined(separator: ",")
        let years = (0..<46).map { "\(1970 + 3 * $0)" }.joined(separator: ",")
        let months = "JAN,FEB,MAR,APR,MAY,JUN,JUL,AUG,SEP,OCT,NOV,DEC"
        return [
            "\(ranges) 0-23 * * SUN-SAT", "\(minutes) * * * *", "0 0 0 * * * \(years)", "0 0 0 29 2 +SAT#5 1970-2199",
            "0 0 * \(months) MON#1,TUE#2,WED#3,FRI#L", "H(0-29)/10 H(0-7) H(1-28) H H(0-6)",
        ]
    }

    /// The expressions that Foundation's components can say.
    static let components: [String: DateComponents] = [
        "* * * * *": DateComponents(second: 0), "0 3 * * *": DateComponents(hour: 3, minute: 0, second: 0),
        "30 2 * * *": DateComponents(hour: 2, minute: 30, second: 0),
        "0 0 1 * *": DateComponents(day: 1, hour: 0, minute: 0, second: 0),
        "0 8 * * MON#2": DateComponents(hour: 8, minute: 0, second: 0, weekday: 2, weekdayOrdinal: 2),
    ]
}

/// Makes a result needed, so that the work for it is not left out.
@inline(never)
func keep(_ value: Int64) {
    if value == .min { print(value) }
}
