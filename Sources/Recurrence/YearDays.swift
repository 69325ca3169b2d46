/// Days of one year as a set of bits; 0 is 1 January.
struct YearDays: Hashable, Sendable {
    /// Six words hold 366 days; the last two stay empty.
    private var words: SIMD8<UInt64> = .zero

    static let all = YearDays(0..<366)

    init() {}

    init(_ days: Range<Int>) { insert(days) }

    var isEmpty: Bool { words == .zero }

    func contains(_ day: Int) -> Bool { words[day >> 6].hasBit(day & 63) }

    mutating func insert(_ day: Int) { words[day >> 6] |= 1 << UInt64(day & 63) }

    mutating func insert(_ days: Range<Int>) {
        guard !days.isEmpty else { return }
        for word in (days.lowerBound >> 6)...((days.upperBound - 1) >> 6) {
            words[word] |= YearDays.part(of: days, inWord: word)
        }
    }

    mutating func formUnion(_ other: YearDays) { words |= other.words }

    mutating func formIntersection(_ other: YearDays) { words &= other.words }

    func first(from day: Int) -> Int? {
        var word = day >> 6
        guard word < 6 else { return nil }
        var bits = words[word].bits(atOrAfter: day & 63)
        while bits == 0 {
            word += 1
            guard word < 6 else { return nil }
            bits = words[word]
        }
        return word << 6 + bits.lowestBit
    }

    func last(through day: Int) -> Int? {
        guard day >= 0 else { return nil }
        var word = day >> 6
        var bits = words[word].bits(before: (day & 63) + 1)
        while bits == 0 {
            word -= 1
            guard word >= 0 else { return nil }
            bits = words[word]
        }
        return word << 6 + bits.highestBit
    }

    func count(in days: Range<Int>) -> Int {
        guard !days.isEmpty else { return 0 }
        return ((days.lowerBound >> 6)...((days.upperBound - 1) >> 6)).reduce(0) { count, word in
            count + (words[word] & YearDays.part(of: days, inWord: word)).nonzeroBitCount
        }
    }

    private static func part(of days: Range<Int>, inWord word: Int) -> UInt64 {
        let low = max(days.lowerBound - word << 6, 0)
        let high = min(days.upperBound - word << 6, 64)
        return UInt64.max.bits(atOrAfter: low).bits(before: high)
    }
}

/// A year as days since 1970.
struct CalendarYear {
    let year: Int
    let firstDay: Int
    let isLeap: Bool

    init(_ year: Int) {
        self.year = year
        firstDay = CivilDate(year: year, month: 1, day: 1).daysSince1970
        isLeap = CivilDate.isLeap(year: year)
    }

    init(holding day: Int) { self.init(CivilDate(daysSince1970: day).year) }

    var length: Int { isLeap ? 366 : 365 }
    var endDay: Int { firstDay + length }

    /// The days of a month, 0 for 1 January.
    func days(ofMonth month: Int) -> Range<Int> {
        let first = CivilDate.daysBefore(month: month, isLeap: isLeap)
        return first..<(first + CivilDate.length(ofMonth: month, year: year))
    }
}
