import Recurrence
import SchedulerCore
import Testing

/// Limits that executions of several schedules share: whose places they need, and who has the next one.
@Suite("Concurrency limits") struct ConcurrencyTests {
    private static func id(_ number: UInt64) -> ScheduleID {
        ScheduleID(UUIDValue(high: 0x0199_0000_0000_7000, low: 0x8000_0000_0000_0000 + number))
    }

    private static func at(_ second: Int) -> Instant { Instant(milliseconds: 1_800_000_000_000 + Int64(second) * 1000) }

    private func rule(_ namespace: String?, _ subject: String, _ most: Int?) throws -> TargetRule {
        var rule = TargetRule(
            namespace: try namespace.map { try Namespace($0) }, subject: try SubjectPattern(subject),
            delivery: [.core], maxPayloadBytes: nil)
        rule.maxInFlight = most
        return rule
    }

    @Test(
        "A target's bound is the most specific one that the namespace's entries say",
        arguments: [
            ("a", "demo.x", "demo.x 2"), ("b", "demo.x", "demo.x 2"), ("a", "demo.y", "demo.* 3"),
            ("b", "demo.y", "demo.* 4"), ("a", "demo.y.z", "demo.> 9"), ("a", "other", "none"), ("a", "free.x", "none"),
        ])
    func targets(namespace: String, target: String, expected: String) throws {
        let rules = TargetRules(
            rules: [
                try rule(nil, "demo.>", 9), try rule(nil, "demo.*", 4), try rule("a", "demo.*", 3),
                try rule("a", "demo.*", 8), try rule(nil, "demo.x", 2), try rule("a", "demo.x", nil),
                try rule(nil, "free.>", nil),
            ], ownPrefix: "scheduler")
        let limit = rules.limit(of: try TargetSubject(target), for: try Namespace(namespace))
        #expect((limit.map { "\($0.subject) \($0.places)" } ?? "none") == expected)
    }

    @Test("What is not tracked is bound by nothing; a key is its namespace's own")
    func names() throws {
        let rules = TargetRules(rules: [try rule(nil, "demo.>", 9)], ownPrefix: "scheduler")
        var definition = ScheduleDefinition(
            name: try ScheduleName("n"), timing: Timing(type: .immediate), target: try TargetSubject("demo.a"))
        definition.concurrencyKey = "deploy/eu"
        let space = try Namespace("ops")
        #expect(ConcurrencyLimits(of: definition, in: space, under: rules).isEmpty)
        definition.completion = .report
        let limits = ConcurrencyLimits(of: definition, in: space, under: rules)
        #expect(limits.names == ConcurrencyNames(key: "ops/deploy/eu", target: "demo.>") && limits.targetPlaces == 9)
        definition.concurrencyKey = nil
        let bare = TargetRules(rules: [try rule(nil, "demo.>", nil)], ownPrefix: "scheduler")
        #expect(ConcurrencyLimits(of: definition, in: space, under: bare).isEmpty)
        for (key, isGood) in [
            ("k", true), (String(repeating: "ü", count: 128), true), (String(repeating: "k", count: 129), false),
            ("", false), ("a\nb", false), ("a\u{7F}", false),
        ] { #expect((ConcurrencyLimits.problem(of: key) == nil) == isGood, "\(key)") }
    }

    private func limits(_ key: String?, _ target: String? = nil, places: Int = .max) -> ConcurrencyLimits {
        ConcurrencyLimits(ConcurrencyNames(key: key, target: target), targetPlaces: places)
    }

    @Test("Free is what nobody holds, unclaimed what nobody waits for either; a key that nobody named has one place")
    func rooms() {
        var book = ConcurrencyBook(
            keys: ["k": ConcurrencyBook.Standing(places: 3, open: 1, waiting: 1)],
            targets: ["t": ConcurrencyBook.Standing(open: 4)])
        #expect(book.free(limits(nil)) == .max && book.unclaimed(limits(nil)) == .max)
        #expect(book.free(limits("k")) == 2 && book.unclaimed(limits("k")) == 1)
        #expect(book.free(limits("k", "t", places: 5)) == 1 && book.free(limits("k", "t", places: 4)) == 0)
        // Lowered below what is open: nothing is free, and nobody is stopped.
        #expect(book.free(limits(nil, "t", places: 2)) == 0)
        #expect(book.free(limits("new")) == 1)
        book.note(opened: 1, waiting: 0, limits("new", "t"))
        #expect(book.free(limits("new")) == 0 && book.targets["t"]?.open == 5)
    }

    private func queue(_ number: UInt64, _ limits: ConcurrencyLimits, _ since: [Int]) -> ConcurrencyBook.Queue {
        ConcurrencyBook.Queue(schedule: Self.id(number), limits: limits, since: since.map(Self.at))
    }

    @Test("Who waits longest is first, whichever schedule it is of; two limits are taken together or not at all")
    func grants() {
        var book = ConcurrencyBook(keys: ["k": ConcurrencyBook.Standing(places: 3)])
        #expect(
            book.grant([
                queue(1, limits("k"), [5, 6, 7]), queue(2, limits("k"), [1, 9]), queue(3, limits("k"), [6]),
                queue(4, limits("other"), [9, 10]), queue(5, limits(nil), []),
            ]) == [Self.id(1): 2, Self.id(2): 1, Self.id(4): 1])
        // A crowd of one schedule is before those that came later, and not before those that came earlier.
        var crowd = ConcurrencyBook(keys: ["k": ConcurrencyBook.Standing(places: 2)])
        #expect(
            crowd.grant([
                queue(1, limits("k"), Array(10..<110)), queue(2, limits("k"), [10]), queue(3, limits("k"), [3]),
            ])
                == [Self.id(3): 1, Self.id(1): 1])
        var both = ConcurrencyBook(
            keys: ["k": ConcurrencyBook.Standing(places: 1)], targets: ["t": ConcurrencyBook.Standing(open: 1)])
        #expect(
            both.grant([queue(1, limits("k", "t", places: 1), [1]), queue(2, limits("k"), [2])]) == [Self.id(2): 1])
    }

    @Test("Never more than there are places, and none is left while somebody waits")
    func grantsAll() {
        for places in 0...4 {
            for open in 0...4 {
                var book = ConcurrencyBook(keys: ["k": ConcurrencyBook.Standing(places: places, open: open)])
                let queues = (1...3).map { number in
                    queue(UInt64(number), limits("k"), (0..<number).map { $0 * 3 + number })
                }
                let granted = book.grant(queues).values.reduce(0, +)
                #expect(granted == min(6, max(0, places - open)))
                #expect(book.keys["k"]?.open == open + granted)
            }
        }
    }
}

