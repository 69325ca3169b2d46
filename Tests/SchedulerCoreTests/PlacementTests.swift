import Recurrence
import SchedulerCore
import TestSupport
import Testing
import ZoneData

private let zones = ZoneDatabase()

private func instant(_ text: String) throws -> Instant { try #require(Instant(rfc3339: text), "\(text)") }

/// A random schedule with calendars and windows, over the weeks around a change of the clocks.
struct RandomPlacement {
    let placement: Placement
    let from: Instant
    let through: Instant

    init(_ random: inout SeededGenerator, periods: [Double]? = nil) throws {
        let places = [
            ("Europe/Berlin", "2026-03-29T01:00:00Z"), ("Europe/Berlin", "2026-10-25T01:00:00Z"),
            ("America/St_Johns", "2006-10-29T02:31:00Z"), ("Pacific/Apia", "2011-12-30T10:00:00Z"),
            ("UTC", "2026-11-21T00:00:00Z"),
        ]
        let (name, change) = places[Int.random(in: 0..<places.count, using: &random)]
        let zone = try zones.rules(for: name)
        let middle = try instant(change)
        from = middle.adding(milliseconds: -10 * 86_400_000)
        through = middle.adding(milliseconds: 10 * 86_400_000)
        let texts = [
            "0 9 * * *", "0 9,17 * * *", "*/20 * * * *", "30 2 * * *", "15 0,23 * * SAT,SUN", "0 0 * * *",
            "7 */5 * * *", "0 12 29,30 * *",
        ]
        let recurrence: Recurrence
        if Int.random(in: 0..<3, using: &random) == 0 {
            let period = Int64.random(in: 600...200_000, using: &random) * 1000
            recurrence = .interval(periodMilliseconds: period, anchor: from.adding(milliseconds: 12_345))
        } else {
            let cron = try CronExpression(parsing: texts[Int.random(in: 0..<texts.count, using: &random)])
            recurrence = Recurrence(
                cron, zone: zone, policy: DSTPolicy.allCases[Int.random(in: 0..<3, using: &random)], anchor: from)
        }
        let source = OccurrenceSource(recurrence: recurrence)
        var days: DaySet?
        if Int.random(in: 0..<4, using: &random) > 0 {
            var set = DaySet([Weekdays.mondayToFriday, .all][Int.random(in: 0..<2, using: &random)])
            let local = LocalDays(zone: zone)
            for _ in 0..<3 {
                let first = local.day(of: middle).adding(days: Int.random(in: -9...9, using: &random))
                set.remove(first...first.adding(days: Int.random(in: 0...3, using: &random)))
            }
            days = set
        }
        placement = Placement(
            source: source, constraint: Self.constraint(&random), days: days, zone: zone
        ).under(Self.freezes(around: middle, &random))
    }

    private static func constraint(_ random: inout SeededGenerator) -> FireConstraint {
        var constraint = FireConstraint()
        constraint.shift = DayShiftPolicy.allCases[Int.random(in: 0..<3, using: &random)]
        constraint.outside = OutsidePolicy.allCases[Int.random(in: 0..<2, using: &random)]
        for _ in 0..<Int.random(in: 0..<3, using: &random) {
            let days = [Weekdays.all, .mondayToFriday, Weekdays(parsing: "SAT-MON") ?? .all]
            constraint.windows.append(
                ExecutionWindow(
                    days: days[Int.random(in: 0..<3, using: &random)],
                    from: Int.random(in: 0..<1440, using: &random) * 60,
                    to: Int.random(in: 1...1440, using: &random) * 60))
        }
        return constraint
    }

    private static func freezes(around middle: Instant, _ random: inout SeededGenerator) -> [FrozenTime] {
        (0..<max(0, Int.random(in: -1..<3, using: &random))).map { number in
            let from = middle.adding(milliseconds: Int64.random(in: -500_000...500_000, using: &random) * 1000)
            let freeze = Freeze(
                id: FreezeID(UUIDValue(high: 0, low: UInt64(number))), from: from,
                until: from.adding(milliseconds: Int64.random(in: 1...300_000, using: &random) * 1000),
                mode: FreezeMode.allCases[Int.random(in: 0..<2, using: &random)], createdAt: from)
            return FrozenTime(freeze, offset: 0)
        }
    }

    /// Every occurrence of the weeks, one after another.
    var occurrences: [Instant] {
        var found: [Instant] = []
        var cursor = placement.source.next(after: from)
        while let next = cursor, next <= through {
            found.append(next)
            cursor = placement.source.next(after: next)
        }
        return found
    }
}

@Suite("Where occurrences go") struct PlacementTests {
    @Test("A later occurrence is never due before an earlier one", arguments: 0..<4)
    func isMonotone(seed: Int) throws {
        var random = SeededGenerator(seed: 0x3070 + UInt64(seed))
        for _ in 0..<20 {
            let random = try RandomPlacement(&random)
            let due = random.occurrences.map { random.placement.place(of: $0).due }
            #expect(zip(due, due.dropFirst()).allSatisfy { $0 <= $1 })
        }
    }

    @Test("What is found by jumps and bisection is what walking over all occurrences finds", arguments: 0..<4)
    func agreesWithEnumeration(seed: Int) throws {
        var random = SeededGenerator(seed: 0xE27 + UInt64(seed))
        for _ in 0..<12 {
            let sample = try RandomPlacement(&random)
            let (placement, all) = (sample.placement, sample.occurrences)
            guard all.count > 2 else { continue }
            let places = all.map { placement.place(of: $0) }
            for _ in 0..<12 {
                let first = Int.random(in: 0..<(all.count - 1), using: &random)
                let last = Int.random(in: first..<all.count, using: &random)
                let firing = (first...last).filter { places[$0].fires }
                #expect(placement.countFiring(from: all[first], through: all[last]) == Int64(firing.count))
                if let found = firing.first {
                    #expect(placement.firstFiring(from: all[first]) == all[found])
                    #expect(placement.lastFiring(from: all[found], through: all[last]) == all[firing[firing.count - 1]])
                } else if let found = placement.firstFiring(from: all[first]) {
                    #expect(found > all[last])
                }
                let by = places[last].due.adding(milliseconds: Int64.random(in: -2...2, using: &random))
                let due = (first..<all.count).last { places[$0].due <= by }
                // What is due may lie beyond the weeks that were walked over.
                if let found = placement.last(from: all[first], dueThrough: by), found <= all[all.count - 1] {
                    #expect(found == due.map { all[$0] })
                } else if due != all.count - 1 {
                    #expect(due == nil)
                }
            }
        }
    }

    @Test(
        "Business days: skipped, moved on, moved back; none passes another",
        arguments: [
            // 2026-11-21 is a Saturday; 2026-12-24 and 25 are holidays, a Thursday and a Friday.
            (
                "0 9 * * *", "none", "2026-11-20T00:00:00Z",
                ["20 09:00 20 09:00", "21 09:00 -", "22 09:00 -", "23 09:00 23 09:00"]
            ),
            (
                "0 9 * * *", "next_business_day", "2026-11-20T00:00:00Z",
                ["20 09:00 20 09:00", "21 09:00 23 09:00", "22 09:00 23 09:00", "23 09:00 23 09:00"]
            ),
            (
                "0 9 * * *", "previous_business_day", "2026-11-20T00:00:00Z",
                ["20 09:00 20 09:00", "21 09:00 20 09:00", "22 09:00 20 09:00", "23 09:00 23 09:00"]
            ),
            (
                "0 9,17 * * *", "next_business_day", "2026-11-21T00:00:00Z",
                [
                    "21 09:00 23 09:00", "21 17:00 23 09:00", "22 09:00 23 09:00", "22 17:00 23 09:00",
                    "23 09:00 23 09:00",
                ]
            ),
            (
                "0 9,17 * * *", "previous_business_day", "2026-11-20T10:00:00Z",
                ["20 17:00 20 17:00", "21 09:00 20 17:00", "21 17:00 20 17:00"]
            ),
            // Month's end on a Saturday: the day that was meant, at its hour.
            ("0 12 21 * *", "next_business_day", "2026-11-21T00:00:00Z", ["21 12:00 23 12:00"]),
            ("0 12 21 * *", "previous_business_day", "2026-11-21T00:00:00Z", ["21 12:00 20 12:00"]),
            ("0 12 24 12 *", "next_business_day", "2026-12-01T00:00:00Z", ["24 12:00 28 12:00"]),
        ])
    func movesToBusinessDays(cron: String, shift: String, from: String, expected: [String]) throws {
        var days = DaySet(.mondayToFriday)
        let eve = try #require(CalendarDay(iso8601: "2026-12-24"))
        days.remove(eve...eve.adding(days: 1))
        var constraint = FireConstraint()
        constraint.shift = try #require(DayShiftPolicy(rawValue: shift))
        let recurrence = Recurrence(try CronExpression(parsing: cron), zone: .utc, anchor: dawn)
        let placement = Placement(
            source: OccurrenceSource(recurrence: recurrence), constraint: constraint, days: days, zone: .utc)
        let found = recurrence.fires(after: try instant(from).adding(milliseconds: -1), count: expected.count).map {
            let place = placement.place(of: $0)
            return "\(short($0)) \(place.fires ? short(place.due) : "-")"
        }
        #expect(found == expected)
    }

    private func short(_ instant: Instant) -> String {
        let text = instant.rfc3339
        return "\(text.dropFirst(8).prefix(2)) \(text.dropFirst(11).prefix(5))"
    }

    @Test("Windows: skipped outside, or due when the next one opens, on a day that the calendar allows")
    func windows() throws {
        var constraint = FireConstraint()
        constraint.windows = [ExecutionWindow(days: .all, from: 8 * 3600, to: 18 * 3600)]
        let hourly = OccurrenceSource(recurrence: .interval(periodMilliseconds: 3_600_000, anchor: dawn))
        let friday = try instant("2026-11-27T18:00:00Z")
        let skipping = Placement(source: hourly, constraint: constraint, days: DaySet(.mondayToFriday), zone: .utc)
        #expect(!skipping.place(of: friday).fires && skipping.place(of: friday).due == friday)
        #expect(try skipping.firstFiring(from: friday) == (instant("2026-11-30T08:00:00Z")))
        constraint.outside = .defer
        let deferring = Placement(source: hourly, constraint: constraint, days: DaySet(.mondayToFriday), zone: .utc)
        #expect(try deferring.place(of: friday).due == (instant("2026-11-30T08:00:00Z")))
        #expect(deferring.place(of: friday).fires)
        // Saturday's own are left out by the calendar, and told no earlier than Friday's last fires.
        let saturday = deferring.place(of: try instant("2026-11-28T12:00:00Z"))
        #expect(try !saturday.fires && saturday.due == (instant("2026-11-30T08:00:00Z")))
    }

    @Test("A freeze skips, or holds until its end, and where windows defer until one is open; overlapping ones chain")
    func freezes() throws {
        let hourly = OccurrenceSource(recurrence: .interval(periodMilliseconds: 3_600_000, anchor: dawn))
        func frozen(_ from: Double, _ until: Double, _ mode: FreezeMode) -> FrozenTime {
            FrozenTime(
                Freeze(
                    id: FreezeID(UUIDValue(high: 1, low: UInt64(from))), from: at(from * 3600), until: at(until * 3600),
                    mode: mode, createdAt: dawn), offset: 0)
        }
        let held = Placement(source: hourly).under([frozen(2, 4, .defer), frozen(3.5, 6, .defer)])
        #expect(held.place(of: at(2 * 3600)).due == at(6 * 3600) && held.place(of: at(2 * 3600)).fires)
        #expect(held.place(of: at(6 * 3600)).heldBy == nil && held.place(of: at(3600)).due == at(3600))
        let skipped = Placement(source: hourly).under([frozen(2, 4, .defer), frozen(3.5, 6, .skip)])
        #expect(!skipped.place(of: at(2 * 3600)).fires && !skipped.place(of: at(5 * 3600)).fires)
        #expect(skipped.firstFiring(from: at(2 * 3600)) == at(6 * 3600))
        var constraint = FireConstraint()
        constraint.windows = [ExecutionWindow(days: .all, from: 0, to: 5 * 3600)]
        let windowed = Placement(source: hourly, constraint: constraint, days: nil, zone: .utc)
            .under([frozen(2, 6, .defer)])
        #expect(windowed.place(of: at(2 * 3600)).due == at(6 * 3600))
        #expect(!windowed.place(of: at(5 * 3600)).fires)
        constraint.outside = .defer
        let deferring = Placement(source: hourly, constraint: constraint, days: nil, zone: .utc)
            .under([frozen(2, 6, .defer)])
        #expect(deferring.place(of: at(2 * 3600)).due == at(day))
    }

    @Test("What never fires is found out in bounded time")
    func neverFires() throws {
        let sundays = Recurrence(try CronExpression(parsing: "0 9 * * SUN"), zone: .utc, anchor: dawn)
        let placement = Placement(
            source: OccurrenceSource(recurrence: sundays), constraint: FireConstraint(), days: DaySet(.mondayToFriday),
            zone: .utc)
        #expect(placement.firstFiring(after: dawn) == nil)
        var constraint = FireConstraint()
        constraint.shift = .nextBusinessDay
        let nowhere = Placement(
            source: OccurrenceSource(recurrence: sundays), constraint: constraint, days: DaySet(Weekdays.none),
            zone: .utc)
        #expect(nowhere.firstFiring(after: dawn) == nil)
    }

    @Test("What would have to be moved before now is no first occurrence")
    func movedBeforeNow() throws {
        var constraint = FireConstraint()
        constraint.shift = .previousBusinessDay
        let daily = Recurrence(try CronExpression(parsing: "0 9 * * *"), zone: .utc, anchor: dawn)
        let placement = Placement(
            source: OccurrenceSource(recurrence: daily), constraint: constraint, days: DaySet(.mondayToFriday),
            zone: .utc)
        // Saturday morning: Saturday's and Sunday's were Friday's.
        #expect(try placement.firstFiring(after: instant("2026-11-21T08:00:00Z")) == (instant("2026-11-23T09:00:00Z")))
        #expect(try placement.firstFiring(after: instant("2026-11-20T08:00:00Z")) == (instant("2026-11-20T09:00:00Z")))
    }
}
