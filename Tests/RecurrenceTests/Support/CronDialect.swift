/// Which parts of the grammar random expressions make use of: all of ours, or what another implementation shares.
struct CronDialect: Sendable {
    enum DayForm: CaseIterable, Sendable {
        /// `L`
        case last
        /// `L-3`
        case beforeLast
        /// `15W`
        case nearestWeekday
        /// `LW`
        case lastWeekday
    }

    enum WeekdayForm: CaseIterable, Sendable {
        /// `MON#2`
        case nth
        /// `5L`
        case last
    }

    var fieldCounts = [5]
    /// Whether a field for seconds says `0`.
    var keepsToMinutes = false
    var dayForms: [DayForm] = []
    var weekdayForms: [WeekdayForm] = []
    /// `15W,20` and `MON#2,FRI`.
    var mixesForms = true
    /// Whether special forms stand in one day field while the other is restricted too.
    var restrictsBothWithForms = true
    /// `*/2` in a day field while the other is restricted too.
    var restrictsBothWithStar = true
    /// `?` for `*` in the day fields.
    var hasQuestionMark = false
    /// `+` before the day-of-week: both day fields must match.
    var hasPlus = false
    /// The number that `H` chooses by, where there is any.
    var hash: UInt64?
    var years = 1970...2199
    /// The largest day before `W`; beyond 28 a month may lack it.
    var largestNearestDay = 31

    /// Five fields of values, ranges, steps and lists.
    static let classic = CronDialect()

    static let whole = CronDialect(
        fieldCounts: [5, 5, 5, 6, 7], dayForms: DayForm.allCases, weekdayForms: WeekdayForm.allCases,
        hasQuestionMark: true, hasPlus: true, hash: 0x243F_6A88_85A3_08D3)
}
