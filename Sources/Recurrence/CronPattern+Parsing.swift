extension CronPattern {
    /// Reads five, six or seven fields.
    ///
    /// - Parameter hash: the number that `H` chooses by; nil where `H` is to be refused.
    /// - Returns: the pattern, and whether `H` is in it.
    static func parse(_ words: [CronWord], hash: UInt64?) throws(CronError) -> (pattern: CronPattern, usesHash: Bool) {
        try checkFieldCount(words)
        let first = words.count == 5 ? CronField.minute.rawValue : CronField.second.rawValue
        var reader = Reader(digits: hash.map { HashDigits($0) })
        for (index, word) in words.enumerated() {
            guard let field = CronField(rawValue: first + index) else { break }
            try reader.read(field, word)
        }
        try reader.pattern.checkDatesExist(words, first)
        return (reader.pattern, reader.usesHash)
    }

    /// Field after field, onto the pattern that five fields of `*` make.
    private struct Reader {
        var digits: HashDigits?
        var pattern = CronPattern.everyMinute
        var usesHash = false
        private var items = 0
        private var isEveryMonthDay = false

        init(digits: HashDigits?) { self.digits = digits }

        mutating func read(_ field: CronField, _ word: CronWord) throws(CronError) {
            var parser = CronFieldParser(field, word: word, digits: digits)
            let parsed = try parser.parse()
            digits = parser.digits
            usesHash = usesHash || parsed.usesHash
            items += parsed.items
            guard items <= CronExpression.maximumItems else {
                throw CronError(
                    code: .tooManyItems, field: field, offset: word.offset,
                    expected: "at most \(CronExpression.maximumItems) list items in all fields together",
                    found: "\(items)", suggestion: nil)
            }
            if word.bytes.first == UInt8(ascii: "*"), field == .minute || field == .hour { pattern.isWildcard = true }
            take(parsed, of: field)
        }

        private mutating func take(_ parsed: CronFieldParser.Field, of field: CronField) {
            switch field {
            case .second: pattern.seconds = parsed.mask
            case .minute: pattern.minutes = parsed.mask
            case .hour: pattern.hours = UInt32(truncatingIfNeeded: parsed.mask)
            case .dayOfMonth:
                pattern.monthDays = UInt32(truncatingIfNeeded: parsed.mask)
                pattern.lastDays = parsed.lastDays
                pattern.nearestWeekday = parsed.nearestWeekday
                isEveryMonthDay = parsed.isUnrestricted
            case .month: pattern.months = UInt16(truncatingIfNeeded: parsed.mask)
            case .dayOfWeek:
                pattern.weekdays = UInt8(truncatingIfNeeded: parsed.mask)
                pattern.nthWeekdays = parsed.nthWeekdays
                pattern.dayRule =
                    parsed.isUnrestricted
                    ? .monthDays : isEveryMonthDay ? .weekdays : parsed.isAnd ? .both : .either
            case .year:
                pattern.years = parsed.years
                pattern.hasYears = !parsed.isUnrestricted
            }
        }
    }

    /// `* * * * *`, but for its first character.
    private static let everyMinute = CronPattern(
        seconds: 1, minutes: ~0, hours: ~0, monthDays: ~0, lastDays: 0, nearestWeekday: 0, months: ~0, weekdays: 0x7F,
        nthWeekdays: 0, dayRule: .monthDays, isWildcard: false)

    private static func checkFieldCount(_ words: [CronWord]) throws(CronError) {
        guard !(5...7).contains(words.count) else { return }
        let offset = words.count > 7 ? words[7].offset : words[words.count - 1].bytes.endIndex
        throw CronError(
            code: .fieldCount, field: nil, offset: offset,
            expected: "five fields, six with leading seconds, or seven with a year at the end", found: "\(words.count)",
            suggestion: nil)
    }
}

// MARK: - Dates that do not exist

extension CronPattern {
    /// Refuses what never matches, by looking at the 14 kinds of a year: no search goes on for longer.
    private func checkDatesExist(_ words: [CronWord], _ first: Int) throws(CronError) {
        func word(_ field: CronField) -> CronWord { words[field.rawValue - first] }
        guard hasYears ? !hasDatesInYears : !hasDates else { return }
        var dates = self
        dates.dayRule = .monthDays
        if dayRule != .weekdays, !dates.hasDates {
            throw CronError(
                code: .neverMatches, field: .dayOfMonth, offset: word(.dayOfMonth).offset,
                expected: "a day that one of the chosen months has, at most \(longestMonth)",
                found: "`\(word(.dayOfMonth).text)`", suggestion: monthDays == 0 ? nil : "L")
        }
        guard hasDates else {
            throw CronError(
                code: .neverMatches, field: .dayOfWeek, offset: word(.dayOfWeek).offset,
                expected: "a weekday that can fall on `\(word(.dayOfMonth).text)`", found: "`\(word(.dayOfWeek).text)`",
                suggestion: nil)
        }
        throw CronError(
            code: .neverMatches, field: .year, offset: word(.year).offset,
            expected: "a year in which that date exists", found: "`\(word(.year).text)`", suggestion: nearestYear())
    }

    /// The most days that one of the chosen months has.
    private var longestMonth: Int {
        // 2000 stands for a leap year.
        (1...12).filter { months.hasBit($0) }.map { CivilDate.length(ofMonth: $0, year: 2000) }.max() ?? 0
    }

    /// The first year after the chosen ones, else the last before them, in which the date exists.
    private func nearestYear() -> String? {
        guard let first = years.first(atOrAfter: YearSet.range.lowerBound) else { return nil }
        let later = (first...YearSet.range.upperBound).first { hasDates(inYear: $0) }
        let year = later ?? (YearSet.range.lowerBound...first).last { hasDates(inYear: $0) }
        return year.map { String($0) }
    }
}
