/// The rule in the last line of a TZif file, which holds for all time after the file's last transition:
/// a POSIX `TZ` string with the extensions of RFC 9636 §3.3.1 (times from −167 to 167 hours).
struct PosixZone: Hashable, Sendable {
    /// The moment of a year at which the clocks change.
    struct Change: Hashable, Sendable {
        enum Day: Hashable, Sendable {
            /// `Jn`, 1 to 365: 29 February is never counted.
            case julian(Int)
            /// `n`, 0 to 365: 29 February is counted.
            case zeroBased(Int)
            /// `Mm.w.d`: weekday `d` (0 is Sunday) of week `w` of month `m`; week 5 is the last one.
            case weekday(month: Int, week: Int, day: Int)
        }

        var day: Day
        /// Seconds after local midnight of that day; negative and over 24 hours are both in use.
        var time: Int
    }

    struct Daylight: Hashable, Sendable {
        var type: LocalTimeType
        var start: Change
        var end: Change
    }

    var standard: LocalTimeType
    var daylight: Daylight?
}

/// An offset from UTC with what the zone calls it.
struct LocalTimeType: Hashable, Sendable {
    /// Seconds east of UTC.
    var offset: Int
    var isDST: Bool
    var abbreviation: String
}

// MARK: - Transitions

extension PosixZone {
    /// The two changes of a year, in no order: seconds since 1970 and the type that begins then.
    func transitions(inYear year: Int) -> [(at: Int, type: LocalTimeType)] {
        guard let daylight else { return [] }
        return [
            (daylight.start.wallSeconds(inYear: year) - standard.offset, daylight.type),
            (daylight.end.wallSeconds(inYear: year) - daylight.type.offset, standard),
        ]
    }
}

extension PosixZone.Change {
    /// The reading of the wall clock, before the change, at which it happens.
    func wallSeconds(inYear year: Int) -> Int {
        dayNumber(inYear: year) * CivilDate.secondsPerDay + time
    }

    private func dayNumber(inYear year: Int) -> Int {
        let newYear = CivilDate(year: year, month: 1, day: 1).daysSince1970
        switch day {
        case .julian(let number):
            let leapDay = CivilDate.isLeap(year: year) && number > 59 ? 1 : 0
            return newYear + number - 1 + leapDay
        case .zeroBased(let number):
            return newYear + number
        case .weekday(let month, let week, let weekday):
            let first = CivilDate(year: year, month: month, day: 1).daysSince1970
            let firstMatch = (weekday - CivilDate.weekday(daysSince1970: first) + 7) % 7
            var day = firstMatch + (week - 1) * 7
            if day >= CivilDate.length(ofMonth: month, year: year) { day -= 7 }
            return first + day
        }
    }
}

// MARK: - Parsing

extension PosixZone {
    /// Nil unless the whole text follows the grammar. A rule for daylight time without its dates is
    /// refused too: POSIX leaves them to the implementation, and no TZif writer omits them.
    init?(parsing text: some Collection<UInt8>) {
        var reader = PosixZoneReader(bytes: Array(text))
        guard let name = reader.name(), let west = reader.offset() else { return nil }
        standard = LocalTimeType(offset: -west, isDST: false, abbreviation: name)
        if reader.isAtEnd { return }
        guard let daylightName = reader.name() else { return nil }
        var daylightOffset = standard.offset + 3600
        if !reader.isAt(",") {
            guard let west = reader.offset() else { return nil }
            daylightOffset = -west
        }
        guard reader.skip(","), let start = reader.change(), reader.skip(","), let end = reader.change(),
            reader.isAtEnd
        else { return nil }
        let type = LocalTimeType(offset: daylightOffset, isDST: true, abbreviation: daylightName)
        daylight = Daylight(type: type, start: start, end: end)
    }
}

/// A cursor over the bytes of a `TZ` string. Each step returns nil where the text leaves the grammar.
private struct PosixZoneReader {
    let bytes: [UInt8]
    var position = 0

    var isAtEnd: Bool { position == bytes.count }

    func isAt(_ character: Unicode.Scalar) -> Bool {
        position < bytes.count && bytes[position] == UInt8(ascii: character)
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard isAt(character) else { return false }
        position += 1
        return true
    }

    /// `EST` or `<+1030>`: at least three characters.
    mutating func name() -> String? {
        let quoted = skip("<")
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            let isLetter = (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
            let isQuotable = decimalDigit(byte) != nil || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
            guard isLetter || (quoted && isQuotable) else { break }
            position += 1
        }
        guard position - start >= 3 else { return nil }
        let name = String(decoding: bytes[start..<position], as: UTF8.self)
        if quoted && !skip(">") { return nil }
        return name
    }

    /// Seconds *west* of UTC, as POSIX writes offsets.
    mutating func offset() -> Int? {
        time(hoursUpTo: 24)
    }

    /// `[+-]h[h[h]][:mm[:ss]]` in seconds.
    mutating func time(hoursUpTo limit: Int) -> Int? {
        let isNegative = skip("-")
        if !isNegative { _ = skip("+") }
        guard let hours = number(upTo: limit) else { return nil }
        var seconds = hours * 3600
        if skip(":") {
            guard let minutes = number(upTo: 59) else { return nil }
            seconds += minutes * 60
            if skip(":") {
                guard let rest = number(upTo: 59) else { return nil }
                seconds += rest
            }
        }
        return isNegative ? -seconds : seconds
    }

    mutating func change() -> PosixZone.Change? {
        guard let day = changeDay() else { return nil }
        guard skip("/") else { return PosixZone.Change(day: day, time: 2 * 3600) }
        guard let time = time(hoursUpTo: 167) else { return nil }
        return PosixZone.Change(day: day, time: time)
    }

    private mutating func changeDay() -> PosixZone.Change.Day? {
        if skip("J") {
            guard let number = number(upTo: 365), number >= 1 else { return nil }
            return .julian(number)
        }
        if skip("M") {
            guard let month = number(upTo: 12), month >= 1, skip("."), let week = number(upTo: 5), week >= 1,
                skip("."), let weekday = number(upTo: 6)
            else { return nil }
            return .weekday(month: month, week: week, day: weekday)
        }
        return number(upTo: 365).map { .zeroBased($0) }
    }

    private mutating func number(upTo limit: Int) -> Int? {
        let start = position
        var value = 0
        while position < bytes.count, let digit = decimalDigit(bytes[position]), position - start < 3 {
            value = value * 10 + digit
            position += 1
        }
        return position > start && value <= limit ? value : nil
    }
}
