/// Reads one field: a list of items, each `*`, a value or a range, with an optional step on `*` or a range, or one of
/// the modifiers: `L`, `L-n`, `nW` and `LW` among days of the month, `nL`, `n#L` and `n#m` among weekdays, `H` anywhere
/// but among years.
struct CronFieldParser {
    let field: CronField
    let word: CronWord
    var position: Int
    /// What `H` draws from; nil where no key was given.
    var digits: HashDigits?
    private(set) var result = Field()

    /// What a field says.
    struct Field {
        /// The values as bits; of a year field ``years`` holds them.
        var mask: UInt64 = 0
        var years = YearSet()
        var lastDays: UInt32 = 0
        var nearestWeekday: UInt8 = 0
        var nthWeekdays: UInt64 = 0
        var items = 0
        /// `*` or `?` and nothing else (OCPS 1.0 §6.1); `*/2` restricts.
        var isUnrestricted = false
        /// It begins with `+`.
        var isAnd = false
        var usesHash = false
    }

    init(_ field: CronField, word: CronWord, digits: HashDigits?) {
        self.field = field
        self.word = word
        self.digits = digits
        position = word.offset
    }

    mutating func parse() throws(CronError) -> Field {
        if field == .dayOfWeek, skip("+") { result.isAnd = true }
        let start = position
        repeat {
            let itemStart = position
            try item()
            result.items += 1
            if result.nearestWeekday > 0, result.items > 1 || current == UInt8(ascii: ",") {
                throw nearestInList(from: itemStart)
            }
        } while skip(",")
        guard isAtEnd else { throw unexpected("`,` or the end of the field") }
        if field == .dayOfWeek, result.mask.hasBit(7) {
            result.mask = (result.mask | 1).bits(before: 7)
        }
        let isOne = position == start + 1
        result.isUnrestricted =
            isOne && (word.bytes[start] == UInt8(ascii: "*") || word.bytes[start] == UInt8(ascii: "?"))
        return result
    }

    private mutating func item() throws(CronError) {
        let start = position
        switch current {
        case UInt8(ascii: "*"):
            position += 1
            try stepped(field.everything, from: start)
        case UInt8(ascii: "?") where field == .dayOfMonth || field == .dayOfWeek:
            position += 1
            try stepped(field.everything, from: start)
        case UInt8(ascii: "/"): throw bareStep(from: start)
        case UInt8(ascii: "H"): try hashed()
        case UInt8(ascii: "L") where field == .dayOfMonth: try lastDay()
        default: try valueOrRange()
        }
    }

    private mutating func valueOrRange() throws(CronError) {
        let start = position
        let first = try value()
        if try weekdayModifier(first, from: start) || dayModifier(first) { return }
        guard skip("-") else {
            guard current == UInt8(ascii: "/") else { return insert(first) }
            throw stepOnValue(first, from: start)
        }
        // Sunday ends a week that begins with any other day: `FRI-SUN` is 5-7.
        let nameStart = position
        let named = try value()
        let isSundayLast = field == .dayOfWeek && named == 0 && first > 0 && decimalDigit(word.bytes[nameStart]) == nil
        let last = isSundayLast ? 7 : named
        guard first <= last else { throw reversed(first, last, from: start) }
        switch current {
        case UInt8(ascii: "W"), UInt8(ascii: "L"), UInt8(ascii: "#"): throw modifiedRange(from: start)
        default: break
        }
        try stepped(first...last, from: start)
    }

    /// Takes a range, or every *n*th of its values if a step follows.
    private mutating func stepped(_ range: ClosedRange<Int>, from start: Int) throws(CronError) {
        let step = try self.step(after: start)
        if step == 1, field != .year {
            result.mask |= UInt64.max.bits(atOrAfter: range.lowerBound).bits(before: range.upperBound + 1)
        } else {
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { insert(value) }
        }
    }

    /// The number after a `/`; 1 without one. A step beyond the range leaves its first value, as OCPS has it; 1000 is
    /// beyond every range.
    private mutating func step(after start: Int) throws(CronError) -> Int {
        guard skip("/") else { return 1 }
        let stepStart = position
        guard let number = number() else { throw unexpected("a step, a number from 1 on") }
        guard number > 0 else { throw zeroStep(from: start, at: stepStart) }
        return min(number, 1000)
    }

    private mutating func insert(_ value: Int) {
        if field == .year { result.years.insert(value) } else { result.mask |= 1 << UInt64(value) }
    }
}

// MARK: - Modifiers

