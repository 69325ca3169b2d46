import TestSupport

extension RandomCron {
    /// - Parameter reading: a day and an hour that the expression should rather often fall on.
    init(
        _ dialect: CronDialect = .classic, near reading: (date: WalkedDate, hour: Int)? = nil,
        using generator: inout SeededGenerator
    ) {
        let date = reading?.date
        // Mostly expressions that fire in the small hours, when clocks are changed.
        let hours = reading.map { max(0, $0.hour - 2)...min(23, $0.hour + 2) } ?? 0...4
        let fieldCount = dialect.fieldCounts.randomElement(using: &generator) ?? 5
        var second: RandomField? =
            if fieldCount == 5 {
                nil
            } else if dialect.keepsToMinutes {
                RandomField(text: "0", values: [0])
            } else {
                RandomField.plain(0...59, starChance: 3, using: &generator)
            }
        var minute = RandomField.plain(0...59, starChance: 4, using: &generator)
        var hour =
            Bool.random(using: &generator)
            ? RandomField.plain(hours, starChance: 0, using: &generator)
            : RandomField.plain(0...23, starChance: 2, using: &generator)
        var month = RandomField.plain(1...12, starChance: 8, near: date?.month, using: &generator)
        if var rest = dialect.hash {
            // In the order of the fields: each `H` divides what the one before has left of the number.
            if !dialect.keepsToMinutes { second?.hash(0...59, &rest, using: &generator) }
            minute.hash(0...59, &rest, using: &generator)
            hour.hash(0...23, &rest, using: &generator)
            month.hash(1...12, &rest, using: &generator)
        }
        let days = RandomDayFields(dialect, near: date, using: &generator)
        let year = fieldCount > 6 ? RandomField.year(dialect.years, near: date?.year, using: &generator) : nil

        let before = [second?.text, minute.text, hour.text, days.dayText, month.text].compactMap(\.self)
        let after = [year?.text].compactMap(\.self)
        text = (before + [days.weekdayText] + after).joined(separator: " ")
        croniterText = (before + [days.croniterWeekdayText] + after).joined(separator: " ")
        seconds = second?.flags(60) ?? [true] + [Bool](repeating: false, count: 59)
        minutes = minute.flags(60)
        self.hours = hour.flags(24)
        months = month.flags(13)
        years = year.flatMap { $0.text == "*" ? nil : Set($0.values) }
        self.days = days.days
        weekdays = days.weekdays
        dayRule = days.rule
        isWildcard = minute.text.hasPrefix("*") || hour.text.hasPrefix("*")
        isHourly = hour.text == "*"
        hasSeconds = second != nil
    }
}

/// A field of values, and its spelling.
struct RandomField {
    private(set) var text: String
    private(set) var values: [Int]

    /// Now and then one of the forms of `H` instead.
    mutating func hash(_ range: ClosedRange<Int>, _ rest: inout UInt64, using generator: inout SeededGenerator) {
        let step = Int.random(in: 1...range.count, using: &generator)
        let first = Int.random(in: range, using: &generator)
        let last = Int.random(in: first...range.upperBound, using: &generator)
        func draw(_ count: Int) -> Int {
            defer { rest /= UInt64(count) }
            return Int(rest % UInt64(count))
        }
        switch Int.random(in: 0..<24, using: &generator) {
        case 0: self = RandomField(text: "H", values: [range.lowerBound + draw(range.count)])
        case 1: self = RandomField(text: "H(\(first)-\(last))", values: [first + draw(last - first + 1)])
        case 2:
            let start = range.lowerBound + draw(step)
            self = RandomField(
                text: "H/\(step)", values: Array(stride(from: start, through: range.upperBound, by: step)))
        default: return
        }
    }

    func flags(_ count: Int) -> [Bool] {
        var flags = [Bool](repeating: false, count: count)
        for value in values { flags[value] = true }
        return flags
    }

    /// `starChance` in ten for `*`; else a value, a range, a step or a list; never the whole range, nor a range of one.
    static func plain(
        _ range: ClosedRange<Int>, starChance: Int, near value: Int? = nil, using generator: inout SeededGenerator
    ) -> RandomField {
        if Int.random(in: 0..<10, using: &generator) < starChance {
            return RandomField(text: "*", values: Array(range))
        }
        var first = Int.random(in: range, using: &generator)
        if let value, Bool.random(using: &generator) { first = value }
        let last = Int.random(in: first...range.upperBound, using: &generator)
        let step = Int.random(in: 2...max(2, range.count / 2), using: &generator)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0 where first < last && last - first + 1 < range.count:
            return RandomField(text: "\(first)-\(last)", values: Array(first...last))
        case 1 where starChance > 0:
            let values = stride(from: range.lowerBound, through: range.upperBound, by: step)
            return RandomField(text: "*/\(step)", values: Array(values))
        case 2 where first < last:
            let values = stride(from: first, through: last, by: step)
            return RandomField(text: "\(first)-\(last)/\(step)", values: Array(values))
        case 3:
            return RandomField(text: "\(first),\(last)", values: [first, last])
        case 4 where first + 2 < last:
            return RandomField(text: "\(first)-\(first + 1),\(last)", values: [first, first + 1, last])
        default:
            return RandomField(text: "\(first)", values: [first])
        }
    }

    static func year(_ range: ClosedRange<Int>, near year: Int?, using generator: inout SeededGenerator) -> RandomField
    {
        let middle = min(max(year ?? .random(in: range, using: &generator), range.lowerBound), range.upperBound)
        let first = max(range.lowerBound, middle - Int.random(in: 0...3, using: &generator))
        let last = min(range.upperBound, middle + Int.random(in: 0...30, using: &generator))
        switch Int.random(in: 0..<6, using: &generator) {
        case 0 where first < last:
            return RandomField(text: "\(first)-\(last)", values: Array(first...last))
        case 1 where first < last:
            return RandomField(text: "\(first)-\(last)/2", values: Array(stride(from: first, through: last, by: 2)))
        case 2 where first < last:
            return RandomField(text: "\(first),\(last)", values: [first, last])
        case 3:
            return RandomField(text: "\(middle)", values: [middle])
        case 4:
            let values = stride(from: range.lowerBound, through: range.upperBound, by: 3)
            return RandomField(text: "*/3", values: Array(values))
        default:
            return RandomField(text: "*", values: Array(range))
        }
    }
}

