import Recurrence
import SchedulerCore
import Testing

@Suite("Where the scan of due timers begins") struct BottomScanTests {
    private static let second: Int64 = 1_000_000_000
    private let start = Instant(milliseconds: 1_800_000_000_000)

    @Test("At the bottom first, then every ten seconds")
    func rhythm() {
        var scan = BottomScan()
        var bottoms: [Int64] = []
        for tick in 0...300 as ClosedRange<Int64> {
            let now = tick * Self.second / 10
            guard scan.isDue(at: now, since: start) else { continue }
            bottoms.append(tick)
            scan.ended(leavesNothing: true, at: now)
        }
        #expect(bottoms == [0, 100, 200, 300])
    }

    @Test("At the bottom again for as long as it leaves something, fails, or claims had a break")
    func again() {
        var scan = BottomScan()
        var answers = [scan.isDue(at: 0, since: start)]
        // Failed: nobody told its end.
        answers.append(scan.isDue(at: 1, since: start))
        scan.ended(leavesNothing: false, at: 1)
        answers.append(scan.isDue(at: 2, since: start))
        scan.ended(leavesNothing: true, at: 2)
        answers.append(scan.isDue(at: 3, since: start))
        answers.append(scan.isDue(at: 4, since: start.adding(milliseconds: 1)))
        #expect(answers == [true, true, true, false, true])
    }

    @Test("A second after a command asked for it, once; also where it asked during a scan")
    func asked() {
        var scan = BottomScan()
        var answers = [scan.isDue(at: 0, since: start)]
        scan.ask()
        scan.ended(leavesNothing: true, at: 0)
        answers.append(scan.isDue(at: Self.second - 1, since: start))
        answers.append(scan.isDue(at: Self.second, since: start))
        scan.ended(leavesNothing: true, at: Self.second)
        answers.append(scan.isDue(at: 3 * Self.second, since: start))
        #expect(answers == [true, false, true, false])
    }
}
