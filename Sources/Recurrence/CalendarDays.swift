import CICal
import Synchronization

/// Which days of a year the calendar parts of a rule name: `BYMONTHDAY`, `BYYEARDAY` and `BYDAY`, each asked of
/// libical, and what all of them share.
///
/// The approach: what these parts name depends only on the year's first weekday and on whether it is leap, so there
/// are 14 kinds of years, and libical is asked once for each kind. It gets one part at a time, an interval of one,
/// from 1 January of a year in the range it knows, and is read to the end of that year. All it is not to be trusted
/// with (docs/decisions/0015) stays outside: it never sees an hour, a position, a count or an end, it cannot search
/// on for a date that does not come, and its own bound, the year 2582, is never met.
final class CalendarDays: Sendable {
    /// Days that are in one rule of each group.
    private let groups: [[String]]
    private let known = Mutex<[YearDays?]>(Array(repeating: nil, count: 14))

    private init(_ groups: [[String]]) { self.groups = groups }

    /// The days of a rule's parts, nil where it has none of them; one and the same for rules whose parts are equal.
    static func of(_ rule: RecurrenceRule) -> CalendarDays? {
        let groups = rule.calendarGroups
        guard !groups.isEmpty else { return nil }
        let text = groups.map { $0.joined(separator: "|") }.joined(separator: "&")
        return shared.withLock { shared in
            if let found = shared[text] { return found }
            // A bound on memory, not a measure of use: whoever holds an instance keeps it.
            if shared.count >= 4096 { shared = [:] }
            let made = CalendarDays(groups)
            shared[text] = made
            return made
        }
    }

    /// The same parts are asked for by thousands of schedules, and to ask libical takes up to a millisecond.
    private static let shared = Mutex<[String: CalendarDays]>([:])

    func days(of year: CalendarYear) -> YearDays {
        let kind = CivilDate.weekday(daysSince1970: year.firstDay) + (year.isLeap ? 7 : 0)
        if let found = known.withLock({ $0[kind] }) { return found }
        // Two threads may both ask; the answer is the same.
        let days = CalendarDays.expand(groups, year: CalendarDays.sampleYears[kind])
        known.withLock { $0[kind] = days }
        return days
    }

    /// A year of each kind, in the order of ``days(of:)``: 28 years without an exception have them all.
    private static let sampleYears: [Int] = {
        var years = Array(repeating: 2000, count: 14)
        for year in (2000..<2028).reversed() {
            let year = CalendarYear(year)
            years[CivilDate.weekday(daysSince1970: year.firstDay) + (year.isLeap ? 7 : 0)] = year.year
        }
        return years
    }()

    private static func expand(_ groups: [[String]], year: Int) -> YearDays {
        var days = YearDays.all
        for group in groups {
            var union = YearDays()
            for rule in group { union.formUnion(ask(rule, year: year)) }
            days.formIntersection(union)
        }
        return days
    }

    /// The days of a year that libical finds for a yearly rule.
    private static func ask(_ rule: String, year: Int) -> YearDays {
        var start = icaltimetype()
        start.year = Int32(year)
        start.month = 1
        start.day = 1
        start.is_date = 1
        var days = YearDays()
        // The rule owns no memory: only RSCALE would make it.
        guard let iterator = icalrecur_iterator_new(icalrecurrencetype_from_string(rule), start) else { return days }
        defer { icalrecur_iterator_free(iterator) }
        // A year has 366 answers at most; the bound is ours, should libical ever repeat itself.
        for _ in 0..<367 {
            let found = icalrecur_iterator_next(iterator)
            guard found.year == start.year else { break }
            let date = CivilDate(year: year, month: Int(found.month), day: Int(found.day))
            days.insert(date.daysSince1970 - CalendarYear(year).firstDay)
        }
        return days
    }
}

extension RecurrenceRule {
    /// What libical is asked: days must be in one rule of each group. Numbers from the start and from the end go
    /// into rules of their own, since libical keeps lists in arrays that hold either and not both.
    fileprivate var calendarGroups: [[String]] {
        let months = (1...12).filter { effectiveMonths.hasBit($0) }.map(String.init).joined(separator: ",")
        var groups: [[String]] = []
        if !monthDays.isEmpty {
            // Without BYMONTH libical takes the month of its start for BYMONTHDAY. Days that none of the months has
            // stay out, for those alone it would search through all the years it knows; a group of none names no day.
            groups.append(
                RecurrenceRule.rules("FREQ=YEARLY;BYMONTH=\(months);BYMONTHDAY=", monthDays.filter { hasMonthDay($0) }))
        }
        if !yearDays.isEmpty { groups.append(RecurrenceRule.rules("FREQ=YEARLY;BYYEARDAY=", yearDays)) }
        if !weekdays.isEmpty {
            // Without BYMONTH libical counts weekdays in the year.
            let frame = ordinalsAreOfMonth ? "FREQ=YEARLY;BYMONTH=\(months);BYDAY=" : "FREQ=YEARLY;BYDAY="
            let names = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"]
            let days = Set(weekdays).sorted { ($0.ordinal, $0.day) < ($1.ordinal, $1.day) }
            groups.append(
                [days.filter { $0.ordinal < 0 }, days.filter { $0.ordinal >= 0 }].filter { !$0.isEmpty }
                    .map {
                        frame
                            + $0.map { ($0.ordinal == 0 ? "" : "\($0.ordinal)") + names[$0.day] }.joined(separator: ",")
                    })
        }
        return groups
    }

    private static func rules(_ frame: String, _ numbers: [Int]) -> [String] {
        [numbers.filter { $0 < 0 }, numbers.filter { $0 > 0 }].filter { !$0.isEmpty }
            .map { frame + $0.map(String.init).joined(separator: ",") }
    }
}
