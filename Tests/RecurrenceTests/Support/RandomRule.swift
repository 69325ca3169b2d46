import TestSupport

/// A random recurrence rule, of parts that RFC 5545 allows together and that every implementation understands alike.
struct RandomRule {
    let text: String
    let frequency: String
    let hasPositions: Bool
    let hasCount: Bool

    var isShorterThanDay: Bool { ["HOURLY", "MINUTELY", "SECONDLY"].contains(frequency) }

    init(using generator: inout SeededGenerator) {
        let frequencies = [
            "YEARLY", "YEARLY", "MONTHLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY",
        ]
        let frequency = frequencies.randomElement(using: &generator) ?? "DAILY"
        self.frequency = frequency
        var parts = ["FREQ=\(frequency)"]
        let isShort = ["HOURLY", "MINUTELY", "SECONDLY"].contains(frequency)
        if Int.random(in: 0..<10, using: &generator) < 4 {
            parts.append("INTERVAL=\(Int.random(in: 2...(isShort ? 130 : 9), using: &generator))")
        }
        if Int.random(in: 0..<10, using: &generator) < 4 {
            parts.append("WKST=\(RandomRule.weekdays.randomElement(using: &generator) ?? "MO")")
        }
        parts += RandomRule.days(frequency, using: &generator)
        parts += RandomRule.times(isShort, using: &generator)
        hasPositions = parts.contains { $0.hasPrefix("BY") } && Int.random(in: 0..<10, using: &generator) < 3
        if hasPositions {
            let positions = Set((0..<2).map { _ in Int.random(in: 1...4, using: &generator) })
                .map { Bool.random(using: &generator) ? $0 : -$0 }
            parts.append("BYSETPOS=" + positions.map(String.init).joined(separator: ","))
        }
        hasCount = Int.random(in: 0..<10, using: &generator) < 2 && !(hasPositions && frequency == "WEEKLY")
        if hasCount { parts.append("COUNT=\(Int.random(in: 1...60, using: &generator))") }
        text = parts.joined(separator: ";")
    }

    private static let weekdays = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]

    private static func days(_ frequency: String, using generator: inout SeededGenerator) -> [String] {
        var parts: [String] = []
        func chance(_ inTen: Int) -> Bool { Int.random(in: 0..<10, using: &generator) < inTen }
        let months = chance(3)
        if months { parts.append("BYMONTH=" + list(1...12, most: 4, negative: false, using: &generator)) }
        let weeks = frequency == "YEARLY" && chance(2)
        if weeks { parts.append("BYWEEKNO=" + list(1...51, most: 4, negative: true, using: &generator)) }
        if frequency != "WEEKLY", chance(3) {
            parts.append("BYMONTHDAY=" + list(1...31, most: 6, negative: true, using: &generator))
        }
        if !["DAILY", "WEEKLY", "MONTHLY"].contains(frequency), chance(2) {
            parts.append("BYYEARDAY=" + list(1...366, most: 40, negative: true, using: &generator))
        }
        guard weeks || chance(5) else { return parts }
        let numbered = !weeks && (frequency == "MONTHLY" || frequency == "YEARLY") && chance(5)
        let most = frequency == "MONTHLY" || months ? 5 : 53
        let days = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
            let day = weekdays.randomElement(using: &generator) ?? "MO"
            guard numbered else { return day }
            return "\(Bool.random(using: &generator) ? "-" : "")\(Int.random(in: 1...most, using: &generator))\(day)"
        }
        return parts + ["BYDAY=" + Set(days).sorted().joined(separator: ",")]
    }

    private static func times(_ isShort: Bool, using generator: inout SeededGenerator) -> [String] {
        var parts: [String] = []
        if Int.random(in: 0..<10, using: &generator) < (isShort ? 2 : 5) {
            parts.append("BYHOUR=" + list(0...23, most: 3, negative: false, using: &generator))
        }
        if Int.random(in: 0..<10, using: &generator) < 3 {
            parts.append("BYMINUTE=" + list(0...59, most: 3, negative: false, using: &generator))
        }
        if Int.random(in: 0..<10, using: &generator) < 2 {
            parts.append("BYSECOND=" + list(0...59, most: 3, negative: false, using: &generator))
        }
        return parts
    }

    private static func list(
        _ range: ClosedRange<Int>, most: Int, negative: Bool, using generator: inout SeededGenerator
    ) -> String {
        let numbers = (0..<Int.random(in: 1...most, using: &generator)).map { _ in
            let number = Int.random(in: range, using: &generator)
            return negative && Int.random(in: 0..<3, using: &generator) == 0 ? -number : number
        }
        return Set(numbers).sorted().map(String.init).joined(separator: ",")
    }
}
