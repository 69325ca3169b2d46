/// A day of the week.
package struct Weekday: Hashable, Sendable {
    /// 0 for Sunday to 6 for Saturday.
    package let number: Int

    init(number: Int) { self.number = number }

    static let names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

    init?(named text: some StringProtocol) {
        guard let number = Weekday.names.firstIndex(of: text.uppercased()) else { return nil }
        self.number = number
    }
}

/// A set of weekdays, read from names and ranges: `MON-FRI`, `SAT`, `FRI-MON`.
package struct Weekdays: Hashable, Sendable {
    /// Bit 0 stands for Sunday.
    private var mask: UInt8

    package static let none = Weekdays(mask: 0)
    package static let all = Weekdays(mask: 0x7F)
    package static let mondayToFriday = Weekdays(mask: 0x3E)

    private init(mask: UInt8) { self.mask = mask }

    /// One name, or two joined by `-`, in any case. The week is a circle: `FRI-MON` has four days. Nil for anything else.
    package init?(parsing text: String) {
        let names = text.split(separator: "-", omittingEmptySubsequences: false)
        guard names.count <= 2, let first = Weekday(named: names[0]), let last = Weekday(named: names[names.count - 1])
        else { return nil }
        mask = 0
        var day = first.number
        while true {
            mask |= 1 << day
            if day == last.number { return }
            day = (day + 1) % 7
        }
    }

    package var isEmpty: Bool { mask == 0 }

    package func contains(_ weekday: Weekday) -> Bool { mask & (1 << weekday.number) != 0 }

    package mutating func formUnion(_ other: Weekdays) { mask |= other.mask }

    package func intersection(_ other: Weekdays) -> Weekdays { Weekdays(mask: mask & other.mask) }

    /// The shortest texts that say this set, from Monday on: `["MON-FRI", "SUN"]`.
    package var texts: [String] {
        var texts: [String] = []
        var run: (first: Int, last: Int)?
        for position in 1...8 {
            if position < 8, contains(Weekday(number: position % 7)) {
                run = (run?.first ?? position, position)
            } else if let (first, last) = run {
                let (from, to) = (Weekday.names[first % 7], Weekday.names[last % 7])
                texts.append(first == last ? from : "\(from)-\(to)")
                run = nil
            }
        }
        return texts
    }
}
