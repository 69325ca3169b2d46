import Recurrence
import SchedulerCore
import Testing

/// semantics.md §4: who has a place, who waits, who is left out.
@Suite("Overlap") struct OverlapTests {
    /// One letter a verdict: opens, waits, skipped for overlap, superseded.
    private func decide(
        _ policy: OverlapPolicy, _ places: Int, _ count: Int, open: Int, waiting: Int = 0
    ) -> String {
        let decision = OverlapRule(policy, places: places).decide(count, open: open, waiting: waiting)
        let letters = decision.verdicts.map { verdict in
            switch verdict {
            case .opens: "o"
            case .waits: "w"
            case .skipped(.overlap): "x"
            case .skipped(.superseded): "s"
            case .skipped: "?"
            }
        }
        return letters.joined() + (decision.supersedesWaiting ? "!" : "")
    }

    @Test(
        "Each policy, by what is open and what waits",
        arguments: [
            (OverlapPolicy.skip, 1, 1, 0, 0, "o"), (.skip, 1, 3, 0, 0, "oxx"), (.skip, 1, 1, 1, 0, "x"),
            (.skip, 3, 4, 1, 0, "ooxx"), (.skip, 1, 1, 5, 0, "x"),
            (.bufferOne, 1, 3, 0, 0, "owx"), (.bufferOne, 1, 2, 1, 0, "wx"), (.bufferOne, 1, 1, 1, 1, "x"),
            (.bufferOne, 2, 4, 1, 0, "owxx"), (.bufferOne, 1, 1, 3, 0, "w"),
            // A place is free and somebody waits for it: who comes next waits behind him.
            (.bufferOne, 1, 1, 0, 1, "w"), (.bufferOne, 2, 1, 0, 1, "o"),
            (.buffer, 1, 3, 1, 0, "www"), (.buffer, 1, 3, 1, 98, "wwx"), (.buffer, 1, 1, 0, 100, "w"),
            (.allow, 1, 3, 7, 0, "ooo"),
            (.cancelPrevious, 1, 1, 0, 0, "o"), (.cancelPrevious, 1, 1, 1, 0, "w"),
            (.cancelPrevious, 1, 1, 1, 1, "w!"), (.cancelPrevious, 1, 3, 1, 0, "ssw"),
            (.cancelPrevious, 1, 3, 0, 0, "sso"), (.cancelPrevious, 2, 3, 1, 0, "sso"),
            (.cancelPrevious, 2, 2, 0, 0, "oo"), (.cancelPrevious, 1, 1, 0, 1, "o!"),
        ])
    func verdicts(
        _ policy: OverlapPolicy, _ places: Int, _ count: Int, _ open: Int, _ waiting: Int, _ expected: String
    ) {
        #expect(decide(policy, places, count, open: open, waiting: waiting) == expected)
    }

    @Test("Never more than its places, never more than its room, and several at once end as each after the other")
    func bounds() {
        for policy in OverlapPolicy.allCases {
            for (places, count, open, waiting) in Self.combinations {
                let rule = OverlapRule(policy, places: places)
                let decision = rule.decide(count, open: open, waiting: waiting)
                #expect(decision.verdicts.count == count)
                let opened = decision.verdicts.count { $0 == .opens }
                let waits = (decision.supersedesWaiting ? 0 : waiting) + decision.verdicts.count { $0 == .waits }
                if policy != .allow {
                    #expect(opened <= max(0, places - open))
                    let queue = waits - max(0, places - open - opened)
                    #expect(queue <= max(rule.room, waiting))
                }
                guard policy != .cancelPrevious else { continue }
                var (nowOpen, nowWaiting) = (open, waiting)
                for verdict in decision.verdicts {
                    #expect(rule.decide(1, open: nowOpen, waiting: nowWaiting).verdicts == [verdict])
                    if verdict == .opens { nowOpen += 1 }
                    if verdict == .waits { nowWaiting += 1 }
                }
            }
        }
    }

    private static var combinations: [(Int, Int, Int, Int)] {
        (1...3).flatMap { places in
            (0...4).flatMap { count in
                (0...4).flatMap { open in (0...3).map { (places, count, open, $0) } }
            }
        }
    }

