import Recurrence
import SchedulerCore
import Testing

/// What a rehearsal foresees under calendars, windows and freezes.
@Suite("Foreseen fires") struct ForeseenFiresTests {
    private let hour = 3600.0

    private func freeze(_ from: Double, _ until: Double, _ mode: FreezeMode = .defer) -> FrozenTime {
        let id = FreezeID(UUIDValue(high: UInt64(bitPattern: Int64(from)), low: UInt64(bitPattern: Int64(until))))
        return FrozenTime(
            Freeze(id: id, from: at(from), until: at(until), mode: mode, createdAt: dawn), offset: 0)
    }

    private func foreseen(
        _ planner: ClaimPlanner, _ placement: Placement, from first: Double = 60, now: Double = 1, runs: Int64 = 0
    ) -> ForeseenFires {
        ForeseenFires(by: planner, placement, from: at(first), runCount: runs, now: at(now))
    }

    @Test("What nothing moves fires at its own time, spread included, as often as is left")
    func firesOnTime() {
        let planner = planner(every(60), offset: 7, runs: 5)
        let fires = Array(foreseen(planner, Placement(source: planner.source), runs: 2))
        #expect(fires.map { seconds($0.scheduledFor) } == [60, 120, 180])
        #expect(fires.map { seconds($0.dueAt) } == [67, 127, 187])
        #expect(Array(ForeseenFires.none).isEmpty)
    }

    @Test("A freeze of two hours takes 119 of a minute's 120 fires away, and moves the newest to its end")
    func freezes() {
        let planner = planner(every(60))
        let free = Placement(source: planner.source)
        func difference(_ frozen: FrozenTime) -> FireDifference {
            FireDifference(
                before: foreseen(planner, free), after: foreseen(planner, free.under([frozen])),
                through: at(6 * hour))
        }
        // The freeze begins and ends between two occurrences.
        let deferred = difference(freeze(hour - 30, 3 * hour - 30))
        #expect(deferred.removed == 119 && deferred.moved == 1 && deferred.added == 0)
        #expect(deferred.changed.count == FireDifference.mostListed)
        let skipped = difference(freeze(hour - 30, 3 * hour - 30, .skip))
        #expect(skipped.removed == 120 && skipped.moved == 0 && skipped.added == 0)
        // It ends with an occurrence, which fires for all that wait.
        let joined = difference(freeze(hour - 30, 3 * hour))
        #expect(joined.removed == 120 && joined.moved == 0)
        let long = FireDifference(
            before: foreseen(planner, free), after: foreseen(planner, free.under([freeze(hour, 30 * day)])),
            through: at(2 * hour))
        // The newest fires for all that wait, and lies beyond what is compared.
        #expect(long.removed == 61 && long.moved == 0)
    }

    @Test("What waited already is foreseen from where it stands")
    func waits() {
        let planner = planner(every(60))
        let placement = Placement(source: planner.source).under([freeze(0, hour + 30)])
        var fires = foreseen(planner, placement, from: 60, now: 1800)
        let first = fires.next()
        #expect(first == ForeseenFire(scheduledFor: at(hour), dueAt: at(hour + 30)))
        #expect(fires.next() == ForeseenFire(scheduledFor: at(hour + 60), dueAt: at(hour + 60)))
    }

    /// The fires of claims that each come at the moment for which the timer is set.
    private func claimed(
        _ planner: ClaimPlanner, _ placement: Placement, from first: Instant, through horizon: Instant
    ) -> [ForeseenFire] {
        var (cursor, now, runs): (Instant?, Instant?, Int64) = (
            first, placement.place(of: first).due.adding(milliseconds: planner.offset), 0
        )
        var fires: [ForeseenFire] = []
        while let from = cursor, let moment = now, from <= horizon {
            let plan = planner.plan(placement, from: from, runCount: runs, now: moment, horizon: moment)
            fires += plan.fires.map { ForeseenFire(scheduledFor: $0.scheduledFor, dueAt: $0.dueAt) }
            (cursor, now, runs) = (plan.resumeFrom, plan.nextFireAt, plan.runCount)
        }
        return fires.filter { $0.scheduledFor <= horizon }
    }

    @Test("They are what claims would decide one after another, under random windows, freezes and policies")
    func isWhatClaimsDecide() throws {
        for _ in 0..<60 {
            var constraint = FireConstraint()
            let open = Int.random(in: 0...12)
            if Bool.random() {
                constraint.windows = [
                    ExecutionWindow(days: .all, from: open * 3600, to: (open + Int.random(in: 1...11)) * 3600)
                ]
            }
            constraint.outside = Bool.random() ? .skip : .defer
            constraint.shift = DayShiftPolicy.allCases.randomElement() ?? .none
            let days = Bool.random() ? DaySet(.mondayToFriday) : nil
            let source = every([600, 1800, 3600, 5 * 3600].randomElement() ?? 600)
            let frozen = (0..<Int.random(in: 0...3)).map { _ in
                let from = Double.random(in: 0...(6 * day)).rounded()
                return freeze(from, from + Double.random(in: 1...day).rounded(), Bool.random() ? .skip : .defer)
            }
            let placement = Placement(source: source, constraint: constraint, days: days, zone: .utc).under(frozen)
            let planner = planner(
                source, MisfirePolicy.allCases.randomElement() ?? .fireOnce, limit: Int64.random(in: 1...40),
                offset: Double(Int.random(in: 0...300)), runs: Bool.random() ? Int64.random(in: 1...200) : nil)
            let first = try #require(source.next(after: dawn))
            let horizon = at(5 * day)
            // Where nothing fires for long the claims tell it meanwhile: what fires is the same.
            let now = dawn.adding(milliseconds: -86_400_000 * 30)
            let foreseen = ForeseenFires(by: planner, placement, from: first, runCount: 0, now: now)
                .prefix { $0.scheduledFor <= horizon }
            #expect(
                Array(foreseen) == claimed(planner, placement, from: first, through: horizon),
                "\(constraint) \(frozen) \(planner.rule)")
        }
    }
}
