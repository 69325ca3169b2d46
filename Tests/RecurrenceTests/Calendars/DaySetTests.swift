import Recurrence
import Testing
import ZoneData

private func day(_ text: String) throws -> CalendarDay { try #require(CalendarDay(iso8601: text), "\(text)") }

@Suite("Days, weekdays and sets of days") struct DaySetTests {
    @Test(arguments: ["2026-12-25", "1970-01-01", "1969-12-31", "2000-02-29", "2199-12-31"])
    func aDayIsReadAndWritten(text: String) throws {
        #expect(try day(text).description == text)
        #expect(CalendarDay(basic: text.filter { $0 != "-" }) == CalendarDay(iso8601: text))
    }

    @Test(arguments: ["2026-02-29", "2026-13-01", "2026-1-1", "20261225", "2026-12-25T00:00:00", "", "2026-12-2x"])
    func anythingElseIsNoDay(text: String) { #expect(CalendarDay(iso8601: text) == nil) }

    @Test(arguments: [
        ("MON-FRI", ["MON-FRI"]), ("sat", ["SAT"]), ("FRI-MON", ["MON", "FRI-SUN"]), ("SUN-SAT", ["MON-SUN"]),
        ("MON-SUN", ["MON-SUN"]), ("WED-WED", ["WED"]),
    ])
    func weekdaysAreReadAndWritten(text: String, expected: [String]) throws {
        #expect(try #require(Weekdays(parsing: text)).texts == expected)
    }

    @Test(arguments: ["", "MO", "MON-", "-FRI", "MON-TUE-WED", "MON,TUE", "1-5"])
    func anythingElseIsNoWeekdays(text: String) { #expect(Weekdays(parsing: text) == nil) }

    @Test("A set of days agrees with walking over them, within and outside of the years it covers")
    func aSetIsWhatIsLeft() throws {
        var set = DaySet(.mondayToFriday)
        set.remove(try day("2026-12-24")...day("2027-01-01"))
        #expect(try set.first(atOrAfter: day("2026-12-24")) == (day("2027-01-04")))
        #expect(try set.last(atOrBefore: day("2027-01-03")) == (day("2026-12-23")))
        #expect(set.longestAbsence == 11)
        let far = try day("2450-01-01")
        let next = try #require(set.first(atOrAfter: far))
        #expect(next.number - far.number <= 2)
        for number in -10..<10 {
            let day = CalendarDay(number: number)
            let isWeekend = ["SAT", "SUN"].contains(weekday(of: number))
            #expect(set.contains(day) != isWeekend)
        }
        #expect(DaySet(Weekdays.none).first(atOrAfter: far) == nil)
        let mondays = try #require(Weekdays(parsing: "MON"))
        #expect(try set.intersection(DaySet(mondays)).first(atOrAfter: day("2026-12-22")) == (day("2027-01-04")))
    }

    private func weekday(of number: Int) -> String {
        ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"][((number + 4) % 7 + 7) % 7]
    }

    @Test(
        "Days of a zone follow each other without gap or overlap, whatever the clocks do",
        arguments: [
            ("Europe/Berlin", "2026-03-20"), ("Europe/Berlin", "2026-10-20"), ("Pacific/Apia", "2011-12-25"),
            ("America/St_Johns", "2006-10-25"), ("America/Havana", "2026-10-28"), ("America/Asuncion", "2023-09-28"),
            ("Africa/Cairo", "2026-04-20"), ("Antarctica/Troll", "2026-03-25"), ("Asia/Beirut", "2026-03-25"),
        ])
    func daysFollowEachOther(zone: String, from: String) throws {
        let local = LocalDays(zone: try zones.rules(for: zone))
        let first = try day(from)
        for number in first.number..<(first.number + 14) {
            let today = CalendarDay(number: number)
            let (start, end) = (local.start(of: today), local.start(of: today.adding(days: 1)))
            #expect(start <= end)
            guard start < end else { continue }
            for instant in stride(from: start.milliseconds, to: end.milliseconds, by: 60_000) {
                #expect(local.day(of: Instant(milliseconds: instant)) == today)
            }
        }
    }
}

@Suite("Execution windows") struct OpenTimeTests {
    private func open(
        _ windows: [(days: String, from: String, to: String)], zone: String = "Europe/Berlin", days: DaySet? = nil
    ) throws -> OpenTime {
        OpenTime(
            zone: try zones.rules(for: zone), days: days,
            windows: try windows.map {
                ExecutionWindow(
                    days: try #require(Weekdays(parsing: $0.days)),
                    from: try #require(ExecutionWindow.secondOfDay($0.from)),
                    to: try #require(ExecutionWindow.secondOfDay($0.to)))
            })
    }

    private func text(_ stretch: OpenTime.Stretch?) -> String? {
        stretch.map { "\(brief($0.start)) \(brief($0.end))" }
    }

    @Test(arguments: [
        ("08:00", 28_800), ("00:00", 0), ("23:59", 86_340), ("24:00", 86_400),
    ])
    func timesAreReadAndWritten(time: String, second: Int) {
        #expect(ExecutionWindow.secondOfDay(time) == second)
        #expect(ExecutionWindow.text(ofSecond: second) == time)
    }

    @Test(arguments: ["8:00", "08:60", "24:01", "25:00", "08:00:00", "", "-1:00", "+8:00"])
    func anythingElseIsNoTime(time: String) { #expect(ExecutionWindow.secondOfDay(time) == nil) }

    @Test(
        "The stretch that holds an instant, else the next",
        arguments: [
            // Saturday; the next is Monday's, in winter time.
            ("2026-11-21T12:00:00Z", "2026-11-23T07:00:00Z 2026-11-23T17:00:00Z"),
            ("2026-11-23T06:59:59Z", "2026-11-23T07:00:00Z 2026-11-23T17:00:00Z"),
            ("2026-11-23T16:59:59Z", "2026-11-23T07:00:00Z 2026-11-23T17:00:00Z"),
            ("2026-11-23T17:00:00Z", "2026-11-24T07:00:00Z 2026-11-24T17:00:00Z"),
            // Summer time.
            ("2026-07-03T20:00:00Z", "2026-07-06T06:00:00Z 2026-07-06T16:00:00Z"),
        ])
    func findsTheStretch(from: String, expected: String) throws {
        let open = try open([("MON-FRI", "08:00", "18:00")])
        #expect(try text(open.stretch(atOrAfter: instant(from))) == expected)
    }

    @Test(
        "Over midnight a window ends on the next day, whatever that day is",
        arguments: [
            ("2026-11-20T22:00:00Z", "2026-11-20T21:00:00Z 2026-11-20T23:00:00Z"),
            ("2026-11-20T23:00:00Z", "2026-11-20T23:00:00Z 2026-11-21T05:00:00Z"),
            ("2026-11-21T04:59:59Z", "2026-11-20T23:00:00Z 2026-11-21T05:00:00Z"),
            ("2026-11-21T05:00:00Z", "2026-11-27T21:00:00Z 2026-11-27T23:00:00Z"),
        ])
    func spansMidnight(from: String, expected: String) throws {
        let open = try open([("FRI", "22:00", "06:00")])
        #expect(try text(open.stretch(atOrAfter: instant(from))) == expected)
    }

    @Test(
        "In a gap an end is the first valid instant after it, in a repeat the first pass",
        arguments: [
            // 2026-03-29 02:00 to 03:00 is jumped over; 2026-10-25 02:00 to 03:00 is shown twice.
            ("02:30", "04:00", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z 2026-03-29T02:00:00Z"),
            ("01:00", "02:30", "2026-03-28T23:00:00Z", "2026-03-29T00:00:00Z 2026-03-29T01:00:00Z"),
            // As a whole in the gap: not on that day.
            ("02:10", "02:50", "2026-03-29T00:00:00Z", "2026-03-30T00:10:00Z 2026-03-30T00:50:00Z"),
            ("02:30", "04:00", "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z 2026-10-25T03:00:00Z"),
            ("01:00", "02:30", "2026-10-24T22:30:00Z", "2026-10-24T23:00:00Z 2026-10-25T00:30:00Z"),
        ])
    func followsTheClocks(from: String, to: String, start: String, expected: String) throws {
        let open = try open([("MON-SUN", from, to)])
        #expect(try text(open.stretch(atOrAfter: instant(start))) == expected)
    }

    @Test("A window opens on the calendar's days only; overlapping ones are told by the longer")
    func opensOnDays() throws {
        var days = DaySet(.mondayToFriday)
        days.remove(try day("2026-11-23")...day("2026-11-23"))
        let open = try open([("MON-SUN", "08:00", "10:00"), ("MON-SUN", "08:00", "12:00")], zone: "UTC", days: days)
        #expect(
            try text(open.stretch(atOrAfter: instant("2026-11-20T13:00:00Z")))
                == "2026-11-24T08:00:00Z 2026-11-24T12:00:00Z")
        let never = try self.open([("SUN", "08:00", "10:00")], zone: "UTC", days: DaySet(.mondayToFriday))
        #expect(try never.stretch(atOrAfter: instant("2026-11-20T13:00:00Z")) == nil)
    }

    @Test("Days alone are stretches from midnight to midnight")
    func wholeDays() throws {
        let open = OpenTime(
            zone: try zones.rules(for: "Europe/Berlin"), days: DaySet(.mondayToFriday), windows: [])
        #expect(
            try text(open.stretch(atOrAfter: instant("2026-11-21T12:00:00Z")))
                == "2026-11-22T23:00:00Z 2026-11-27T23:00:00Z")
    }
}