    @Test("Whoever waits longest has the next place; for the newest the running one is asked to stop, once")
    func turns() {
        func turn(_ policy: OverlapPolicy, _ places: Int, open: Int, stopping: Int = 0, waiting: Int) -> [Int] {
            let turn = OverlapRule(policy, places: places).turn(open: open, stopping: stopping, waiting: waiting)
            return [turn.superseded, turn.opened, turn.stopped]
        }
        #expect(turn(.buffer, 1, open: 1, waiting: 5) == [0, 0, 0])
        #expect(turn(.buffer, 1, open: 0, waiting: 5) == [0, 1, 0])
        #expect(turn(.buffer, 3, open: 1, waiting: 5) == [0, 2, 0])
        #expect(turn(.allow, 1, open: 9, waiting: 5) == [0, 5, 0])
        #expect(turn(.skip, 1, open: 0, waiting: 1) == [0, 1, 0])
        #expect(turn(.cancelPrevious, 1, open: 1, waiting: 1) == [0, 0, 1])
        #expect(turn(.cancelPrevious, 1, open: 1, stopping: 1, waiting: 1) == [0, 0, 0])
        #expect(turn(.cancelPrevious, 1, open: 0, waiting: 1) == [0, 1, 0])
        #expect(turn(.cancelPrevious, 1, open: 1, waiting: 4) == [3, 0, 1])
        #expect(turn(.cancelPrevious, 2, open: 2, waiting: 1) == [0, 0, 1])
        #expect(turn(.cancelPrevious, 1, open: 3, waiting: 1) == [0, 0, 3])
        #expect(turn(.cancelPrevious, 1, open: 1, waiting: 0) == [0, 0, 0])
    }

    @Test("Those that wait all get their places in the end, whatever the order of ends and looks")
    func drains() {
        for policy in OverlapPolicy.allCases where policy != .cancelPrevious {
            var (open, waiting, opened) = (2, 7, 0)
            let rule = OverlapRule(policy, places: 2)
            while waiting > 0 {
                let turn = rule.turn(open: open, stopping: 0, waiting: waiting)
                #expect(turn.superseded == 0 && turn.stopped == 0)
                waiting -= turn.opened
                opened += turn.opened
                open += turn.opened
                if policy != .allow { #expect(open <= 2) }
                open = max(0, open - 1)
            }
            #expect(opened == 7)
        }
    }
}

/// What a claim makes of a plan whose fires share places.
@Suite("Overlap in a claim") struct OverlapPlanTests {
    private static let id = ScheduleID(UUIDValue(high: 0x0199_0000_0000_7000, low: 0x8000_0000_0000_0001))

    private func occurrence(_ second: Double) -> WaitingOccurrence {
        WaitingOccurrence(
            occurrence: Occurrence(schedule: Self.id, generation: 1, scheduledFor: at(second)), dueAt: at(second),
            trigger: .interval, since: at(second))
    }

    private func claim(
        _ planner: ClaimPlanner, _ policy: OverlapPolicy, places: Int = 1, open: Int, waiting: [Double] = [],
        next: Double, now: Double, horizon: Double? = nil, runs: Int64 = 0
    ) -> OverlapPlan {
        let rule = OverlapRule(policy, places: places)
        let room = rule.free(open: open, waiting: waiting.count)
        let plan = planner.plan(
            nextFireAt: at(next), runCount: runs, now: at(now), horizon: at(horizon ?? now), room: room)
        return OverlapPlan(
            plan, of: Self.id, generation: 1, planner, rule,
            Occupancy(open: open, waiting: waiting.map(occurrence)), at: at(now))
    }

    @Test("What is not due yet takes a free place, and is left in its timer where there is none")
    func leavesWhatIsNotDue() {
        let free = claim(planner(every(1)), .skip, open: 0, next: 10, now: 9.2, horizon: 12)
        #expect(free.plan.fired == [10] && free.plan.next == 11 && free.plan.skips.isEmpty)
        let taken = claim(planner(every(1)), .skip, open: 1, next: 10, now: 9.2, horizon: 12)
        #expect(taken.plan.fired.isEmpty && taken.plan.next == 10 && taken.plan.skips.isEmpty)
        let timer = Timer(schedule: Self.id, nextFireAt: at(10))
        #expect(taken.plan.leaves(timer) && !free.plan.leaves(timer))
    }

    @Test("What is due and has no place is skipped, waits, or has what waited give way")
    func decidesWhatIsDue() {
        let skipped = claim(planner(every(1)), .skip, open: 1, next: 10, now: 10, runs: 4)
        #expect(skipped.plan.fired.isEmpty && skipped.plan.skipped == ["overlap 1"])
        #expect(skipped.plan.next == 11 && skipped.plan.runCount == 4)
        let waits = claim(planner(every(1)), .bufferOne, open: 1, next: 10, now: 10, runs: 4)
        #expect(waits.waiting.map(\.id) == [occurrence(10).id] && waits.plan.skips.isEmpty)
        #expect(waits.plan.next == 11 && waits.plan.runCount == 5)
        let newest = claim(planner(every(1)), .cancelPrevious, open: 1, waiting: [9], next: 10, now: 10, runs: 5)
        #expect(newest.superseded.map(\.id) == [occurrence(9).id] && newest.waiting.map(\.id) == [occurrence(10).id])
        #expect(newest.plan.runCount == 5)
    }

