// What a recurrence says, in plain English: from the masks, not from the text, so that spellings of one pattern share
// one sentence and `H` shows what it chose.

extension Recurrence {
    /// A sentence without a full stop, such as "At 02:30 on the last Friday of each month, in Europe/Paris".
    package var sentence: String {
        switch self {
        case .cron(let pattern, let zone, let policy):
            return pattern.sentence + ", in " + (policy == .utc ? "UTC" : zone.name)
        case .interval(let period, let anchor):
            return "Every \(durationText(milliseconds: max(period, 1))), counted from \(shortText(anchor))"
        case .once(let instant):
            return "Once, at \(shortText(instant))"
        case .rrule(let rule):
            let lines = rule.rule.text.split(whereSeparator: \.isNewline).joined(separator: " ")
            return "By the rule \(lines), from \(shortText(rule.start)) on, in \(rule.zone.name)"
        }
    }
}

extension CronPattern {
    /// The sentence without the zone.
    package var sentence: String {
        let days = daySentence
        return times.isEmpty
            ? timeSentence + days
            : "At \(listed(times))" + (days.isEmpty || isEveryDayOfYears ? " every day" : "") + days
    }
}

// MARK: - Times of a day

extension CronPattern {
    /// The times of a day one by one, where they are few enough to be read.
    private var times: [String] {
        let most = 6
        guard timesPerDay <= most, hours.nonzeroBitCount < 24 else { return [] }
        var times: [String] = []
        for hour in bits(hours) {
            for minute in bits(minutes) {
                for second in bits(seconds) { times.append(clock(hour * 3600 + minute * 60 + second)) }
            }
        }
        return times
    }

    private var hasSeconds: Bool { seconds != 1 }

    /// `09:05`, with seconds where any occurrence has some.
    private func clock(_ time: Int) -> String {
        let minutes = twoDigits(time / 3600) + ":" + twoDigits(time / 60 % 60)
        return hasSeconds ? minutes + ":" + twoDigits(time % 60) : minutes
    }

    /// Times that are told as a rhythm: the finest field that is not one value, then the coarser ones.
    private var timeSentence: String {
        let everyMinute = minutes == UInt64.max.bits(before: 60)
        if seconds.nonzeroBitCount > 1 {
            let rhythm = rhythm(seconds, of: 60, "second")
            return capitalized(rhythm) + (everyMinute ? hourPart(isAlone: true) : minutePart + hourPart(isAlone: false))
        }
        let second = hasSeconds ? ", at second \(seconds.lowestBit)" : ""
        if minutes.nonzeroBitCount > 1 {
            let rhythm = rhythm(minutes, of: 60, "minute")
            return capitalized(rhythm) + second + hourPart(isAlone: rhythm.hasPrefix("every"))
        }
        return hourRhythm + second
    }

    /// Where only the hours vary.
    private var hourRhythm: String {
        let at = " at minute \(minutes.lowestBit)"
        if hours == UInt32.max.bits(before: 24) { return "Every hour" + at }
        if let step = evenStep(UInt64(hours), of: 24) { return "Every \(step) hours" + at }
        if step(UInt64(hours)) == 1 { return "Every hour\(at) from \(clock(firstTime)) to \(clock(lastTime))" }
        return "At minute \(minutes.lowestBit) of hours \(values(UInt64(hours)))"
    }

    /// " of minute 5", after seconds.
    private var minutePart: String {
        minutes.nonzeroBitCount == 1 ? " of minute \(minutes.lowestBit)" : " of minutes \(values(minutes))"
    }

    /// The hours after a rhythm of minutes or seconds; every hour goes without saying where the rhythm says "every".
    private func hourPart(isAlone: Bool) -> String {
        if hours == UInt32.max.bits(before: 24) { return isAlone ? "" : " of every hour" }
        if isAlone, step(UInt64(hours)) == 1 || hours.nonzeroBitCount == 1 {
            return " from \(clock(firstTime)) to \(clock(lastTime))"
        }
        let list = values(UInt64(hours))
        return hours.nonzeroBitCount == 1 ? " of hour \(list)" : " of hours \(list)"
    }

