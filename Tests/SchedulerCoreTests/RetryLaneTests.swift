import SchedulerCore
import TestSupport
import Testing

@Suite("What waits for silent targets waits apart") struct RetryLaneTests {
    private typealias Lane = RetryLane<String, Int>

    /// Milliseconds as the lane counts time.
    private func ms(_ milliseconds: Int64) -> Int64 { milliseconds * 1_000_000 }

    private func lane(share: Int = 8, together: Int = 4, items: Int = 0, target: String = "t") -> Lane {
        var lane = Lane(share: share, together: together)
        for item in 0..<items { lane.enter(item, dueAt: Int64(item), for: target, at: 0) }
        return lane
    }

    private func taken(_ lane: inout Lane, at milliseconds: Int64) -> [Int] {
        var taken: [Int] = []
        while let item = lane.take(at: ms(milliseconds), where: { _ in true }) { taken.append(item) }
        return taken
    }

    @Test("A silent target is asked by one item at a time, after 50 ms doubling to 5 s, and by another each time")
    func probes() {
        var lane = lane(items: 3)
        var now: Int64 = 0
        for (turn, pause) in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000].enumerated() {
            #expect(lane.nextAt == ms(now + Int64(pause)))
            #expect(taken(&lane, at: now + Int64(pause) - 1).isEmpty)
            now += Int64(pause)
            #expect(taken(&lane, at: now) == [turn % 3])
            #expect(lane.inFlight == 1 && lane.nextAt == nil)
            lane.unanswered(turn % 3, dueAt: Int64(turn % 3), by: "t", at: ms(now))
        }
        #expect(lane.inFlight == 0)
    }

    @Test("The first answer lets the others out in the order of their due times, so many together")
    func flows() {
        var lane = lane(together: 4)
        for item in [5, 3, 9, 1, 7, 2] { lane.enter(item, dueAt: Int64(item), for: "t", at: 0) }
        #expect(taken(&lane, at: 50) == [1])
        // What falls due meanwhile joins the line, at its place.
        lane.enter(4, dueAt: 4, for: "t", at: ms(60))
        #expect(taken(&lane, at: 10_000).isEmpty)
        lane.answered(by: "t", at: ms(10_000))
        #expect(taken(&lane, at: 10_000) == [2, 3, 4, 5])
        lane.answered(by: "t", at: ms(10_000))
        #expect(taken(&lane, at: 10_000) == [7])
        for _ in 0..<3 { lane.answered(by: "t", at: ms(10_001)) }
        #expect(taken(&lane, at: 10_001) == [9] && lane.holds("t"))
        for _ in 0..<2 { lane.answered(by: "t", at: ms(10_002)) }
        #expect(lane.isEmpty && !lane.holds("t") && lane.inFlight == 0)
    }

    @Test("What is given up unsent says nothing of its target: the next one is the probe, at once")
    func withheld() {
        var lane = lane(items: 3)
        #expect(taken(&lane, at: 50) == [0])
        lane.unanswered(0, dueAt: 0, by: "t", at: ms(50))
        #expect(taken(&lane, at: 150) == [1])
        lane.withheld(for: "t", at: ms(150))
        // One probe, not all: the target has not answered.
        #expect(taken(&lane, at: 150) == [2])
        lane.withheld(for: "t", at: ms(150))
        #expect(taken(&lane, at: 150) == [0])
        lane.withheld(for: "t", at: ms(150))
        #expect(lane.isEmpty && lane.inFlight == 0)
    }

    @Test("A target that falls silent while it flows is one silence, however many were under way")
    func fallsSilentAgain() {
        var lane = lane(items: 6)
        #expect(taken(&lane, at: 50) == [0])
        lane.answered(by: "t", at: ms(50))
        #expect(taken(&lane, at: 50) == [1, 2, 3, 4])
        for item in [3, 1, 4] { lane.unanswered(item, dueAt: Int64(item), by: "t", at: ms(60)) }
        // The last of them decides.
        #expect(lane.nextAt == nil && taken(&lane, at: 60).isEmpty)
        lane.unanswered(2, dueAt: 2, by: "t", at: ms(70))
        #expect(lane.nextAt == ms(170))
        #expect(taken(&lane, at: 170) == [2])
        lane.answered(by: "t", at: ms(170))
        #expect(taken(&lane, at: 170) == [1, 3, 4, 5])
    }

    @Test("A lost connection is no silence: the pause is short and does not grow")
    func connectionLost() {
        var lane = lane(items: 1)
        var now: Int64 = 50
        for _ in 0..<20 {
            #expect(taken(&lane, at: now) == [0])
            lane.unsent(0, dueAt: 0, to: "t", at: ms(now))
            now += 50
            #expect(lane.nextAt == ms(now))
        }
    }

    @Test("All targets together keep to the share, and take turns in it")
    func shares() {
        var lane = Lane(share: 6, together: 4)
        for target in 0..<3 {
            for item in 0..<10 { lane.enter(target * 100 + item, dueAt: Int64(item), for: "\(target)", at: 0) }
        }
        #expect(taken(&lane, at: 50).sorted() == [0, 100, 200])
        for target in 0..<3 { lane.answered(by: "\(target)", at: ms(50)) }
        #expect(taken(&lane, at: 50) == [1, 101, 201, 2, 102, 202])
        #expect(lane.inFlight == 6 && lane.nextAt == nil)
        lane.answered(by: "1", at: ms(51))
        #expect(lane.nextAt == 0 && taken(&lane, at: 51) == [3])
    }

    @Test("What nobody wants any more is forgotten, and with the last of it the line")
    func forgets() {
        var lane = lane(items: 4)
        #expect(lane.take(at: ms(50)) { $0 == 2 } == 2)
        lane.unanswered(2, dueAt: 2, by: "t", at: ms(50))
        #expect(lane.take(at: ms(5000)) { _ in false } == nil)
        #expect(lane.isEmpty && lane.inFlight == 0 && lane.nextAt == nil)
    }

    @Test("Whatever goes in is answered once in the end, and no bound is passed", arguments: 1...10)
    func losesNothing(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var lane = Lane(share: 7, together: 3)
        var underWay: [Int] = []
        var answered: [Int] = []
        var entered = 0
        var now: Int64 = 0
        let target = { (item: Int) in "\(item % 5)" }
        while answered.count < 300 {
            now += Int64.random(in: 0...40, using: &random)
            if entered < 300 {
                lane.enter(entered, dueAt: Int64(entered), for: target(entered), at: ms(now))
                entered += 1
            }
            underWay += taken(&lane, at: now)
            #expect(underWay.count == lane.inFlight && lane.inFlight <= 7)
            for name in 0..<5 { #expect(underWay.count { $0 % 5 == name } <= 3) }
            guard !underWay.isEmpty, Bool.random(using: &random) else { continue }
            let item = underWay.remove(at: Int.random(in: 0..<underWay.count, using: &random))
            switch Int.random(in: 0..<4, using: &random) {
            case 0: lane.unanswered(item, dueAt: Int64(item), by: target(item), at: ms(now))
            case 1: lane.unsent(item, dueAt: Int64(item), to: target(item), at: ms(now))
            default:
                lane.answered(by: target(item), at: ms(now))
                answered.append(item)
            }
        }
        #expect(answered.sorted() == Array(0..<300) && lane.isEmpty)
    }
}
