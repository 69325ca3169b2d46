import Recurrence
import SchedulerCore
import TestSupport
import Testing

extension LedgerPropertyTests {
    /// One life of a schedule with calendars, windows and freezes.
    private struct Life {
        let planner: ClaimPlanner
        let placement: Placement
        var ledger = Ledger()
        var fires: [PlannedFire] = []
        var runs: Int64 = 0
        var now: Instant
        var position: TimerPosition

        init(_ sample: RandomPlacement, _ random: inout SeededGenerator) {
            placement = sample.placement
            planner = SchedulerCoreTests.planner(
                sample.placement.source, MisfirePolicy.allCases[Int.random(in: 0..<3, using: &random)],
                grace: [0, 60, 300, 40_000][Int.random(in: 0..<4, using: &random)],
                window: [100, 86_400][Int.random(in: 0..<2, using: &random)],
                limit: [0, 3, 100][Int.random(in: 0..<3, using: &random)],
                offset: [0, 13][Int.random(in: 0..<2, using: &random)],
                runs: Int.random(in: 0..<4, using: &random) == 0 ? Int64.random(in: 1...30, using: &random) : nil,
                placement: sample.placement)
            now = sample.from
            position = planner.position(at: placement.source.next(after: sample.from))
        }

        /// What a claim, or a pause with a resume, does at a random later moment.
        mutating func step(_ random: inout SeededGenerator) {
            guard let cursor = position.resumeFrom, let due = position.nextFireAt else { return }
            let most = [5000, 900_000, 20_000_000, 200_000_000][Int.random(in: 0..<4, using: &random)]
            // The timer is looked at when it is due, or later.
            let start = Bool.random(using: &random) ? max(now, due) : now
            now = start.adding(milliseconds: Int64.random(in: 0...Int64(most), using: &random))
            if Int.random(in: 0..<6, using: &random) == 0 {
                let resumed = planner.resume(from: cursor, now: now, catchUp: false)
                if let skipped = resumed.skipped { ledger.write(skipped) }
                position = resumed.position
                return
            }
            let horizon = now.adding(milliseconds: Int64.random(in: 0...3000, using: &random))
            let plan = planner.plan(placement, from: cursor, runCount: runs, now: now, horizon: horizon)
            ledger.write(plan)
            fires += plan.fires
            runs = plan.runCount
            position = TimerPosition(plan)
        }
    }

    @Test("Under calendars, windows and freezes, each occurrence stands in exactly one place", arguments: 0..<4)
    func hasNoGapUnderWindows(seed: Int) throws {
        var random = SeededGenerator(seed: 0x71DE + UInt64(seed))
        for _ in 0..<20 {
            let sample = try RandomPlacement(&random)
            var life = Life(sample, &random)
            for _ in 0..<14 { life.step(&random) }
            let (ledger, source) = (life.ledger, sample.placement.source)
            #expect(Int64(ledger.fired.count) == life.runs)
            // Only what fires has fired, in order, and at its time.
            let places = life.fires.map { sample.placement.place(of: $0.scheduledFor) }
            #expect(places.allSatisfy { $0.fires })
            let due = places.map { $0.due.adding(milliseconds: life.planner.offset) }
            #expect(life.fires.map(\.dueAt) == due)
            #expect(ledger.fired == Set(ledger.fired).sorted())
            let written = ledger.fired + ledger.singles + ledger.ranges.map(\.last)
            let end = life.position.resumeFrom.map { $0.adding(milliseconds: -1) } ?? written.max()
            guard let end else { continue }
            #expect(written.allSatisfy { $0 <= end })
            let total = source.count(from: sample.from.adding(milliseconds: 1), through: end)
            let inRanges = ledger.ranges.reduce(0) { $0 + $1.count }
            #expect(Int64(ledger.fired.count + ledger.singles.count) + inRanges == total)
            for range in ledger.ranges {
                #expect(source.count(from: range.from, through: range.last) == range.count)
                #expect(ledger.places(range.from) == 1 && ledger.places(range.last) == 1)
            }
            for occurrence in ledger.fired + ledger.singles { #expect(ledger.places(occurrence) == 1) }
        }
    }
}
