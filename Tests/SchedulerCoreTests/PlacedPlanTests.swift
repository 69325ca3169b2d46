import Recurrence
import SchedulerCore
import Testing

/// What a claim decides where calendars, windows and freezes move and leave out. The schedule is due every hour, its
/// window is open from 08:00 to 18:00.
@Suite("What a claim decides under windows") struct PlacedPlanTests {
    private func placement(
        every period: Double = 3600, _ outside: OutsidePolicy = .skip, last: Double? = nil
    ) -> Placement {
        var constraint = FireConstraint()
        constraint.windows = [ExecutionWindow(days: .all, from: 8 * 3600, to: 18 * 3600)]
        constraint.outside = outside
        return Placement(
            source: SchedulerCoreTests.every(period, last: last), constraint: constraint, days: nil, zone: .utc)
    }

    private func plan(
        _ placement: Placement, _ planner: ClaimPlanner, from: Double, now: Double, ahead: Double = 1, runs: Int64 = 0
    ) -> ClaimPlan {
        planner.plan(placement, from: at(from), runCount: runs, now: at(now), horizon: at(now + ahead))
    }

    private let hour = 3600.0

    @Test("What fires on time fires as it is, and the timer goes to the next occurrence")
    func firesOnTime() {
        let plan = plan(placement(), planner(every(hour)), from: 9 * hour, now: 9 * hour - 0.5)
        #expect(plan.fired == [9 * hour] && plan.skips.isEmpty)
        #expect(plan.fires[0].trigger == .interval && plan.fires[0].missedCount == 0)
        #expect(plan.next == 10 * hour && plan.resumeFrom == at(10 * hour))
    }

