import Glibc
import Recurrence
import SchedulerCore
import Testing

/// semantics.md §3, case by case. The schedule is due every 60 s from 0 on unless a test says otherwise.
@Suite("What a claim decides") struct ClaimPlannerTests {
    private func plan(
        _ planner: ClaimPlanner, next: Double, now: Double, horizon: Double? = nil, runs: Int64 = 0
    ) -> ClaimPlan {
        planner.plan(nextFireAt: at(next), runCount: runs, now: at(now), horizon: at(horizon ?? now))
    }

    @Test("What is not due yet is claimed up to the horizon, and no further")
    func claimsAhead() {
        let plan = plan(planner(every(60)), next: 60, now: 59, horizon: 180)
        #expect(plan.fired == [60, 120, 180])
        #expect(plan.next == 240)
        #expect(plan.runCount == 3)
        #expect(plan.skips.isEmpty && plan.fires.allSatisfy { $0.trigger == .interval && !$0.isMisfired })
    }

    @Test("A timer beyond the horizon is left as it is")
    func leavesTheFuture() {
        let plan = plan(planner(every(60)), next: 60, now: 10, horizon: 11)
        #expect(plan.fires.isEmpty && plan.skips.isEmpty && plan.next == 60)
    }

    @Test("One claim takes a bounded number of future occurrences")
    func boundsWhatItTakesAhead() {
        let plan = plan(planner(every(0.1)), next: 1, now: 1, horizon: 100)
        #expect(plan.fires.count == ClaimPlanner.mostAhead)
        #expect(plan.next == 11)
    }

    @Test("A single one within the grace fires as it is, whatever the policy", arguments: MisfirePolicy.allCases)
    func firesASingleLateOne(policy: MisfirePolicy) {
        for late in [0, 1, 59, 300.0] {
            let plan = plan(planner(every(3600), policy), next: 3600, now: 3600 + late)
            #expect(plan.fired == [3600] && plan.skips.isEmpty)
            #expect(plan.fires[0].trigger == .interval && plan.fires[0].missedCount == 0 && !plan.fires[0].isMisfired)
            #expect(plan.next == 7200)
        }
    }

    @Test("Of several, fire_once fires the newest for all; it is a catch-up and counts the others")
    func fireOnceOfSeveral() {
        let plan = plan(planner(every(60)), next: 60, now: 250)
        #expect(plan.fired == [240])
        #expect(plan.fires[0].missedCount == 3 && plan.fires[0].trigger == .catchup && !plan.fires[0].isMisfired)
        #expect(plan.skipped == ["coalesced 3"])
        #expect(plan.skips[0].instants == [at(60), at(120), at(180)])
        #expect(plan.next == 300 && plan.runCount == 1)
    }

    @Test("Beyond the grace fire_once fires the latest within the window, as a misfire")
    func fireOnceBeyondTheGrace() {
        let plan = plan(planner(every(3600)), next: 3600, now: 7200 + 301)
        #expect(plan.fired == [7200])
        #expect(plan.fires[0].isMisfired && plan.fires[0].missedCount == 1 && plan.fires[0].trigger == .catchup)
        let single = self.plan(planner(every(3600)), next: 3600, now: 3600 + 301)
        #expect(single.fired == [3600] && single.fires[0].trigger == .catchup && single.fires[0].isMisfired)
        #expect(single.skips.isEmpty && single.fires[0].missedCount == 0)
    }

    @Test("Beyond the catch-up window fire_once fires nothing, to the millisecond")
    func fireOnceBeyondTheWindow() {
        let weekly = planner(every(7 * day))
        #expect(plan(weekly, next: 7 * day, now: 8 * day).fired == [7 * day])
        let late = plan(weekly, next: 7 * day, now: 8 * day + 0.001)
        #expect(late.fires.isEmpty && late.skipped == ["misfire 1"] && late.next == 14 * day && late.runCount == 0)
    }

