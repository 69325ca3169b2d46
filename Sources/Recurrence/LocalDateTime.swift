/// A date and time as a wall clock shows it, without a zone.
package struct LocalDateTime: Hashable, Sendable {
    package let year: Int
    /// 1 to 12.
    package let month: Int
    /// 1 to 31.
    package let day: Int
    /// 0 to 23.
    package let hour: Int
    /// 0 to 59.
    package let minute: Int
    /// 0 to 59; a leap second is no value.
    package let second: Int
    /// 0 to 999.
    package let millisecond: Int

    /// Nil unless the fields name a real date in the years 0001 to 9999 and a time of day.
    package init?(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, millisecond: Int = 0
    ) {
        guard (1...9999).contains(year), (1...12).contains(month), day >= 1,
            day <= CivilDate.length(ofMonth: month, year: year),
            (0...23).contains(hour), (0...59).contains(minute), (0...59).contains(second),
            (0...999).contains(millisecond)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.millisecond = millisecond
    }

    /// What a wall clock shows `wallSeconds` after it showed 1970-01-01T00:00:00.
    ///
    /// The year may leave 0001 to 9999 by one where an instant at the end of the range is read in a zone.
    init(wallSeconds: Int, millisecond: Int) {
        let days = floorDivide(wallSeconds, CivilDate.secondsPerDay)
        let secondOfDay = wallSeconds - days * CivilDate.secondsPerDay
        let date = CivilDate(daysSince1970: days)
        year = date.year
        month = date.month
        day = date.day
        hour = secondOfDay / 3600
        minute = secondOfDay / 60 % 60
        second = secondOfDay % 60
        self.millisecond = millisecond
    }

    /// Seconds that a wall clock advances from 1970-01-01T00:00:00 to this reading.
    var wallSeconds: Int {
        CivilDate(year: year, month: month, day: day).daysSince1970 * CivilDate.secondsPerDay
            + hour * 3600 + minute * 60 + second
    }
}