/// Overlap policies where a limit leaves fewer places than the schedule's own.
@Suite("Overlap under limits") struct LimitedOverlapTests {
    private func decide(
        _ policy: OverlapPolicy, _ places: Int, _ count: Int, open: Int, waiting: Int, shared: Int
    ) -> String {
        let decision = OverlapRule(policy, places: places).decide(count, open: open, waiting: waiting, shared: shared)
        let letters = decision.verdicts.map { verdict in
            switch verdict {
            case .opens: "o"
            case .waits: "w"
            case .skipped(.overlap): "x"
            case .skipped: "s"
            }
        }
        return letters.joined() + (decision.supersedesWaiting ? "!" : "")
    }

    @Test(
        "Who waits for a limit holds its own place",
        arguments: [
            (OverlapPolicy.skip, 1, 1, 0, 0, 0, "w"), (.skip, 1, 2, 0, 0, 0, "wx"), (.skip, 1, 1, 0, 1, 0, "x"),
            (.skip, 3, 4, 0, 0, 2, "oowx"), (.skip, 1, 1, 1, 0, 0, "x"), (.skip, 1, 1, 0, 0, 1, "o"),
            (.bufferOne, 1, 3, 0, 0, 0, "wwx"), (.bufferOne, 1, 1, 0, 2, 0, "x"), (.bufferOne, 1, 1, 1, 0, 0, "w"),
            (.buffer, 1, 3, 0, 0, 1, "oww"), (.buffer, 1, 3, 0, 99, 0, "wwx"),
            (.allow, 1, 3, 5, 0, 1, "oww"), (.allow, 1, 3, 5, 98, 0, "wwx"),
            (.cancelPrevious, 1, 1, 0, 0, 0, "w"), (.cancelPrevious, 1, 1, 0, 1, 0, "w!"),
            (.cancelPrevious, 1, 3, 0, 0, 0, "ssw"), (.cancelPrevious, 1, 1, 1, 0, 0, "w"),
        ])
    func verdicts(
        _ policy: OverlapPolicy, _ places: Int, _ count: Int, _ open: Int, _ waiting: Int, _ shared: Int,
        _ expected: String
    ) {
        #expect(decide(policy, places, count, open: open, waiting: waiting, shared: shared) == expected)
    }

    @Test("Several at once end as each after the other, and never more open than the limit leaves")
    func bounds() {
        for policy in OverlapPolicy.allCases where policy != .cancelPrevious {
            for places in 1...3 {
                for open in 0...3 {
                    for waiting in 0...3 {
                        for shared in 0...4 {
                            follow(OverlapRule(policy, places: places), open: open, waiting: waiting, shared: shared)
                        }
                    }
                }
            }
        }
    }

    private func follow(_ rule: OverlapRule, open: Int, waiting: Int, shared: Int) {
        let verdicts = rule.decide(5, open: open, waiting: waiting, shared: shared).verdicts
        #expect(verdicts.count { $0 == .opens } <= shared)
        var (open, waiting, shared) = (open, waiting, shared)
        for verdict in verdicts {
            #expect(rule.decide(1, open: open, waiting: waiting, shared: shared).verdicts == [verdict])
            if verdict == .opens { (open, shared) = (open + 1, shared - 1) }
            if verdict == .waits { waiting += 1 }
        }
    }
}