    @Test("skip fires the newest within the grace, and skips the others; beyond it, all")
    func skips() {
        let within = plan(planner(every(60), .skip), next: 60, now: 250)
        #expect(within.fired == [240] && within.skipped == ["misfire 3"])
        #expect(within.fires[0].trigger == .interval && within.fires[0].missedCount == 0)
        let beyond = plan(planner(every(3600), .skip), next: 3600, now: 7600)
        #expect(beyond.fires.isEmpty && beyond.skipped == ["misfire 2"] && beyond.next == 10_800)
    }

    @Test("fire_all fires oldest first, up to its limit; the rest is one run")
    func firesAll() {
        let all = plan(planner(every(60), .fireAll), next: 60, now: 250)
        #expect(all.fired == [60, 120, 180, 240] && all.skips.isEmpty)
        #expect(all.fires.map(\.trigger) == [.catchup, .catchup, .catchup, .interval])
        let capped = plan(planner(every(60), .fireAll, limit: 5), next: 60, now: 6000)
        #expect(capped.fired == [60, 120, 180, 240, 300, 6000])
        #expect(capped.skipped == ["catchup_cap 94"])
        #expect(capped.skips[0].from == at(360) && capped.skips[0].last == at(5940))
        let none = plan(planner(every(60), .fireAll, grace: 10, limit: 0), next: 60, now: 6030)
        #expect(none.fires.isEmpty && none.skipped == ["catchup_cap 100"] && none.next == 6060)
    }

    @Test("fire_all: what lies within the grace does not come under the slow rate of misfires")
    func firesAllByLateness() {
        let plan = plan(planner(every(60), .fireAll, grace: 120), next: 60, now: 310)
        #expect(plan.fired == [60, 120, 180, 240, 300])
        #expect(plan.fires.map(\.isMisfired) == [true, true, true, false, false])
    }

