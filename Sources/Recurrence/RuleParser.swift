/// Reads the lines of a recurrence. What it accepts is a rule that RFC 5545 (section 3.3.10) allows and that means
/// something for a schedule; all else is refused by name, never passed over.
struct RuleParser {
    var rule: RecurrenceRule
    private var seen: Set<String> = []
    private var hasRule = false

    init(rule: RecurrenceRule) { self.rule = rule }

    mutating func read(_ bytes: [UInt8]) throws(RuleError) {
        guard bytes.count <= RecurrenceRule.maximumLength else {
            throw RuleError(
                .tooLong, nil, at: RecurrenceRule.maximumLength,
                expected: "at most \(RecurrenceRule.maximumLength) bytes", found: "\(bytes.count)")
        }
        for line in RuleText.lines(bytes) where !line.isEmpty { try read(line: line) }
        guard hasRule else {
            throw RuleError(
                bytes.isEmpty ? .empty : .missing, nil, at: 0, expected: "a rule such as `FREQ=DAILY;BYHOUR=9`",
                found: bytes.isEmpty ? "an empty text" : "no RRULE line")
        }
        rule.excluded.normalize()
        rule.added.normalize()
    }

    private mutating func read(line: RuleText) throws(RuleError) {
        let head = line.prefix(upTo: [UInt8(ascii: ":"), UInt8(ascii: ";"), UInt8(ascii: "=")])
        let name = head.upper
        let mark = line.byte(at: head.end)
        guard mark == UInt8(ascii: ":") || mark == UInt8(ascii: ";") else {
            guard mark != nil else { throw line.unexpected(.syntax, nil, "a line such as `RRULE:FREQ=DAILY`") }
            return try readRule(line)
        }
        // A bare rule has its first `=` before any `;`, so this is a property with or without parameters.
        switch name {
        case "RRULE", "EXDATE", "RDATE": break
        case "DTSTART":
            throw head.unexpected(.unsupported, name, "no DTSTART: a schedule says it as `start_at` and `timezone`")
        default: throw head.unexpected(.unsupported, nil, "RRULE, EXDATE or RDATE")
        }
        guard mark == UInt8(ascii: ":") else {
            let parameters = line.suffix(from: head.end + 1)
            throw parameters.unexpected(
                .unsupported, name, "`\(name):` without parameters; local times are read in the schedule's `timezone`")
        }
        let value = line.suffix(from: head.end + 1)
        switch name {
        case "RRULE": try readRule(value)
        case "EXDATE": try readDates(value, name, into: \.excluded)
        default: try readDates(value, name, into: \.added)
        }
    }

    private mutating func readDates(
        _ value: RuleText, _ name: String, into dates: WritableKeyPath<RecurrenceRule, RecurrenceRule.Dates>
    ) throws(RuleError) {
        for item in value.split(UInt8(ascii: ",")) {
            guard let date = item.dateTime else {
                throw item.unexpected(
                    .syntax, name, "a local time such as `20261224T090000`, or one in UTC such as `20261224T080000Z`")
            }
            if date.isUTC {
                rule[keyPath: dates].instants.append(date.seconds)
            } else {
                rule[keyPath: dates].readings.append(date.seconds)
            }
            guard rule.excluded.count + rule.added.count <= RecurrenceRule.maximumDates else {
                throw item.unexpected(.tooLong, name, "at most \(RecurrenceRule.maximumDates) dates")
            }
        }
    }

    private mutating func readRule(_ value: RuleText) throws(RuleError) {
        guard !hasRule else { throw value.unexpected(.repeated, "RRULE", "one rule") }
        hasRule = true
        for item in value.split(UInt8(ascii: ";")) {
            let head = item.prefix(upTo: [UInt8(ascii: "=")])
            guard item.byte(at: head.end) != nil, !head.isEmpty else {
                throw item.unexpected(.syntax, "RRULE", "a part such as `BYDAY=MO`")
            }
            let name = head.upper
            guard seen.insert(name).inserted else { throw head.unexpected(.repeated, name, "the part once") }
            try readPart(name, head, item.suffix(from: head.end + 1))
        }
        try RuleConsistency(rule: rule, seen: seen, text: value).check()
    }