/// The two day fields, which belong together.
struct RandomDayFields {
    private(set) var dayText: String
    private(set) var weekdayText: String
    private(set) var croniterWeekdayText: String
    private(set) var days: [RandomCron.DayTerm]
    private(set) var weekdays: [RandomCron.WeekdayTerm]
    private(set) var rule = RandomCron.DayRule.both

    init(_ dialect: CronDialect, near date: WalkedDate?, using generator: inout SeededGenerator) {
        let day = RandomField.plain(1...31, starChance: 6, near: date?.day, using: &generator)
        let weekday = RandomField.plain(0...6, starChance: 6, near: date?.weekday, using: &generator)
        (dayText, days) = (day.text, day.values.map { .value($0) })
        (weekdayText, weekdays) = (weekday.text, weekday.values.map { .value($0) })
        croniterWeekdayText = weekdayText
        var hasForms = false
        if !dialect.dayForms.isEmpty, Int.random(in: 0..<10, using: &generator) < 3 {
            addDayForm(dialect, keeping: day.text, using: &generator)
            hasForms = true
        }
        if !dialect.weekdayForms.isEmpty, Int.random(in: 0..<10, using: &generator) < 3 {
            addWeekdayForm(dialect, keeping: weekday.text, near: date, using: &generator)
            hasForms = true
        }
        if dayText != "*" && weekdayText != "*" { restrictBoth(dialect, hasForms: hasForms, using: &generator) }
        if dialect.hasQuestionMark {
            if dayText == "*", Bool.random(using: &generator) { dayText = "?" }
            if weekdayText == "*", Bool.random(using: &generator) { weekdayText = "?" }
            if croniterWeekdayText == "*" { croniterWeekdayText = weekdayText }
        }
    }

    private mutating func restrictBoth(
        _ dialect: CronDialect, hasForms: Bool, using generator: inout SeededGenerator
    ) {
        let hasStar = dayText.hasPrefix("*") || weekdayText.hasPrefix("*")
        if (hasForms && !dialect.restrictsBothWithForms) || (hasStar && !dialect.restrictsBothWithStar) {
            (dayText, days) = ("*", (1...31).map { .value($0) })
        } else if dialect.hasPlus, Bool.random(using: &generator) {
            weekdayText = "+" + weekdayText
        } else {
            rule = .either
        }
    }

    private mutating func addDayForm(
        _ dialect: CronDialect, keeping text: String, using generator: inout SeededGenerator
    ) {
        let form: (text: String, term: RandomCron.DayTerm)
        switch dialect.dayForms.randomElement(using: &generator) ?? .last {
        case .last: form = ("L", .last(before: 0))
        case .beforeLast:
            let before = Int.random(in: 1...30, using: &generator)
            form = ("L-\(before)", .last(before: before))
        case .nearestWeekday:
            let day = Int.random(in: 1...dialect.largestNearestDay, using: &generator)
            form = ("\(day)W", .nearestWeekday(to: day))
        case .lastWeekday: form = ("LW", .lastWeekday)
        }
        // A `W` stands alone in its field.
        if dialect.mixesForms, !form.text.hasSuffix("W"), !text.hasPrefix("*"), Bool.random(using: &generator) {
            dayText = "\(text),\(form.text)"
            days.append(form.term)
        } else {
            (dayText, days) = (form.text, [form.term])
        }
    }

    private mutating func addWeekdayForm(
        _ dialect: CronDialect, keeping text: String, near date: WalkedDate?, using generator: inout SeededGenerator
    ) {
        let names = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT"]
        let weekday = date?.weekday ?? Int.random(in: 0...6, using: &generator)
        let form: (text: String, croniter: String, term: RandomCron.WeekdayTerm)
        switch dialect.weekdayForms.randomElement(using: &generator) ?? .nth {
        case .nth:
            let n = Int.random(in: 1...5, using: &generator)
            let name = Bool.random(using: &generator) ? names[weekday] : "\(weekday)"
            form = ("\(name)#\(n)", "\(name)#\(n)", .nth(n, weekday: weekday))
        case .last:
            form = ("\(weekday)L", "L\(weekday)", .last(weekday: weekday))
        }
        if dialect.mixesForms, !text.hasPrefix("*"), Bool.random(using: &generator) {
            weekdayText = "\(text),\(form.text)"
            croniterWeekdayText = "\(text),\(form.croniter)"
            weekdays.append(form.term)
        } else {
            (weekdayText, croniterWeekdayText, weekdays) = (form.text, form.croniter, [form.term])
        }
    }
}