extension CronFieldParser {
    /// `L`, `L-3` or `LW`.
    private mutating func lastDay() throws(CronError) {
        position += 1
        if skip("W") {
            result.nearestWeekday = CronPattern.lastWeekday
            return
        }
        var before = 0
        if skip("-") {
            let start = position
            guard let number = number() else { throw unexpected("a number of days before the last one") }
            guard (1...30).contains(number) else {
                throw error(
                    .outOfRange, at: start, "a number of days before the last one, 1 to 30", found: "`\(number)`",
                    suggestion: number == 0 ? "L" : nil)
            }
            before = number
        }
        result.lastDays |= 1 << UInt32(31 - before)
    }

    /// `15W`: whether it was one.
    private mutating func dayModifier(_ day: Int) -> Bool {
        guard field == .dayOfMonth, skip("W") else { return false }
        result.nearestWeekday = UInt8(day)
        return true
    }

    /// `5L`, `FRI#L` and `MON#2`: whether it was one.
    private mutating func weekdayModifier(_ weekday: Int, from start: Int) throws(CronError) -> Bool {
        guard field == .dayOfWeek else { return false }
        let bit = UInt64(weekday % 7)
        if skip("L") {
            result.nthWeekdays |= 1 << (35 + bit)
            return true
        }
        guard skip("#") else { return false }
        if skip("L") {
            result.nthWeekdays |= 1 << (35 + bit)
            return true
        }
        let numberStart = position
        guard let number = number() else { throw unexpected("the weekday's number in the month, 1 to 5 or L") }
        guard (1...5).contains(number) else {
            throw error(
                .outOfRange, at: numberStart, "the weekday's number in the month, 1 to 5 or L", found: "`\(number)`")
        }
        result.nthWeekdays |= 1 << (UInt64(7 * (number - 1)) + bit)
        return true
    }

    /// `H`, `H/15`, `H(0-29)` or `H(0-29)/10`: one value of the range, or every *n*th from one of the first *n* on.
    private mutating func hashed() throws(CronError) {
        let start = position
        guard field != .year else { throw unexpected(field.expectation) }
        position += 1
        var range = field.hashed
        if skip("(") {
            let rangeStart = position
            let first = try value()
            guard skip("-") else { throw unexpected("`-` and the range's last value") }
            let last = try value()
            guard skip(")") else { throw unexpected("`)`") }
            guard first <= last else { throw reversedHash(first, last, from: rangeStart) }
            range = first...last
        }
        let step = current == UInt8(ascii: "/") ? try self.step(after: start) : nil
        guard digits != nil else {
            throw error(.hashKey, at: start, "a key to choose a value for `H` by", found: "none")
        }
        result.usesHash = true
        guard let step else {
            insert(range.lowerBound + (digits?.draw(below: range.count) ?? 0))
            return
        }
        let offset = digits?.draw(below: min(step, range.count)) ?? 0
        for value in stride(from: range.lowerBound + offset, through: range.upperBound, by: step) { insert(value) }
    }
}

// MARK: - Words

extension CronFieldParser {
    private mutating func value() throws(CronError) -> Int {
        let start = position
        if let number = number() {
            guard field.values.contains(number) else { throw outOfRange(number, at: start) }
            return number
        }
        guard let index = nameIndex() else { throw unknownName() }
        position += 3
        return field.values.lowerBound + index
    }

    /// Which of the field's names stands here, with nothing but an `L` for a letter after it.
    private func nameIndex() -> Int? {
        let end = position + 3
        guard field == .month || field == .dayOfWeek, end <= word.bytes.endIndex else { return nil }
        if end < word.bytes.endIndex, isLetter(word.bytes[end]) {
            guard field == .dayOfWeek, word.bytes[end] == UInt8(ascii: "L") else { return nil }
            guard end + 1 == word.bytes.endIndex || !isLetter(word.bytes[end + 1]) else { return nil }
        }
        let letters = word.bytes[position..<end]
        guard letters.allSatisfy(isLetter) else { return nil }
        return field.nameKeys.firstIndex(of: CronField.nameKey(letters))
    }

    /// Nil without a digit; numbers too long to be any value become `Int.max`.
    mutating func number() -> Int? {
        let start = position
        var number = 0
        while position < word.bytes.endIndex, let digit = decimalDigit(word.bytes[position]) {
            // Beyond every range already: more digits change nothing.
            number = number > 1_000_000_000_000 ? number : number * 10 + digit
            position += 1
        }
        if position == start { return nil }
        return number > 1_000_000_000_000 ? .max : number
    }

    var isAtEnd: Bool { position == word.bytes.endIndex }

    var current: UInt8? { isAtEnd ? nil : word.bytes[position] }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }
}

func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A }
