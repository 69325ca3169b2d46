import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Properties of any expression, in any zone, under any policy")
struct PropertyTests {
    struct Case: CustomStringConvertible {
        let cron: RandomCron
        let recurrence: Recurrence
        let zone: ZoneRules
        let policy: DSTPolicy
        let start: Instant

        var description: String {
            "\(cron.text) in \(zone.name), \(policy), after \(start.rfc3339); TEST_SEED=\(TestForm.seed)"
        }

        /// Nil where a random expression names no date.
        init?(from years: ClosedRange<Int64>, using generator: inout SeededGenerator) throws {
            let name = CronOracle.Question.hardZones.randomElement(using: &generator) ?? "UTC"
            zone = try zones.rules(for: name)
            policy = DSTPolicy.allCases.randomElement(using: &generator) ?? .vixie
            let year = Int64.random(in: years, using: &generator)
            let offset = Int64.random(in: 0..<31_556_952_000, using: &generator)
            var start = Instant(milliseconds: (year - 1970) * 31_556_952_000 + offset)
            var hour = Int.random(in: 0...23, using: &generator)
            if Bool.random(using: &generator), let transition = zone.nextTransition(after: start) {
                let change = transition.instant
                hour = (Int(change.milliseconds / 1000) + transition.offsetBefore) / 3600 % 24
                start = change.adding(milliseconds: Int64.random(in: -36_000_000...7_200_000, using: &generator))
            }
            self.start = start
            let seconds = Int(start.milliseconds / 1000) + zone.offsetSeconds(at: start)
            cron = RandomCron(.whole, near: (WalkedDate(seconds: seconds), hour), using: &generator)
            guard let expression = try? CronExpression(parsing: cron.text, hash: CronDialect.whole.hash) else {
                return nil
            }
            recurrence = Recurrence(expression, zone: zone, policy: policy, anchor: start)
        }

        static func some(_ count: Int, years: ClosedRange<Int64>, for purpose: String) throws -> [Case] {
            var generator = TestForm.generator(for: purpose)
            var cases: [Case] = []
            while cases.count < count {
                if let one = try Case(from: years, using: &generator) { cases.append(one) }
            }
            return cases
        }
    }

    @Test("next rises strictly, answers the same when asked again, and begins fires(in:); latest undoes it")
    func next() throws {
        for one in try Case.some(TestForm.count(1000, long: 40_000), years: 1971...2400, for: "next") {
            let recurrence = one.recurrence
            var last = one.start
            for _ in 0..<6 {
                guard let next = recurrence.next(after: last) else { break }
                try #require(next > last, "\(one)")
                let justBefore = next.adding(milliseconds: -1)
                try #require(recurrence.next(after: justBefore) == next, "\(one)")
                try #require(recurrence.next(after: last) == next, "\(one)")
                var fires = recurrence.fires(in: last.adding(milliseconds: 1)..<Instant.latest).makeIterator()
                try #require(fires.next() == next, "\(one)")
                fires = recurrence.fires(in: next..<Instant.latest).makeIterator()
                try #require(fires.next() == next, "\(one)")
                try #require(recurrence.latest(through: next) == next, "\(one)")
                if let previous = recurrence.latest(through: justBefore) {
                    try #require(previous <= last, "\(one): \(previous.rfc3339)")
                    try #require(recurrence.next(after: previous) == next, "\(one)")
                }
                last = next
            }
        }
    }

    @Test("the clock shows a matching time at each occurrence, or has just jumped over one")
    func noneInGap() throws {
        for one in try Case.some(TestForm.count(2500, long: 40_000), years: 1971...2400, for: "gap") {
            for fire in one.recurrence.fires(after: one.start, count: 6) {
                let zone = one.policy == .utc ? ZoneRules.utc : one.zone
                let shown = Int(fire.milliseconds / 1000) + zone.offsetSeconds(at: fire)
                if one.cron.matches(shown: shown) { continue }
                let change = try #require(zone.nextTransition(after: fire.adding(milliseconds: -1)), "\(one)")
                let isGap = change.instant == fire && change.offsetAfter > change.offsetBefore
                try #require(isGap && one.policy == .vixie && !one.cron.isWildcard, "\(one): \(fire.rfc3339)")
                let removed = (Int(fire.milliseconds / 1000) + change.offsetBefore)..<shown
                try #require(removed.contains { one.cron.matches(shown: $0) }, "\(one): \(fire.rfc3339)")
            }
        }
    }

    @Test("count is the number of fires(in:)")
    func count() throws {
        for one in try Case.some(TestForm.count(400, long: 20_000), years: 1971...2400, for: "count") {
            let last = one.recurrence.fires(after: one.start, count: 150).last
            let end = last ?? one.start.adding(milliseconds: 86_400_000)
            let range = one.start.adding(milliseconds: 1)..<end.adding(milliseconds: 1)
            let fires = Array(one.recurrence.fires(in: range))
            try #require(one.recurrence.count(after: one.start, through: end) == fires.count, "\(one)")
            try #require(zip(fires, fires.dropFirst()).allSatisfy(<), "\(one)")
        }
    }

    @Test("total over 400 years: each has an answer, and those of the next 400 are the same")
    func cycle() throws {
        // After 2100 every zone follows its rule.
        for one in try Case.some(TestForm.count(60, long: 2000), years: 2101...2500, for: "cycle") {
            let cycle: Int64 = 146_097 * 86_400_000
            let later = one.start.adding(milliseconds: cycle)
            let end = later.adding(milliseconds: cycle)
            if one.cron.years == nil {
                let count = one.recurrence.count(after: one.start, through: later)
                try #require(one.recurrence.count(after: later, through: end) == count, "\(one)")
                try #require((one.recurrence.next(after: one.start) != nil) == (count > 0), "\(one)")
            }
            for step in Int64(0)..<40 {
                let start = one.start.adding(milliseconds: step * cycle / 40)
                let next = one.recurrence.next(after: start)
                try #require(next ?? .latest > start, "\(one)")
                guard one.cron.years == nil else { continue }
                let same = one.recurrence.next(after: start.adding(milliseconds: cycle))
                try #require(same == next?.adding(milliseconds: cycle), "\(one)")
            }
        }
    }
}
