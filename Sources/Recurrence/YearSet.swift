/// Years that the year field may name, 1970 to 2199, one bit each.
struct YearSet: Hashable, Sendable {
    /// The years that OCPS 1.2 §4.2 calls portable: what `*/2` counts from, and what may be written.
    static let range = 1970...2199

    /// 64 years each, from 1970 on. Four words in place of an array: a pattern is copied on hot paths.
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    mutating func insert(_ year: Int) {
        let index = year - YearSet.range.lowerBound
        let bit = UInt64(1) << UInt64(truncatingIfNeeded: index & 63)
        switch index >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    /// False beyond the range.
    func contains(_ year: Int) -> Bool {
        YearSet.range.contains(year) && word((year - 1970) >> 6).hasBit((year - 1970) & 63)
    }

    func first(atOrAfter year: Int) -> Int? {
        let start = max(year, YearSet.range.lowerBound) - YearSet.range.lowerBound
        guard start < 256 else { return nil }
        for index in (start >> 6)..<4 {
            let from = index == start >> 6 ? start & 63 : 0
            if let bit = word(index).bit(atOrAfter: from) { return 1970 + index << 6 + bit }
        }
        return nil
    }

    func last(atOrBefore year: Int) -> Int? {
        let end = min(year, YearSet.range.upperBound) - YearSet.range.lowerBound
        guard end >= 0 else { return nil }
        for index in (0...(end >> 6)).reversed() {
            let below = index == end >> 6 ? (end & 63) + 1 : 64
            if let bit = word(index).bit(before: below) { return 1970 + index << 6 + bit }
        }
        return nil
    }

    /// The kinds of the years in `start..<end`: bits 0 to 6 for the first weekday of a common year, 7 to 13 of a leap
    /// year. Calendars of two years of one kind are the same.
    func kinds(from start: Int, before end: Int) -> UInt16 {
        var kinds: UInt16 = 0
        var year = first(atOrAfter: start)
        while let next = year, next < end {
            kinds |= 1 << UInt16(CivilDate.kind(ofYear: next))
            year = first(atOrAfter: next + 1)
        }
        return kinds
    }

    private func word(_ index: Int) -> UInt64 {
        switch index {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
    }

    static func == (left: YearSet, right: YearSet) -> Bool { left.words == right.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}