    @Test("max_runs ends a catch-up in its middle, and the schedule with it", arguments: MisfirePolicy.allCases)
    func endsWithItsRuns(policy: MisfirePolicy) {
        let plan = plan(planner(every(60), policy, runs: 5), next: 60, now: 590, runs: 3)
        #expect(plan.fires.count == (policy == .fireAll ? 2 : 1))
        #expect(plan.isLast == (policy == .fireAll))
        if policy == .fireAll { #expect(plan.fired == [60, 120] && plan.skips.isEmpty) }
        let last = self.plan(planner(every(60), policy, runs: 5), next: 60, now: 60, runs: 4)
        #expect(last.fired == [60] && last.isLast && last.runCount == 5)
    }

    @Test("end_at is the last instant that counts, itself included")
    func endsAtItsEnd() {
        let ended = planner(every(60, last: 180))
        #expect(plan(ended, next: 60, now: 59, horizon: 1000).fired == [60, 120, 180])
        #expect(plan(ended, next: 60, now: 59, horizon: 1000).isLast)
        let late = plan(ended, next: 60, now: 200)
        #expect(late.fired == [180] && late.isLast && late.fires[0].missedCount == 2)
        let missed = plan(planner(every(60, last: 180), .skip, grace: 10), next: 60, now: 200)
        #expect(missed.fires.isEmpty && missed.skipped == ["misfire 3"] && missed.isLast)
    }

    @Test("The spread moves what is due; what it is scheduled for stays")
    func spreads() {
        let spread = planner(every(60), offset: 20)
        let plan = plan(spread, next: 80, now: 79, horizon: 140)
        #expect(plan.fired == [60, 120] && plan.next == 200)
        #expect(plan.fires.map { seconds($0.dueAt) } == [80, 140])
        // 120 is due at 140: not waiting at 139.
        #expect(self.plan(spread, next: 80, now: 139).fired == [60])
        #expect(self.plan(spread, next: 80, now: 140).fired == [120])
    }

    @Test("A once schedule fires late within the window, then is skipped, and ends either way")
    func once() {
        let once = planner(OccurrenceSource(recurrence: .once(at(0))), runs: 1, trigger: .once)
        #expect(plan(once, next: 0, now: 200).fires.map(\.trigger) == [.once])
        let late = plan(once, next: 0, now: 3600)
        #expect(late.fired == [0] && late.fires[0].isMisfired && late.isLast)
        let gone = plan(once, next: 0, now: day + 1)
        #expect(gone.fires.isEmpty && gone.skipped == ["misfire 1"] && gone.isLast)
    }

    @Test("A 100 ms interval that slept a month is decided by arithmetic", arguments: MisfirePolicy.allCases)
    func sleptAMonth(policy: MisfirePolicy) throws {
        let month = 30 * day
        let planner = planner(every(0.1), policy)
        var last: ClaimPlan?
        let rounds = 100
        let begun = Self.ownTime()
        for _ in 0..<rounds {
            last = planner.plan(nextFireAt: at(0.1), runCount: 0, now: at(month), horizon: at(month))
        }
        let took = Self.ownTime() - begun
        let plan = try #require(last)
        let fired = Int64(plan.fires.count)
        let skipped = plan.skips.reduce(0) { $0 + $1.count }
        #expect(fired + skipped == Int64(month * 10))
        #expect(plan.skips.count == 1 && plan.skips[0].instants.isEmpty)
        #expect(plan.next == month + 0.1)
        // 26 million occurrences: walking over them would take seconds. Fire_all makes 100, in a debug build.
        #expect(took / rounds < .milliseconds(5), "took \(took / rounds)")
    }

    /// The processor's time of this thread: a busy machine takes nothing from it.
    private static func ownTime() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    @Test("Ten skips are ten rows, eleven are one range")
    func rangesBeginAtEleven() {
        let ten = plan(planner(every(60), .skip, grace: 1), next: 60, now: 610)
        #expect(ten.skips[0].count == 10 && ten.skips[0].instants.count == 10)
        let eleven = plan(planner(every(60), .skip, grace: 1), next: 60, now: 670)
        #expect(eleven.skips[0].count == 11 && eleven.skips[0].instants.isEmpty)
        #expect(eleven.skips[0].from == at(60) && eleven.skips[0].last == at(660))
    }
}

@Suite("What a resume decides") struct ResumeTests {
    @Test("What passed while paused is one run of skips, and the next one is later than now")
    func skipsWhatPassed() {
        let month = 30 * day
        let resumed = planner(every(0.1)).resume(from: at(0.1), now: at(month), catchUp: false)
        #expect(resumed.skipped?.count == Int64(month * 10) && resumed.skipped?.reason == .paused)
        #expect(resumed.skipped?.instants.isEmpty == true)
        #expect(resumed.position.nextFireAt == at(month + 0.1))
    }

    @Test("catch_up leaves what passed to the misfire policy")
    func catchesUp() {
        let resumed = planner(every(60)).resume(from: at(60), now: at(600), catchUp: true)
        #expect(resumed.skipped == nil && resumed.position.nextFireAt == at(60))
    }

    @Test("Nothing passed: nothing is skipped, and the timer stands where it stood")
    func restores() {
        let resumed = planner(every(60), offset: 5).resume(from: at(60), now: at(64), catchUp: false)
        #expect(resumed.skipped == nil && resumed.position.nextFireAt == at(65))
        let late = planner(every(60), offset: 5).resume(from: at(60), now: at(65), catchUp: false)
        #expect(late.skipped?.count == 1 && late.position.nextFireAt == at(125))
        let ended = planner(every(60)).resume(from: nil, now: at(65), catchUp: false)
        #expect(ended.skipped == nil && ended.position.nextFireAt == nil)
    }

    @Test("A schedule whose end passed while it was paused has nothing to come")
    func ends() {
        let resumed = planner(every(60, last: 120)).resume(from: at(60), now: at(600), catchUp: false)
        #expect(resumed.skipped?.count == 2 && resumed.position.nextFireAt == nil)
    }

    @Test("An edit or a deletion takes away what was due by now, to the instant")
    func passed() {
        let spread = planner(every(60), offset: 5)
        #expect(spread.passed(from: at(60), now: at(64), reason: .superseded) == nil)
        #expect(spread.passed(from: at(60), now: at(125), reason: .superseded)?.instants == [at(60), at(120)])
    }
}
