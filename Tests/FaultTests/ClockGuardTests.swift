import NATSClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import Testing

/// What "now" is when clocks jump (semantics.md §7, *Clocks*).
struct ClockGuardTests {
    /// A clock that was told now, with a round trip of a millisecond, that PostgreSQL's is `ahead` ms ahead of ours.
    private func clock(ahead: Int64) -> PostgresClock {
        let clock = PostgresClock()
        clock.take(sample(ahead: ahead))
        return clock
    }

    private func sample(ahead: Int64) -> ClockEstimate.Sample {
        let now = MonotonicClock.now()
        let server = (PostgresClock.machineNow().milliseconds + ahead) * 1000
        return ClockEstimate.Sample(server: server, asked: now - 1_000_000, answered: now)
    }

    @Test(arguments: [-3_600_000, -5000, -2100, -1900, 0, 1900, 2100, 5000, 3_600_000] as [Int64])
    func theDifferenceIsTold(_ ahead: Int64) {
        let skew = clock(ahead: ahead).skewMilliseconds()
        #expect(abs(skew + ahead) <= 20)
        #expect((abs(skew) > PostgresClock.mostSkewMilliseconds) == (abs(ahead) > 2000))
    }

    @Test(arguments: [-3_600_000, -5000, -100, 100, 5000, 3_600_000] as [Int64])
    func aJumpIsFollowedAtOnceAndNeverAhead(_ jump: Int64) throws {
        let clock = clock(ahead: 0)
        let told = try #require(clock.take(sample(ahead: jump)))
        #expect(abs(told - jump) <= 20)
        // A time that never runs ahead of PostgreSQL's fires nothing early.
        #expect(clock.now().milliseconds <= PostgresClock.machineNow().milliseconds + jump)
    }

    @Test func aSmallDifferenceIsSlewedForwards() {
        let clock = clock(ahead: 0)
        var last = clock.now()
        for step in 1...10 {
            #expect(clock.take(sample(ahead: Int64(step % 3) - 1)) == nil)
            let now = clock.now()
            #expect(now >= last, "time ran backwards")
            last = now
        }
    }
}