    private mutating func readPart(_ name: String, _ head: RuleText, _ value: RuleText) throws(RuleError) {
        switch name {
        case "FREQ":
            guard let frequency = RecurrenceRule.Frequency(rawValue: value.upper) else {
                let known = RecurrenceRule.Frequency.allCases.map(\.rawValue).joined(separator: ", ")
                throw value.unexpected(.outOfRange, name, "one of \(known)")
            }
            rule.frequency = frequency
        case "INTERVAL": rule.interval = try value.number(name, in: 1...RecurrenceRule.maximumInterval)
        case "COUNT": rule.count = try value.number(name, in: 1...RecurrenceRule.maximumCount)
        case "UNTIL":
            guard let date = value.dateTime, date.isUTC else {
                throw value.unexpected(
                    .syntax, name, "a time in UTC such as `20261231T235959Z`, as RFC 5545 asks where there is a zone")
            }
            rule.until = date.seconds
        case "WKST": rule.weekStart = try value.weekday(name, withOrdinal: false).day
        case "BYSECOND":
            if value.split(UInt8(ascii: ",")).contains(where: { $0.upper == "60" }) {
                throw value.unexpected(.unsupported, name, "numbers from 0 to 59: no schedule keeps leap seconds")
            }
            rule.seconds = try value.bits(name, in: 0...59)
        case "BYMINUTE": rule.minutes = try value.bits(name, in: 0...59)
        case "BYHOUR": rule.hours = UInt32(try value.bits(name, in: 0...23))
        case "BYMONTH": rule.months = UInt16(try value.bits(name, in: 1...12))
        case "BYMONTHDAY": rule.monthDays = try value.signedNumbers(name, upTo: 31)
        case "BYYEARDAY": rule.yearDays = try value.signedNumbers(name, upTo: 366)
        case "BYWEEKNO": rule.weekNumbers = try value.signedNumbers(name, upTo: 53)
        case "BYSETPOS": rule.positions = try value.signedNumbers(name, upTo: 366)
        case "BYDAY":
            for item in value.split(UInt8(ascii: ",")) {
                rule.weekdays.append(try item.weekday(name, withOrdinal: true))
            }
        case "RSCALE", "SKIP":
            throw head.unexpected(.unsupported, name, "the Gregorian calendar of RFC 5545, without RSCALE and SKIP")
        case "BYEASTER": throw head.unexpected(.unsupported, name, "a part of RFC 5545; list the dates as RDATE")
        case "DTSTART":
            throw head.unexpected(.unsupported, name, "no DTSTART: a schedule says it as `start_at` and `timezone`")
        default: throw head.unexpected(.unsupported, "RRULE", "a part of RFC 5545 such as BYDAY or INTERVAL")
        }
    }
}

/// What RFC 5545 says of parts together, and what can never match.
private struct RuleConsistency {
    let rule: RecurrenceRule
    let seen: Set<String>
    let text: RuleText

    func check() throws(RuleError) {
        guard seen.contains("FREQ") else {
            throw text.unexpected(.missing, "FREQ", "a frequency such as `FREQ=DAILY`")
        }
        try refuse(seen.contains("COUNT") && seen.contains("UNTIL"), "UNTIL", "COUNT or UNTIL, not both", .conflict)
        try refuse(
            !rule.weekNumbers.isEmpty && rule.frequency != .yearly, "BYWEEKNO", "FREQ=YEARLY with it", .conflict)
        try refuse(
            !rule.yearDays.isEmpty && [.daily, .weekly, .monthly].contains(rule.frequency), "BYYEARDAY",
            "a FREQ other than DAILY, WEEKLY and MONTHLY with it", .conflict)
        try refuse(
            !rule.monthDays.isEmpty && rule.frequency == .weekly, "BYMONTHDAY", "a FREQ other than WEEKLY with it",
            .conflict)
        try checkOrdinals()
        let selecting = seen.filter { $0.hasPrefix("BY") && $0 != "BYSETPOS" }
        try refuse(
            !rule.positions.isEmpty && selecting.isEmpty, "BYSETPOS", "another BY part to choose from", .conflict)
        try refuse(
            !rule.monthDays.isEmpty && !rule.monthDays.contains { rule.hasMonthDay($0) }, "BYMONTHDAY",
            "a day that one of the months has",
            .neverMatches)
    }

    private func checkOrdinals() throws(RuleError) {
        guard let greatest = rule.weekdays.map({ abs($0.ordinal) }).max(), greatest > 0 else { return }
        let isOfMonthOrYear = rule.frequency == .monthly || rule.frequency == .yearly
        try refuse(!isOfMonthOrYear, "BYDAY", "weekdays without a number, or FREQ=MONTHLY or YEARLY", .conflict)
        try refuse(!rule.weekNumbers.isEmpty, "BYDAY", "weekdays without a number beside BYWEEKNO", .conflict)
        try refuse(
            rule.ordinalsAreOfMonth && greatest > 5, "BYDAY", "a number from -5 to 5: no month has more of a weekday",
            .neverMatches)
    }

    private func refuse(
        _ isWrong: Bool, _ part: String, _ expected: String, _ code: RuleError.Code
    ) throws(RuleError) {
        guard isWrong else { return }
        let item = text.split(UInt8(ascii: ";")).first { $0.upper.hasPrefix(part + "=") } ?? text
        throw item.unexpected(code, part, expected)
    }
}

extension RecurrenceRule {
    /// Whether `2MO` is the second Monday of a month, not of the year.
    var ordinalsAreOfMonth: Bool { frequency == .monthly || months != 0 }

    /// The months it names, or all.
    var effectiveMonths: UInt16 { months == 0 ? 0b1_1111_1111_1110 : months }

    /// Whether a month that it names has such a day, from its start or its end, in some year.
    func hasMonthDay(_ day: Int) -> Bool {
        (1...12).contains { effectiveMonths.hasBit($0) && abs(day) <= CivilDate.length(ofMonth: $0, year: 2000) }
    }
}

extension RecurrenceRule.Dates {
    fileprivate mutating func normalize() {
        readings = Set(readings).sorted()
        instants = Set(instants).sorted()
    }
}
