extension CronPattern {
    /// Reads five or six fields.
    init(fields words: [CronWord]) throws(CronError) {
        try CronPattern.checkFieldCount(words)
        let fields = CronField.allCases.suffix(words.count)
        var masks = [UInt64](repeating: 1, count: CronField.allCases.count)
        var items = 0
        for (field, word) in zip(fields, words) {
            var parser = CronFieldParser(field, word: word)
            let parsed = try parser.parse()
            masks[field.rawValue] = parsed.mask
            items += parsed.items
            guard items <= CronExpression.maximumItems else {
                throw CronError(
                    code: .tooManyItems, field: field, offset: word.offset,
                    expected: "at most \(CronExpression.maximumItems) list items in all fields together",
                    found: "\(items)", suggestion: nil)
            }
        }

        func word(_ field: CronField) -> CronWord { words[field.rawValue - CronField.allCases.count + words.count] }
        func isStar(_ field: CronField) -> Bool { word(field).bytes.elementsEqual([UInt8(ascii: "*")]) }

        seconds = masks[CronField.second.rawValue]
        minutes = masks[CronField.minute.rawValue]
        hours = UInt32(truncatingIfNeeded: masks[CronField.hour.rawValue])
        monthDays = UInt32(truncatingIfNeeded: masks[CronField.dayOfMonth.rawValue])
        months = UInt16(truncatingIfNeeded: masks[CronField.month.rawValue])
        weekdays = UInt8(truncatingIfNeeded: masks[CronField.dayOfWeek.rawValue])
        // A field is unrestricted if it is `*` and nothing else (OCPS 1.0 §6.1); `*/2` restricts.
        dayRule = isStar(.dayOfWeek) ? .monthDays : isStar(.dayOfMonth) ? .weekdays : .either
        isWildcard = [.minute, .hour].contains { word($0).bytes.first == UInt8(ascii: "*") }
        try checkDatesExist(word(.dayOfMonth))
    }

    private static func checkFieldCount(_ words: [CronWord]) throws(CronError) {
        let first = words[0].text
        func error(_ code: CronError.Code, at offset: Int, found: String) -> CronError {
            CronError(
                code: code, field: nil, offset: offset, expected: "five fields, or six with leading seconds",
                found: found, suggestion: nil)
        }
        if first.hasPrefix("TZ=") || first.hasPrefix("CRON_TZ=") {
            throw error(.unsupported, at: 0, found: "the prefix `\(first)`, which is not supported")
        }
        if words.count == 7 {
            throw error(
                .unsupported, at: words[6].offset,
                found: "seven, with the year `\(words[6].text)`, which is not supported")
        }
        guard words.count == 5 || words.count == 6 else {
            let offset = words.count > 6 ? words[6].offset : words[words.count - 1].bytes.endIndex
            throw error(.fieldCount, at: offset, found: "\(words.count)")
        }
    }

    /// Refuses dates that no year has. Weekdays occur in every month, so only the day of the month can fail
    /// to, and it does if even the longest of the chosen months is too short.
    private func checkDatesExist(_ word: CronWord) throws(CronError) {
        guard dayRule == .monthDays else { return }
        // 2000 stands for a leap year.
        let longest = (1...12).filter { months.hasBit($0) }.map { CivilDate.length(ofMonth: $0, year: 2000) }.max() ?? 0
        guard monthDays.lowestBit > longest else { return }
        throw CronError(
            code: .neverMatches, field: .dayOfMonth, offset: word.offset,
            expected: "a day that one of the chosen months has, at most \(longest)", found: "`\(word.text)`",
            suggestion: nil)
    }
}
