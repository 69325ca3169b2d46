import Recurrence
import SchedulerCore
import Testing

@Suite("What a change does to the fires")
struct FireDifferenceTests {
    private static func instants(_ milliseconds: some Sequence<Int>) -> [Instant] {
        milliseconds.map { Instant(milliseconds: Int64($0)) }
    }

    @Test("Tells what comes and goes between two lists, as sets do, for 2,000 random pairs")
    func isTheDifferenceOfSets() {
        for _ in 0..<2000 {
            let (left, right) = (Self.random(), Self.random())
            let horizon = Instant(milliseconds: Int64.random(in: 0...250))
            let difference = FireDifference(before: left, after: right, through: horizon)
            let (old, new) = (Set(left.filter { $0 <= horizon }), Set(right.filter { $0 <= horizon }))
            #expect(difference.added == new.subtracting(old).count)
            #expect(difference.removed == old.subtracting(new).count)
            #expect(difference.beforeCount == old.count && difference.afterCount == new.count)
            #expect(difference.before == Array(old.sorted().prefix(FireDifference.mostListed)))
            #expect(difference.after == Array(new.sorted().prefix(FireDifference.mostListed)))
            #expect(difference.until == horizon && !difference.isTruncated)
        }
    }

    @Test("What is due at another time is moved; each difference is listed in its order, for 2,000 random pairs")
    func tellsWhatIsMoved() {
        func random() -> [ForeseenFire] {
            Self.random().map {
                ForeseenFire(scheduledFor: $0, dueAt: $0.adding(milliseconds: Int64.random(in: 0...1)))
            }
        }
        for _ in 0..<2000 {
            let (left, right) = (random(), random())
            let difference = FireDifference(before: left, after: right, through: .latest)
            let old = Dictionary(uniqueKeysWithValues: left.map { ($0.scheduledFor, $0.dueAt) })
            let new = Dictionary(uniqueKeysWithValues: right.map { ($0.scheduledFor, $0.dueAt) })
            let both = Set(old.keys).union(new.keys).sorted()
            #expect(difference.moved == both.count { old[$0] != nil && new[$0] != nil && old[$0] != new[$0] })
            #expect(difference.compared == both.count)
            let changed = both.filter { old[$0] != new[$0] }.prefix(FireDifference.mostListed)
            #expect(difference.changed.map(\.scheduledFor) == Array(changed))
            #expect(difference.changed.map(\.dueBefore) == changed.map { old[$0] })
            #expect(difference.changed.map(\.dueAfter) == changed.map { new[$0] })
        }
    }

    private static func random() -> [Instant] {
        instants(Set((0..<Int.random(in: 0...150)).map { _ in Int.random(in: 0...200) }).sorted())
    }

    @Test("Where there are too many it ends early, and what it tells holds through where it ended")
    func endsEarly() {
        let every = Self.instants(stride(from: 0, to: 1_000_000, by: 10))
        let half = Self.instants(stride(from: 0, to: 1_000_000, by: 20))
        let horizon = Instant(milliseconds: 900_000)
        let difference = FireDifference(before: every, after: half, through: horizon, most: 1001)
        #expect(difference.isTruncated && difference.until == Instant(milliseconds: 10_000))
        #expect(difference.removed == 500 && difference.added == 0)
        #expect(difference.beforeCount == 1001 && difference.afterCount == 501)
        #expect(difference.before.count == FireDifference.mostListed)
        // As many as are compared, and no more, is no early end.
        let exact = FireDifference(before: every, after: half, through: difference.until, most: 1001)
        #expect(!exact.isTruncated && exact.removed == 500)
    }

    @Test("Upcoming fires are the source's occurrences, as many as are left")
    func upcoming() {
        let source = OccurrenceSource(
            recurrence: .interval(periodMilliseconds: 1000, anchor: Instant(milliseconds: 0)))
        let first = source.next(after: Instant(milliseconds: 1500))
        let all = UpcomingFires(of: source, placement: nil, from: first)
        #expect(Array(all.prefix(3)) == Self.instants([2000, 3000, 4000]))
        #expect(Array(UpcomingFires(of: source, placement: nil, from: first, left: 2)) == Self.instants([2000, 3000]))
        #expect(Array(UpcomingFires.none).isEmpty)
    }

    @Test("A definition whose pairs come in another order says the same; whose payload has another byte does not")
    func says() throws {
        var one = ScheduleDefinition(
            name: try ScheduleName("n"), timing: Timing(type: .immediate), target: try TargetSubject("a.b"))
        one.metadata = [UserHeader(name: "a", value: "1"), UserHeader(name: "b", value: "2")]
        one.payload = Array(#"{"a":1}"#.utf8)
        var other = one
        other.metadata.reverse()
        #expect(one.says(sameAs: other) && one != other)
        other.payload = Array(#"{"a": 1}"#.utf8)
        #expect(!one.says(sameAs: other))
        other = one
        other.metadata[0] = UserHeader(name: "a", value: "2")
        #expect(!one.says(sameAs: other))
    }
}
