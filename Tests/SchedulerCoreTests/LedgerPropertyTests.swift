import Recurrence
import SchedulerCore
import TestSupport
import Testing

/// The ledger has no gap and no double: whatever the instants of the claims, each occurrence that a schedule's time has
/// passed lies in exactly one fire, one skip, or one range (contract.md §5).
@Suite("The ledger of a schedule") struct LedgerPropertyTests {
    struct Ledger {
        var fired: [Instant] = []
        var singles: [Instant] = []
        var ranges: [(from: Instant, last: Instant, count: Int64)] = []

        mutating func write(_ plan: ClaimPlan) {
            fired += plan.fires.map(\.scheduledFor)
            for run in plan.skips { write(run) }
        }

        mutating func write(_ run: SkipRun) {
            singles += run.instants
            if run.instants.isEmpty { ranges.append((run.from, run.last, run.count)) }
        }

        /// In how many places an occurrence stands.
        func places(_ occurrence: Instant) -> Int {
            fired.filter { $0 == occurrence }.count + singles.filter { $0 == occurrence }.count
                + ranges.filter { $0.from <= occurrence && occurrence <= $0.last }.count
        }
    }

    private func randomPlanner(_ random: inout SeededGenerator) throws -> ClaimPlanner {
        let periods = [0.1, 0.25, 1, 7, 60, 3600.0]
        let last = Bool.random(using: &random) ? nil : Double.random(in: 100...10_000, using: &random).rounded()
        let source: OccurrenceSource
        if Int.random(in: 0..<3, using: &random) == 0 {
            let texts = ["* * * * * *", "*/7 * * * * *", "0 */5 * * * *", "30 2 * * *"]
            let cron = try CronExpression(parsing: texts[Int.random(in: 0..<texts.count, using: &random)])
            source = OccurrenceSource(
                recurrence: Recurrence(cron, zone: .utc, anchor: dawn), first: dawn, last: last.map(at))
        } else {
            source = every(periods[Int.random(in: 0..<periods.count, using: &random)], last: last)
        }
        return planner(
            source, MisfirePolicy.allCases[Int.random(in: 0..<3, using: &random)],
            grace: [0, 1, 60, 300][Int.random(in: 0..<4, using: &random)],
            window: [10, 100, 86_400][Int.random(in: 0..<3, using: &random)],
            limit: [0, 3, 100][Int.random(in: 0..<3, using: &random)],
            offset: [0, 0.05, 13][Int.random(in: 0..<3, using: &random)],
            runs: Int.random(in: 0..<4, using: &random) == 0 ? Int64.random(in: 1...50, using: &random) : nil)
    }

    private var another: ClaimPlan {
        planner(every(60)).plan(nextFireAt: at(60), runCount: 0, now: at(60), horizon: at(60))
    }

    /// Claims at random moments, with pauses and resumes between; returns how far the ledger must reach.
    private func live(_ planner: ClaimPlanner, _ random: inout SeededGenerator) -> (Ledger, next: Instant?, Int64) {
        var ledger = Ledger()
        var next = planner.source.next(after: at(0)).map { $0.adding(milliseconds: planner.offset) }
        var now = at(0)
        var runs: Int64 = 0
        for _ in 0..<12 {
            guard let due = next else { break }
            let step = [5, 900, 20_000, 700_000][Int.random(in: 0..<4, using: &random)]
            now = now.adding(milliseconds: Int64.random(in: 1...Int64(step), using: &random))
            if Int.random(in: 0..<5, using: &random) == 0 {
                let from = due.adding(milliseconds: -planner.offset)
                let resumed = planner.resume(
                    from: from, now: now, catchUp: Int.random(in: 0..<3, using: &random) == 0)
                if let skipped = resumed.skipped { ledger.write(skipped) }
                next = resumed.position.nextFireAt
            } else {
                let horizon = now.adding(milliseconds: Int64.random(in: 0...3000, using: &random))
                var room = ClaimRoom(openings: [1, 7, 2000][Int.random(in: 0..<3, using: &random)])
                // Some other schedule was there before.
                if Bool.random(using: &random) { _ = room.take(another, late: now) }
                let plan = planner.plan(
                    nextFireAt: due, runCount: runs, now: now, horizon: horizon, room: room.left)
                guard room.take(plan, late: now) else { continue }
                ledger.write(plan)
                runs = plan.runCount
                next = plan.nextFireAt
            }
        }
        return (ledger, next, runs)
    }

    @Test("Between any claims, each occurrence stands in exactly one place", arguments: 0..<8)
    func hasNoGapAndNoDouble(seed: Int) throws {
        var random = SeededGenerator(seed: 0xCA71 + UInt64(seed))
        for _ in 0..<60 {
            let planner = try randomPlanner(&random)
            let (ledger, next, runs) = live(planner, &random)
            #expect(Int64(ledger.fired.count) == runs)
            if let limit = planner.runLimit { #expect(runs <= limit) }
            let written = ledger.fired + ledger.singles + ledger.ranges.map(\.last)
            // Everything before the next one is accounted for; without a next one, everything up to the last row.
            guard let end = next.map({ $0.adding(milliseconds: -planner.offset - 1) }) ?? written.max() else {
                continue
            }
            #expect(written.allSatisfy { $0 <= end })
            let total = planner.source.count(from: at(0).adding(milliseconds: 1), through: end)
            let inRanges = ledger.ranges.reduce(0) { $0 + $1.count }
            #expect(Int64(ledger.fired.count + ledger.singles.count) + inRanges == total)
            for range in ledger.ranges {
                #expect(planner.source.count(from: range.from, through: range.last) == range.count)
                #expect(range.count > SkipRun.mostSingleRows)
                #expect(ledger.places(range.from) == 1 && ledger.places(range.last) == 1)
            }
            for occurrence in ledger.fired + ledger.singles { #expect(ledger.places(occurrence) == 1) }
        }
    }
}
