import Recurrence
import SchedulerCore
import TestSupport
import Testing

@Suite("Claimed occurrences wait for their time, then for their turn") struct FireQueueTests {
    private func taken(_ queue: inout FireQueue<String>, _ kind: FireClass = .onTime, now: Double) -> [String] {
        queue.ripen(now: at(now))
        var taken: [String] = []
        while let item = queue.take(kind, now: at(now)) { taken.append(item) }
        return taken
    }

    @Test("Nothing is taken before it is due, to the millisecond")
    func waits() {
        var queue = FireQueue<String>()
        queue.insert("a", dueAt: at(1), priority: 5, kind: .onTime)
        #expect(queue.nextDueAt == at(1))
        #expect(taken(&queue, now: 0.999).isEmpty)
        #expect(queue.readyCount(.onTime) == 0 && queue.count == 1)
        #expect(taken(&queue, now: 1) == ["a"])
        #expect(queue.count == 0 && queue.nextDueAt == nil)
    }

    @Test("At one instant the higher priority goes first, and equals in the order in which they came")
    func ordersByPriority() {
        var queue = FireQueue<String>()
        for (name, priority) in [("low", 0), ("five", 5), ("high", 9), ("five too", 5), ("beyond", 99), ("below", -3)] {
            queue.insert(name, dueAt: at(0), priority: Int16(priority), kind: .onTime)
        }
        let order = taken(&queue, now: 0)
        #expect(order == ["high", "beyond", "five", "five too", "low", "below"])
    }

    @Test("Within a priority the earlier due time goes first, whatever came first")
    func ordersByDueTime() {
        var queue = FireQueue<String>()
        queue.insert("later", dueAt: at(2), priority: 5, kind: .onTime)
        queue.insert("earlier", dueAt: at(1), priority: 5, kind: .onTime)
        #expect(taken(&queue, now: 3) == ["earlier", "later"])
    }

    @Test("Five seconds of waiting lift by one level, not less, so that nothing starves")
    func ages() {
        var queue = FireQueue<String>()
        queue.insert("old", dueAt: at(0), priority: 4, kind: .onTime)
        queue.insert("new", dueAt: at(4.999), priority: 5, kind: .onTime)
        #expect(taken(&queue, now: 4.999) == ["new", "old"])
        queue.insert("old", dueAt: at(0), priority: 4, kind: .onTime)
        queue.insert("new", dueAt: at(5), priority: 5, kind: .onTime)
        // One level: equals, and the earlier goes first.
        #expect(taken(&queue, now: 5) == ["old", "new"])
        queue.insert("ancient", dueAt: at(0), priority: 0, kind: .onTime)
        queue.insert("new", dueAt: at(50), priority: 9, kind: .onTime)
        #expect(taken(&queue, now: 50) == ["ancient", "new"])
    }

    @Test("A class is taken by itself: what is late never stands in front of what is on time")
    func separatesClasses() {
        var queue = FireQueue<String>()
        queue.insert("misfired", dueAt: at(0), priority: 9, kind: .misfired)
        queue.insert("late", dueAt: at(1), priority: 9, kind: .withinGrace)
        queue.insert("on time", dueAt: at(2), priority: 0, kind: .onTime)
        queue.ripen(now: at(2))
        #expect(FireClass.allCases.map { queue.readyCount($0) } == [1, 1, 1, 0])
        #expect(queue.take(.onTime, now: at(2)) == "on time")
        #expect(queue.take(.onTime, now: at(2)) == nil)
        #expect(queue.take(.withinGrace, now: at(2)) == "late")
        #expect(queue.take(.misfired, now: at(2)) == "misfired")
    }

    @Test("removeAll gives what waits and what is ready, each once")
    func empties() {
        var queue = FireQueue<String>()
        queue.insert("ready", dueAt: at(0), priority: 5, kind: .onTime)
        queue.insert("waiting", dueAt: at(9), priority: 5, kind: .misfired)
        queue.ripen(now: at(0))
        #expect(queue.removeAll().sorted() == ["ready", "waiting"])
        #expect(queue.count == 0 && queue.readyCount(.onTime) == 0)
    }

    @Test("Whatever goes in comes out once, and no pair in the wrong order", arguments: 1...5)
    func keepsOrder(seed: UInt64) {
        struct Item: Equatable {
            let number: Int
            let due: Int64
            let priority: Int16
        }
        var random = SeededGenerator(seed: seed)
        var queue = FireQueue<Item>()
        let items = (0..<500).map { number in
            Item(
                number: number, due: Int64.random(in: 0...4000, using: &random),
                priority: Int16.random(in: 0...9, using: &random))
        }
        for item in items {
            queue.insert(item, dueAt: dawn.adding(milliseconds: item.due), priority: item.priority, kind: .onTime)
        }
        queue.ripen(now: at(4))
        var taken: [Item] = []
        while let item = queue.take(.onTime, now: at(4)) { taken.append(item) }
        #expect(taken.map(\.number).sorted() == items.map(\.number))
        // Nobody has waited for 5 s: priority decides, then the due time.
        for (before, after) in zip(taken, taken.dropFirst()) {
            #expect((-before.priority, Int16(before.due)) <= (-after.priority, Int16(after.due)))
        }
    }
}

@Suite("How far ahead claims begin") struct LookaheadTests {
    @Test(
        "A second as a rule, earlier where more is due than can be claimed in time",
        arguments: [
            ([], 8000.0, 1000), ([100, 100, 100], 8000, 1000), ([0, 0, 0, 0, 100_000], 100_000, 1000),
            // Half of 8000/s is relied upon: 100,000 take 25 s and a margin of one.
            (Array(repeating: 0, count: 25) + [100_000], 8000, 26_000),
            (Array(repeating: 0, count: 28) + [100_000], 8000, 1000),
            // Never less than 1000/s is relied upon, and nothing is claimed more than 30 s ahead.
            ([0, 0, 1500], 0, 3000), (Array(repeating: 100_000, count: 60), 8000, 30_000),
        ] as [([Int], Double, Int64)])
    func stretches(due: [Int], speed: Double, expected: Int64) {
        #expect(Lookahead.milliseconds(dueBySecond: due, claimsPerSecond: speed) == expected)
    }

    @Test("A claim that begins when it says has time to end", arguments: 1...20)
    func suffices(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let due = (0..<30).map { _ in
            Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 0...20_000, using: &random) : 0
        }
        let speed = 20_000.0
        let ahead = Lookahead.milliseconds(dueBySecond: due, claimsPerSecond: speed)
        var sum = 0
        for (second, count) in due.enumerated() where Int64(second) * 1000 >= ahead {
            sum = due[...second].reduce(0, +)
            // What lies beyond the look-ahead can still be claimed in the time that is left.
            if count > 0 { #expect(Double(sum) / (speed * Lookahead.reliance) <= Double(second + 1)) }
        }
    }
}
