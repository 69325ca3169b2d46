import Recurrence
import Testing

@testable import SchedulerCore

/// How much one claim opens: a plan is taken whole, or waits for the next claim as it is.
@Suite("The room of a claim") struct ClaimRoomTests {
    /// A plan with so many fires of each class; what is late was due before 0.
    private func plan(onTime: Int = 0, late: Int = 0, misfired: Int = 0) -> ClaimPlan {
        var plan = ClaimPlan(runCount: 0)
        let parts = [(onTime, 10.0, false), (late, -10.0, false), (misfired, -1000.0, true)]
        for (count, due, isMisfired) in parts {
            plan.fires += (0..<count).map { _ in
                PlannedFire(
                    scheduledFor: at(due), dueAt: at(due), trigger: .interval, missedCount: 0, isMisfired: isMisfired)
            }
        }
        return plan
    }

    /// Each case: the room, the plans one after another as (on time, late, misfired), and which of them are taken.
    private static let cases: [(room: ClaimRoom, plans: [(Int, Int, Int)], taken: [Bool], isFull: Bool)] = [
        (ClaimRoom(openings: 10), [(4, 0, 0), (4, 0, 0), (2, 0, 0), (1, 0, 0)], [true, true, true, false], true),
        // What does not fit ends the claim; a smaller one behind it does not pass it.
        (ClaimRoom(openings: 10), [(8, 0, 0), (3, 0, 0), (1, 0, 0)], [true, false, false], true),
        // The first one is taken even if it is larger than the room.
        (ClaimRoom(openings: 10), [(0, 101, 0), (1, 0, 0)], [true, false], true),
        (ClaimRoom(openings: 1000, misfired: 5), [(0, 0, 101), (0, 0, 1), (9, 0, 0)], [true, false, true], false),
        // A class that is full keeps neither the others nor what is on time waiting.
        (
            ClaimRoom(openings: 1000, late: 50, misfired: 0),
            [(0, 0, 1), (0, 30, 0), (1, 0, 0), (0, 20, 0), (0, 1, 0)],
            [false, true, true, true, false], false
        ),
        // A plan of two classes needs room in both, and takes none where it is refused.
        (
            ClaimRoom(openings: 1000, late: 50, misfired: 10), [(0, 1, 8), (0, 5, 8), (0, 49, 0), (0, 0, 1)],
            [true, false, true, false], false
        ),
        // No room at all: nothing, be it ever so small.
        (
            ClaimRoom(openings: 10, late: -3, misfired: 0), [(0, 1, 0), (0, 0, 1), (1, 0, 0)], [false, false, true],
            false
        ),
        (ClaimRoom(openings: 0), [(1, 0, 0)], [false], true),
        // What fires nothing always fits.
        (ClaimRoom(openings: 5, late: 0, misfired: 0), [(0, 0, 0)], [true], false),
    ]

    @Test("Plans are taken in their order, as long as each fits whole", arguments: cases.indices)
    func takes(index: Int) {
        let row = Self.cases[index]
        var room = row.room
        let taken = row.plans.map { room.take(plan(onTime: $0.0, late: $0.1, misfired: $0.2), late: at(0)) }
        #expect(taken == row.taken && room.isFull == row.isFull)
        #expect(room.hasRefused == taken.contains(false))
    }

    @Test("A claim gives up after a bounded number of plans that do not fit")
    func givesUp() {
        var room = ClaimRoom(openings: 1000, misfired: 0)
        for _ in 0..<ClaimRoom.mostRefusals {
            #expect(!room.isFull)
            let isTaken = room.take(plan(misfired: 1), late: at(0))
            #expect(!isTaken)
        }
        #expect(room.isFull)
    }

    @Test("What is ahead of its time is cut at the room; the timer stands at the first that did not fit")
    func cutsWhatIsAhead() {
        let ahead = planner(every(1)).plan(nextFireAt: at(1), runCount: 0, now: at(0.5), horizon: at(30), room: 4)
        #expect(ahead.fired == [1, 2, 3, 4] && ahead.next == 5 && ahead.runCount == 4 && !ahead.isLast)
    }

    @Test("What waits is decided over whole, be the room ever so small")
    func decidesOverAll() {
        let planner = planner(every(60), .fireAll, limit: 5)
        let waiting = planner.plan(nextFireAt: at(60), runCount: 0, now: at(600), horizon: at(900), room: 1)
        #expect(waiting.fires.count == 6 && waiting.skipped == ["catchup_cap 4"] && waiting.next == 660)
    }

    @Test("A limit that an edit has lowered to what was fired fires nothing more", arguments: MisfirePolicy.allCases)
    func spent(policy: MisfirePolicy) {
        let planner = planner(every(60), policy, runs: 3)
        for now in [59.0, 60, 250, 100_000] {
            let plan = planner.plan(nextFireAt: at(60), runCount: 5, now: at(now), horizon: at(now + 1))
            #expect(plan.fires.isEmpty && plan.skips.isEmpty && plan.isLast && plan.runCount == 5)
        }
    }

    /// Two thousand schedules come back after an outage, each with a hundred waiting: claim after claim stays within
    /// its room, and when all is claimed each occurrence was claimed once.
    @Test("A herd that comes back is claimed in portions, each occurrence once")
    func portions() {
        let most = 2000
        let planner = planner(every(1, last: 100), .fireAll)
        var next = [Instant?](repeating: at(1), count: 2000)
        var fired = [[Double]](repeating: [], count: 2000)
        var claims = 0
        while next.contains(where: { $0 != nil }), claims < 1000 {
            var room = ClaimRoom(openings: most, late: 4000, misfired: 500)
            var opened = 0
            for index in next.indices where !room.isFull {
                guard let due = next[index] else { continue }
                let plan = planner.plan(
                    nextFireAt: due, runCount: 0, now: at(110), horizon: at(110), room: room.left)
                guard room.take(plan, late: at(105)) else { continue }
                opened += plan.fires.count
                fired[index] += plan.fired
                next[index] = plan.nextFireAt
            }
            #expect(opened > 0 && opened <= most)
            claims += 1
        }
        #expect(claims == 100)
        #expect(fired.allSatisfy { $0 == (1...100).map(Double.init) })
    }
}