    @Test("Several that are made up count one after the other; what finds no place is skipped for overlap alone")
    func countsCatchUp() {
        let all = planner(every(60), .fireAll)
        let skip = claim(all, .skip, open: 0, next: 60, now: 250)
        #expect(skip.plan.fired == [60] && skip.plan.skipped == ["overlap 3"] && skip.plan.runCount == 1)
        let many = claim(all, .skip, places: 2, open: 1, next: 60, now: 60 * 30 + 1)
        #expect(many.plan.fired == [60] && many.plan.skipped == ["overlap 29"])
        #expect(many.plan.skips[0].instants.isEmpty && many.plan.skips[0].from == at(120))
        let one = claim(all, .bufferOne, open: 0, next: 60, now: 250)
        #expect(one.plan.fired == [60] && one.waiting.map(\.dueAt) == [at(120)] && one.plan.skipped == ["overlap 2"])
        let buffer = claim(all, .buffer, open: 1, next: 60, now: 250)
        #expect(buffer.plan.fired.isEmpty && buffer.waiting.count == 4 && buffer.plan.runCount == 4)
        let newest = claim(all, .cancelPrevious, open: 0, next: 60, now: 250)
        #expect(newest.plan.fired == [240] && newest.plan.skipped == ["superseded 3"])
        let once = claim(planner(every(60)), .skip, open: 1, next: 60, now: 250)
        #expect(once.plan.fired.isEmpty && once.plan.skipped == ["coalesced 3", "overlap 1"])
    }

    @Test("A skip is no run: the bound on what is fired ends a schedule only when so many were")
    func countsRuns() {
        let three = planner(every(60), .fireAll, runs: 3)
        let skipped = claim(three, .skip, open: 1, next: 60, now: 60 * 5 + 1)
        #expect(skipped.plan.runCount == 0 && skipped.plan.skipped == ["overlap 3"] && skipped.plan.next == 240)
        let waits = claim(three, .buffer, open: 1, next: 60, now: 60 * 5 + 1)
        #expect(waits.plan.runCount == 3 && waits.plan.next == nil && waits.waiting.count == 3)
        let once = claim(
            planner(OccurrenceSource(recurrence: .once(at(60))), runs: 1), .skip, open: 1, next: 60, now: 60)
        #expect(once.plan.isLast && once.plan.skipped == ["overlap 1"])
    }

    @Test("What waits already and is met once more is neither counted nor fired twice")
    func meetsItselfOnce() {
        let again = claim(planner(every(60), .fireAll), .buffer, open: 1, waiting: [60], next: 60, now: 130, runs: 1)
        #expect(again.waiting.map(\.dueAt) == [at(120)] && again.plan.runCount == 2)
    }

    @Test("What waited and was skipped is taken back from the count, and its schedule goes on where that had ended it")
    func takesBack() {
        let three = planner(every(60), runs: 3)
        var timer = Timer(schedule: Self.id, nextFireAt: nil, runCount: 3)
        three.takeBack([occurrence(120), occurrence(180)], from: &timer, at: at(190))
        #expect(timer.runCount == 1 && timer.nextFireAt == at(240))
        var going = Timer(schedule: Self.id, nextFireAt: at(300), runCount: 2)
        three.takeBack([occurrence(120)], from: &going, at: at(190))
        #expect(going.runCount == 1 && going.nextFireAt == at(300))
        var other = Timer(schedule: Self.id, nextFireAt: nil, runCount: 3, generation: 2)
        three.takeBack([occurrence(120)], from: &other, at: at(190))
        #expect(other.runCount == 3 && other.nextFireAt == nil)
    }

    @Test("Occurrences that a calendar leaves out between skipped ones have rows of their own")
    func sharesNoRange() {
        // A window of fires that are not neighbours: one run would count what lies between them too.
        let plan = planner(every(120), .fireAll).plan(
            nextFireAt: at(120), runCount: 0, now: at(241), horizon: at(241))
        let placed = OverlapPlan(
            plan, of: Self.id, generation: 1, planner(every(60)), OverlapRule(.skip, places: 1), Occupancy(open: 1),
            at: at(241))
        #expect(placed.plan.skips.map(\.instants) == [[at(120)], [at(240)]])
    }
}