    /// "every second", "every 15 minutes", "at minutes 5, 20 and 35".
    private func rhythm(_ mask: UInt64, of count: Int, _ unit: String) -> String {
        if mask.nonzeroBitCount == count { return "every \(unit)" }
        if let step = evenStep(mask, of: count) { return "every \(step) \(unit)s" }
        return "at \(unit)s \(values(mask))"
    }
}

// MARK: - Days

extension CronPattern {
    /// " on the last Friday of each month in 2030"; empty for every day.
    private var daySentence: String {
        let monthDays = monthDayPhrase
        let weekdays = weekdayPhrase
        var text = ""
        switch dayRule {
        case .monthDays where monthDays.isEmpty: text = monthsAlone
        case .monthDays: text = " on " + monthDays + monthsOfDays
        case .weekdays:
            let range = nthWeekdays == 0 ? weekRun.map { ", " + $0 } : nil
            text = (range ?? " " + weekdays) + (nthWeekdays == 0 ? monthsAlone : monthsOfDays)
        case .either:
            let days = monthDays.isEmpty ? "every day" : "on " + monthDays
            text = " " + days + monthsOfDays + " and also " + weekdays + (nthWeekdays == 0 ? monthsAlone : monthsOfDays)
        case .both:
            text =
                (monthDays.isEmpty ? " every day" : " on " + monthDays) + monthsOfDays + ", if that is "
                + weekdayCondition
        }
        return text + yearPart
    }

    private var monthNames: String {
        runOrList(UInt64(months), atLeast: 3) { englishMonths[$0 - 1] }
    }

    /// " of each month", " of June and July".
    private var monthsOfDays: String { months.nonzeroBitCount == 12 ? " of each month" : " of " + monthNames }

    /// Every day, but of some years only.
    private var isEveryDayOfYears: Bool {
        hasYears && dayRule == .monthDays && monthDayPhrase.isEmpty && months.nonzeroBitCount == 12
    }

    /// "", " in June and July".
    private var monthsAlone: String {
        if months.nonzeroBitCount == 12 { return "" }
        return (dayRule == .monthDays && !times.isEmpty ? " every day in " : " in ") + monthNames
    }

    private var yearPart: String {
        guard hasYears else { return "" }
        var list: [Int] = []
        var year = years.first(atOrAfter: YearSet.range.lowerBound)
        while let next = year {
            list.append(next)
            year = years.first(atOrAfter: next + 1)
        }
        guard list.count > 2, let first = list.first, let last = list.last else {
            return " in " + listed(list.map { String($0) })
        }
        let step = list[1] - first
        guard zip(list, list.dropFirst()).allSatisfy({ $1 - $0 == step }) else {
            return " in " + listed(list.map { String($0) })
        }
        return step == 1 ? " from \(first) to \(last)" : " every \(step) years from \(first) to \(last)"
    }

    /// "the 1st, the 15th and the last day"; empty for every day.
    private var monthDayPhrase: String {
        var parts: [String] = []
        let all = UInt32.max.bits(atOrAfter: 1)
        if monthDays == all, lastDays == 0, nearestWeekday == 0 { return "" }
        if monthDays != 0 {
            if let step = step(UInt64(monthDays)), monthDays.nonzeroBitCount > 3 {
                let (first, last) = (ordinal(monthDays.lowestBit), ordinal(monthDays.highestBit))
                parts.append(
                    step == 1
                        ? "the \(first) to the \(last)" : "every \(ordinal(step)) day from the \(first) to the \(last)")
            } else {
                parts += bits(monthDays).map { "the " + ordinal($0) }
            }
        }
        for before in (0...30) where lastDays.hasBit(31 - before) {
            switch before {
            case 0: parts.append("the last day")
            case 1: parts.append("the day before the last")
            default: parts.append("the day \(before) days before the last")
            }
        }
        if nearestWeekday == CronPattern.lastWeekday {
            parts.append("the last working day")
        } else if nearestWeekday > 0 {
            parts.append("the working day nearest the " + ordinal(Int(nearestWeekday)))
        }
        return listed(parts)
    }

    /// "on Mondays and Tuesdays", "from Monday to Friday", "on the second Monday and the last Friday".
    private var weekdayPhrase: String {
        if nthWeekdays == 0, let range = weekRun { return "from " + range }
        var parts = bits(weekOrder).map { englishWeekdays[$0 % 7] + "s" }
        parts += nthNames.map { "the " + $0 }
        return "on " + listed(parts)
    }

