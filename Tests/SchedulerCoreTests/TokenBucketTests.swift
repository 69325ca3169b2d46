import SchedulerCore
import Testing

@Suite("Token buckets and limits") struct TokenBucketTests {
    private static let second: Int64 = 1_000_000_000

    @Test("A burst passes, then one at a time at the rate; who is refused is told how long to wait")
    func paces() {
        var bucket = TokenBucket(rate: 4, burst: 3, at: 0)
        for _ in 0..<3 { #expect(bucket.take(at: 0) == nil) }
        #expect(bucket.take(at: 0) == 0.25)
        #expect(bucket.take(at: Self.second / 8) == 0.125)
        // Being refused costs nothing.
        #expect(bucket.take(at: Self.second / 4) == nil)
        #expect(bucket.take(at: Self.second / 4) == 0.25)
    }

    @Test("However long it rests it holds no more than its burst, and a clock that stands back adds nothing")
    func bounds() {
        var bucket = TokenBucket(rate: 1000, burst: 2, at: 0)
        let later = 3600 * Self.second
        #expect([bucket.take(at: later), bucket.take(at: later)] == [nil, nil])
        #expect(bucket.take(at: later) != nil)
        #expect(bucket.take(at: later - Self.second) != nil)
        #expect(bucket.take(at: later + Self.second / 1000) == nil)
    }

    @Test("In any run of seconds no more passes than the burst and the rate allow")
    func neverExceeds() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            let rate = Double.random(in: 0.1...200, using: &random)
            let burst = Double.random(in: 1...50, using: &random)
            var bucket = TokenBucket(rate: rate, burst: burst, at: 0)
            var (now, passed): (Int64, Double) = (0, 0)
            for _ in 0..<500 {
                now += Int64.random(in: 0...Self.second / 20, using: &random)
                if bucket.take(at: now) == nil { passed += 1 }
            }
            #expect(passed <= burst + rate * Double(now) / 1e9 + 1e-6, "\(rate)/s, \(burst)")
        }
    }

    @Test("Another rate gives nobody a full bucket")
    func changes() {
        var bucket = TokenBucket(rate: 1, burst: 10, at: 0)
        for _ in 0..<10 { _ = bucket.take(at: 0) }
        bucket.set(rate: 100, burst: 1000, at: 0)
        #expect(bucket.take(at: 0) == 0.01)
        bucket.set(rate: 1, burst: 1, at: 10 * Self.second)
        #expect(bucket.take(at: 10 * Self.second) == nil)
        #expect(bucket.take(at: 10 * Self.second) == 1)
    }

    @Test(
        "A member's part of a namespace's rate",
        arguments: [
            (nil, nil, 2, nil, nil), (10, nil, 1, 10, 10), (10, nil, 4, 2.5, 2.5), (10, 20, 4, 2.5, 5),
            (0.5, nil, 2, 0.25, 1), (10, 1, 5, 2, 1), (10, nil, 0, 10, 10),
        ] as [(Double?, Int64?, Int, Double?, Double?)])
    func shares(rate: Double?, burst: Int64?, members: Int, ownRate: Double?, ownBurst: Double?) {
        var limits = NamespaceLimits()
        limits.commandsPerSecond = rate
        limits.commandBurst = burst
        let share = limits.commandShare(among: members)
        #expect(share?.rate == ownRate && share?.burst == ownBurst)
    }
}
