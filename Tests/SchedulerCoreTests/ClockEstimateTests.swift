import SchedulerCore
import TestSupport
import Testing

/// Times are told in microseconds of the server's clock, and of the monotonic one.
@Suite("PostgreSQL's clock, as an instance tells it") struct ClockEstimateTests {
    private let second: Int64 = 1_000_000
    private let epoch: Int64 = 1_795_219_200_000_000

    /// A question at `at`, answered `trip` later; the server looked at its clock `share` of the way.
    private func sample(at asked: Int64, trip: Int64, share: Double = 0.5, ahead: Int64 = 0) -> ClockEstimate.Sample {
        let read = asked + Int64(Double(trip) * share)
        return ClockEstimate.Sample(
            server: epoch + read + ahead, asked: asked * 1000, answered: (asked + trip) * 1000)
    }

    /// How far the estimate is ahead of the server, in microseconds; 0 or less, or something would fire early.
    private func lead(_ estimate: ClockEstimate, at monotonic: Int64, ahead: Int64 = 0) -> Int64 {
        estimate.now(at: monotonic * 1000) - (epoch + monotonic + ahead)
    }

    @Test("It is behind the server by at most the round trip, and never ahead", arguments: [0.0, 0.3, 0.5, 1.0])
    func isCautious(share: Double) {
        var estimate = ClockEstimate()
        #expect(!estimate.isSet)
        estimate.take(sample(at: 5000, trip: 800, share: share))
        #expect(estimate.isSet)
        for later in [5800, 100_000, 3_000_000] as [Int64] {
            let lead = lead(estimate, at: later)
            #expect(lead <= 0 && lead >= -800)
        }
    }

    @Test("The quickest sample counts: a slow one moves nothing")
    func ignoresSlowSamples() {
        var estimate = ClockEstimate()
        estimate.take(sample(at: 0, trip: 200))
        let before = lead(estimate, at: second)
        estimate.take(sample(at: second, trip: 15_000, share: 0))
        estimate.take(sample(at: 2 * second, trip: 9000, share: 1))
        #expect(lead(estimate, at: 30 * second) == before)
    }

    @Test("A quicker sample draws it nearer, by 500 µs a second at most")
    func slews() {
        var estimate = ClockEstimate()
        estimate.take(sample(at: 0, trip: 10_000, share: 0))
        #expect(lead(estimate, at: 10_000) == -10_000)
        estimate.take(sample(at: second, trip: 100, share: 0))
        // 9,900 µs to go: 19.8 s.
        let start = second + 100
        #expect(abs(lead(estimate, at: start) - -10_000) <= 1)
        #expect(abs(lead(estimate, at: start + second) - -9500) <= 1)
        #expect(abs(lead(estimate, at: start + 10 * second) - -5000) <= 2)
        #expect(lead(estimate, at: start + 20 * second) == -100)
        #expect(lead(estimate, at: start + 60 * second) == -100)
    }

    @Test("Small corrections never make time run backwards", arguments: 1...6)
    func isMonotonic(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var estimate = ClockEstimate()
        var now: Int64 = 0
        var drift: Int64 = 0
        var last = Int64.min
        for _ in 0..<500 {
            let trip = Int64.random(in: 50...8000, using: &random)
            drift += Int64.random(in: -20...20, using: &random)
            let jumped = estimate.take(
                sample(at: now, trip: trip, share: Double.random(in: 0...1, using: &random), ahead: drift))
            #expect(jumped == nil)
            for step in 0..<5 as Range<Int64> {
                let told = estimate.now(at: (now + trip + step * 20_000) * 1000)
                #expect(told >= last)
                last = told
            }
            now += 200_000
        }
    }

    @Test(
        "A jump beyond 20 ms is followed at once, either way",
        arguments: [50_000, 3_600_000_000, -50_000, -86_400_000_000])
    func jumps(by step: Int64) {
        var estimate = ClockEstimate()
        estimate.take(sample(at: 0, trip: 400))
        let jumped = estimate.take(sample(at: second, trip: 400, ahead: step))
        #expect(jumped.map { abs($0 - step) <= 400 } == true)
        let lead = lead(estimate, at: second + 400, ahead: step)
        #expect(lead <= 0 && lead >= -400)
        // Samples from before the jump count no more.
        #expect(estimate.take(sample(at: 2 * second, trip: 600, ahead: step)) == nil)
        #expect(self.lead(estimate, at: 2 * second + 600, ahead: step) <= 0)
    }

    @Test("A difference that the round trips explain is no jump")
    func toleratesSlowAnswers() {
        var estimate = ClockEstimate()
        estimate.take(sample(at: 0, trip: 200))
        #expect(estimate.take(sample(at: second, trip: 500_000, share: 0)) == nil)
        #expect(estimate.take(sample(at: 2 * second, trip: 500_000, share: 1)) == nil)
        #expect(estimate.take(sample(at: 3 * second, trip: 200, ahead: 19_000)) == nil)
        #expect(estimate.take(sample(at: 4 * second, trip: 200, ahead: -25_000)) != nil)
    }

    @Test("A sample is forgotten after a minute: the clocks drift")
    func forgets() {
        var estimate = ClockEstimate()
        estimate.take(sample(at: 0, trip: 100, share: 0))
        estimate.take(sample(at: 59 * second, trip: 4000, share: 0))
        #expect(lead(estimate, at: 60 * second) == -100)
        estimate.take(sample(at: 61 * second, trip: 4000, share: 0))
        #expect(lead(estimate, at: 100 * second) == -4000)
    }
}