    /// "a Monday or the last Friday of the month".
    private var weekdayCondition: String {
        var parts = bits(weekOrder).map { "a " + englishWeekdays[$0 % 7] }
        parts += nthNames.map { "the " + $0 }
        return listed(parts, "or")
    }

    /// Monday first: bits 1 to 7.
    private var weekOrder: UInt64 { UInt64(weekdays & 0x7E) | UInt64(weekdays & 1) << 7 }

    /// "Monday to Friday", for three days in a row or more, a whole week included.
    private var weekRun: String? {
        guard weekOrder.nonzeroBitCount > 2, step(weekOrder) == 1 else { return nil }
        return "\(englishWeekdays[weekOrder.lowestBit % 7]) to \(englishWeekdays[weekOrder.highestBit % 7])"
    }

    private var nthNames: [String] {
        (0..<42).filter { nthWeekdays.hasBit($0) }.map { "\(englishNumbers[$0 / 7]) \(englishWeekdays[$0 % 7])" }
    }
}

// MARK: - Words

private let englishMonths = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]
private let englishWeekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
private let englishNumbers = ["first", "second", "third", "fourth", "fifth", "last"]

private func bits(_ mask: some FixedWidthInteger & UnsignedInteger) -> [Int] {
    (0..<mask.bitWidth).filter { mask.hasBit($0) }
}

/// The one distance of all neighbours; nil for fewer than two values, or where distances differ.
private func step(_ mask: UInt64) -> Int? {
    let values = bits(mask)
    guard values.count > 1 else { return nil }
    let step = values[1] - values[0]
    return zip(values, values.dropFirst()).allSatisfy { $1 - $0 == step } ? step : nil
}

/// The step of a rhythm that goes on evenly from one hour, or day, to the next.
private func evenStep(_ mask: UInt64, of count: Int) -> Int? {
    guard let step = step(mask), step > 1, count % step == 0, mask.lowestBit == 0,
        mask.nonzeroBitCount == count / step
    else { return nil }
    return step
}

/// "5, 20 and 35", or "0 to 9" where three or more follow each other their ends.
private func values(_ mask: UInt64) -> String { runOrList(mask, atLeast: 3) { String($0) } }

private func runOrList(_ mask: UInt64, atLeast: Int, _ name: (Int) -> String) -> String {
    if mask.nonzeroBitCount >= atLeast, step(mask) == 1 { return name(mask.lowestBit) + " to " + name(mask.highestBit) }
    return listed(bits(mask).map(name))
}

private func listed(_ parts: [String], _ word: String = "and") -> String {
    guard let last = parts.last, parts.count > 1 else { return parts.first ?? "" }
    return parts.dropLast().joined(separator: ", ") + " \(word) " + last
}

private func ordinal(_ number: Int) -> String {
    let ending =
        switch (number % 10, number % 100) {
        case (_, 11...13): "th"
        case (1, _): "st"
        case (2, _): "nd"
        case (3, _): "rd"
        default: "th"
        }
    return "\(number)\(ending)"
}

private func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

private func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

/// "1 hour 30 minutes", "0.25 seconds".
private func durationText(milliseconds: Int64) -> String {
    let units: [(name: String, size: Int64)] = [("hour", 3_600_000), ("minute", 60_000)]
    var rest = milliseconds
    var parts: [String] = []
    for (name, size) in units where rest >= size {
        let count = rest / size
        parts.append("\(count) \(name)\(count == 1 ? "" : "s")")
        rest %= size
    }
    if rest > 0 {
        var fraction = String(rest % 1000 + 1000).dropFirst()
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let number = "\(rest / 1000)" + (fraction.isEmpty ? "" : "." + fraction)
        parts.append("\(number) second\(number == "1" ? "" : "s")")
    }
    return parts.joined(separator: " ")
}

/// RFC 3339 without a fraction where there is none.
private func shortText(_ instant: Instant) -> String {
    let text = instant.rfc3339
    return text.hasSuffix(".000000Z") ? text.dropLast(8) + "Z" : text
}
