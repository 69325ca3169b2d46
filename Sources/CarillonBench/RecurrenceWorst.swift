import Recurrence
import ZoneData

/// A search for the legal expression that `next` needs longest for: random ones of the kinds whose dates are rarest, or
/// fall into a gap each time, in zones that change their clocks.
struct RecurrenceWorst {
    struct Finding {
        let text: String
        let zone: String
        let policy: DSTPolicy
        let instant: Instant
        /// The least of several rounds, for the one question.
        let nanoseconds: Double
    }

    let zones: [ZoneRules]
    var generator: SplitMix

    init(zones: [ZoneRules], seed: UInt64) {
        self.zones = zones
        generator = SplitMix(state: seed)
    }

    /// The slowest question of `count` random expressions.
    mutating func search(_ count: Int) throws -> [Finding] {
        var slowest: [(time: Double, text: String, zone: ZoneRules, policy: DSTPolicy)] = []
        for _ in 0..<count {
            let zone = zones.randomElement(using: &generator) ?? .utc
            let text = Bool.random(using: &generator) ? expression() : expressionInGap(of: zone)
            guard (try? CronExpression(parsing: text)) != nil else { continue }
            let policy = DSTPolicy.allCases.randomElement(using: &generator) ?? .vixie
            let speed = RecurrenceSpeed(zone: zone, rounds: 2, count: 24)
            slowest.append((try speed.next(speed.recurrence(text, policy: policy)), text, zone, policy))
            if slowest.count > 400 { slowest = Array(slowest.sorted { $0.time > $1.time }.prefix(40)) }
        }
        return try slowest.sorted { $0.time > $1.time }.prefix(20).map { candidate in
            let speed = RecurrenceSpeed(zone: candidate.zone, rounds: 9, count: 200)
            let recurrence = try speed.recurrence(candidate.text, policy: candidate.policy)
            let times = speed.instants.map { instant in speed.nanoseconds(8) { repeatedly(recurrence, instant) } }
            let worst = times.indices.max { times[$0] < times[$1] } ?? 0
            return Finding(
                text: candidate.text, zone: candidate.zone.name, policy: candidate.policy,
                instant: speed.instants[worst], nanoseconds: times[worst])
        }.sorted { $0.nanoseconds > $1.nanoseconds }
    }

    private func repeatedly(_ recurrence: Recurrence, _ instant: Instant) {
        for _ in 0..<8 { keep(recurrence.next(after: instant)?.milliseconds ?? 0) }
    }

    private mutating func expression() -> String {
        let minute = ["*", "30", "0", "*/7", "59"].randomElement(using: &generator) ?? "*"
        let hour = ["*", "0", "1", "2", "3", "2-3", "23"].randomElement(using: &generator) ?? "*"
        let day = Int.random(in: 1...31, using: &generator)
        let days = ["*", "29", "31", "L-30", "L-\(day - 1)", "\(day)", "\(day)W", "1-7", "8-14", "22-28"]
        let months = ["*", "2", "3", "4,10", "2-3", "9", "11"]
        let number = Int.random(in: 0...6, using: &generator)
        let nth = Int.random(in: 1...5, using: &generator)
        let weekdays = ["*", "+\(number)", "0#\(nth)", "\(number)#5", "+0#\(nth)", "+5#\(nth)", "+\(number)#L", "+0"]
        let dates = [days, months, weekdays].map { $0.randomElement(using: &generator) ?? "*" }.joined(separator: " ")
        return inYears("\(minute) \(hour) \(dates)")
    }

    /// Names a time that the zone's clocks jump over each year, or most years.
    private mutating func expressionInGap(of zone: ZoneRules) -> String {
        let start = Instant(milliseconds: .random(in: 0..<4_102_444_800_000, using: &generator))
        var change = zone.nextTransition(after: start)
        for _ in 0..<4 {
            if let found = change, found.offsetAfter < found.offsetBefore {
                change = zone.nextTransition(after: found.instant)
            }
        }
        guard let change else { return expression() }
        // A minute of the gap, as the clock would have shown it.
        let width = (change.offsetAfter - change.offsetBefore) / 60
        let minute = Int64(change.offsetBefore / 60 + Int.random(in: 0..<max(width, 1), using: &generator))
        let shown = ZoneRules.utc.localTime(at: change.instant.adding(milliseconds: minute * 60_000))
        let weekday = Int((change.instant.milliseconds / 60_000 + minute) / 1440 + 4) % 7
        let week = (shown.day - 1) / 7 + 1
        let dates = [
            "* \(shown.month) \(weekday)#\(week)", "* \(shown.month) \(weekday)L",
            "\(7 * week - 6)-\(min(31, 7 * week)) \(shown.month) +\(weekday)",
            "\(shown.day) \(shown.month) +\(weekday)", "\(shown.day) \(shown.month) *",
        ]
        let minutes = ["\(shown.minute)", "*/\(max(shown.minute, 1))"].randomElement(using: &generator) ?? "*"
        return inYears("\(minutes) \(shown.hour) \(dates.randomElement(using: &generator) ?? "* * *")")
    }

    private mutating func inYears(_ fields: String) -> String {
        let first = Int.random(in: 1970...2199, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: return "0 \(fields) \(first)-2199"
        case 1: return "0 \(fields) \(first)-2199/\(Int.random(in: 2...5, using: &generator))"
        default: return fields
        }
    }
}

/// SplitMix64.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