    @Test("The first that is left out is told when it passes; the next ones in runs that grow")
    func tellsWhatIsLeftOut() {
        let planner = planner(every(1))
        let second = placement(every: 1)
        var wake = 18 * hour
        var cursor = 18 * hour
        var counts: [Int64] = []
        while cursor < 32 * hour {
            let plan = plan(second, planner, from: cursor, now: wake, ahead: 0)
            counts += plan.skips.map(\.count)
            #expect(plan.skips.allSatisfy { $0.reason == .window })
            // The last run and the first fire are one claim.
            #expect(plan.fires.isEmpty == (wake < 32 * hour))
            guard let next = plan.next, let from = plan.resumeFrom else { break }
            (wake, cursor) = (next, seconds(from))
        }
        #expect(counts.reduce(0, +) == 14 * 3600)
        #expect(
            counts.count < 20 && counts[0] == 1 && zip(counts, counts.dropFirst().dropLast()).allSatisfy { $0 < $1 })
        #expect(wake == 32 * hour + 1 && cursor == 32 * hour + 1)
    }

    @Test(
        "Deferred ones wait together for the window: the misfire policy decides over them",
        arguments: MisfirePolicy.allCases)
    func defers(policy: MisfirePolicy) {
        let planner = planner(every(hour), policy)
        let evening = plan(placement(.defer), planner, from: 18 * hour, now: 18 * hour)
        #expect(evening.fires.isEmpty && evening.skips.isEmpty && evening.next == 32 * hour)
        let morning = plan(placement(.defer), planner, from: 18 * hour, now: 32 * hour - 0.5)
        #expect(morning.fires.allSatisfy { $0.dueAt == at(32 * hour) && !$0.isMisfired })
        switch policy {
        case .fireOnce:
            #expect(morning.fired == [32 * hour] && morning.fires[0].missedCount == 14)
            #expect(morning.skips.map(\.count) == [14] && morning.skips[0].reason == .coalesced)
        case .skip: #expect(morning.fired == [32 * hour] && morning.skipped == ["misfire 14"])
        case .fireAll: #expect(morning.fired == (18...32).map { Double($0) * hour } && morning.skips.isEmpty)
        }
        #expect(morning.next == 33 * hour)
    }

    @Test("Lateness counts from when it was due, not from what it was scheduled for")
    func latenessCountsFromDue() {
        let plan = plan(
            placement(every: 14 * hour, .defer), planner(every(14 * hour), grace: 60), from: 28 * hour,
            now: 32 * hour + 59)
        #expect(plan.fired == [28 * hour] && !plan.fires[0].isMisfired && plan.fires[0].trigger == .interval)
    }

    @Test("An outage over windows is one row; what would not have fired is no missed fire")
    func outage() throws {
        let planner = planner(every(0.1))
        let month = 30 * day
        let clock = ContinuousClock()
        var last: ClaimPlan?
        let took = clock.measure {
            last = self.plan(placement(every: 0.1), planner, from: 9 * hour, now: month + 9 * hour, ahead: 0)
        }
        let plan = try #require(last)
        #expect(plan.fired == [month + 9 * hour] && plan.fires[0].missedCount == Int64(30 * 10 * hour * 10))
        #expect(plan.skips.count == 1 && plan.skips[0].count == Int64(month * 10))
        // 26 million occurrences, in a debug build.
        #expect(took < .milliseconds(200), "took \(took)")
    }

    @Test("A schedule whose last occurrences are left out ends when they have passed")
    func ends() {
        let planner = planner(every(hour, last: 20 * hour))
        let ending = placement(last: 20 * hour)
        let last = plan(ending, planner, from: 17 * hour, now: 17 * hour)
        #expect(last.fired == [17 * hour] && !last.isLast && last.next == 18 * hour)
        let end = plan(ending, planner, from: 18 * hour, now: 20 * hour)
        #expect(end.fires.isEmpty && end.skipped == ["window 3"] && end.isLast)
        let limited = plan(
            placement(), SchedulerCoreTests.planner(every(hour), runs: 5), from: 17 * hour, now: 17 * hour, runs: 4)
        #expect(limited.isLast && limited.resumeFrom == nil)
    }

    @Test("A freeze that defers: the turn is given once, then what it held is on time")
    func freeze() {
        let freeze = Freeze(
            id: FreezeID(UUIDValue(high: 0, low: 1)), from: at(10 * hour), until: at(12 * hour + 1), mode: .defer,
            createdAt: dawn)
        let planner = planner(every(hour), grace: 10)
        let free = Placement(source: every(hour))
        let frozen = FrozenTime(freeze, offset: 0)
        let held = plan(free.under([frozen]), planner, from: 10 * hour, now: 10 * hour)
        #expect(held.fires.isEmpty && held.next == 12 * hour + 1 && held.heldBy == freeze.id)
        // Its turn comes ten minutes after the end.
        let turn = 12 * hour + 601
        let released = plan(free.under([frozen], floor: at(turn)), planner, from: 10 * hour, now: turn + 5)
        #expect(released.fired == [12 * hour] && released.fires[0].dueAt == at(turn))
        #expect(!released.fires[0].isMisfired && released.fires[0].missedCount == 2 && released.heldBy == nil)
        #expect(released.next == 13 * hour)
    }

    @Test("Resumed, what was due while it was paused is skipped; what is deferred is not")
    func resumes() {
        let planner = SchedulerCoreTests.planner(every(hour), placement: placement(.defer))
        let resumed = planner.resume(from: at(17 * hour), now: at(20 * hour), catchUp: false)
        #expect(resumed.skipped?.count == 1 && resumed.position.nextFireAt == at(32 * hour))
        #expect(resumed.position.resumeFrom == at(18 * hour))
        let caughtUp = planner.resume(from: at(17 * hour), now: at(20 * hour), catchUp: true)
        #expect(caughtUp.skipped == nil && caughtUp.position.nextFireAt == at(17 * hour))
        #expect(planner.passed(from: at(18 * hour), now: at(20 * hour), reason: .deleted) == nil)
    }
}
