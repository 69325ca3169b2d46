import Recurrence
import SchedulerCore
import Testing

/// What a forecast counts is what walking fire by fire finds, however it was counted.
@Suite("Fires counted by steps") struct FireCountTests {
    private func fires(
        _ planner: ClaimPlanner, _ placement: Placement? = nil, from first: Double = 60, runs: Int64 = 0,
        now: Double = 0
    ) -> ForeseenFires {
        ForeseenFires(
            by: planner, placement ?? Placement(source: planner.source), from: at(first), runCount: runs, now: at(now))
    }

    /// By a walk over all, and by as few steps as are walked before arithmetic takes over.
    private func counts(
        _ fires: ForeseenFires, steps: Int, seconds: Double = 60, from: Double = 0, walking few: Int = 3,
        most: Int = 100_000
    ) -> (counts: [Int64], isWhole: Bool) {
        var (fires, counts) = (fires, [Int64](repeating: 0, count: steps))
        let isWhole = fires.count(into: &counts, from: at(from), step: Int64(seconds * 1000), walking: few, most: most)
        return (counts, isWhole)
    }

    @Test(
        "Arithmetic counts what a walk counts",
        arguments: [(0.1, 0.0, nil), (7, 0, nil), (7, 13, nil), (45, 2, 50), (3600, 100, nil), (1, 0, 1000)]
            as [(Double, Double, Int64?)])
    func agrees(period: Double, offset: Double, runs: Int64?) {
        let all = fires(planner(every(period), offset: offset, runs: runs), from: period)
        let walked = counts(all, steps: 60, walking: 100_000)
        let counted = counts(all, steps: 60)
        #expect(walked.isWhole && counted.isWhole)
        #expect(walked.counts == counted.counts)
        if let runs { #expect(walked.counts.reduce(0, +) <= runs) }
    }

    @Test("A schedule ten times a second for a day is as many as a day has tenths of seconds")
    func manyFires() {
        let counted = counts(fires(planner(every(0.1)), from: 0.1), steps: 1440)
        #expect(counted.counts.first == 599 && counted.counts.dropFirst().allSatisfy { $0 == 600 })
    }

    @Test("What is due already counts in the first step; what ends, ends")
    func bounds() {
        let late = counts(fires(planner(every(60), .fireAll), now: 181), steps: 3, from: 180)
        #expect(late.counts == [3, 1, 1], "of now, and of the two minutes before")
        let ending = counts(fires(planner(every(60, last: 150)), from: 60), steps: 5, walking: 1)
        #expect(ending.counts == [0, 1, 1, 0, 0] && ending.isWhole)
        #expect(counts(.none, steps: 2).counts == [0, 0])
    }

    @Test("What a freeze holds is walked; behind its end arithmetic goes on, and what is cut is told")
    func freezes() {
        let planner = planner(every(10))
        let freeze = Freeze(
            id: FreezeID(UUIDValue(high: 1, low: 1)), from: at(600), until: at(1200), mode: .skip, createdAt: dawn)
        let frozen = Placement(source: planner.source).under([FrozenTime(freeze, offset: 0)])
        let whole = counts(fires(planner, frozen, from: 10), steps: 60, walking: 100_000)
        #expect(whole.isWhole && whole.counts[9] == 6 && whole.counts[10] == 0 && whole.counts[20] == 6)
        let behind = counts(fires(planner, frozen, from: 10), steps: 60, most: 70)
        #expect(behind.isWhole && behind.counts == whole.counts)
        let cut = counts(fires(planner, frozen, from: 10), steps: 60, most: 30)
        #expect(!cut.isWhole && cut.counts.reduce(0, +) == 30)
    }
}
