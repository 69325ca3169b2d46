/// A token bucket: `rate` tokens a second come in, `burst` are kept at most, each command takes one. Pure: the time is
/// given, in nanoseconds of a monotonic clock.
package struct TokenBucket: Hashable, Sendable {
    /// Tokens a second, above 0.
    package private(set) var rate: Double
    /// At least 1: below it nothing could ever be taken.
    package private(set) var burst: Double
    private var tokens: Double
    private var at: Int64

    /// A full bucket.
    package init(rate: Double, burst: Double, at now: Int64) {
        self.rate = rate
        self.burst = max(1, burst)
        tokens = self.burst
        at = now
    }

    /// Takes one token.
    /// - Returns: nil where there was one, else the seconds until there will be.
    package mutating func take(at now: Int64) -> Double? {
        refill(at: now)
        guard tokens >= 1 else { return (1 - tokens) / rate }
        tokens -= 1
        return nil
    }

    /// Another rate holds from now on. What was saved stays, as far as it fits: a change of the rate gives nobody a full
    /// bucket.
    package mutating func set(rate: Double, burst: Double, at now: Int64) {
        guard rate != self.rate || max(1, burst) != self.burst else { return }
        refill(at: now)
        self.rate = rate
        self.burst = max(1, burst)
        tokens = min(tokens, self.burst)
    }

    /// A clock that is read on two threads may stand a little before `at`: then nothing comes in.
    private mutating func refill(at now: Int64) {
        guard now > at else { return }
        tokens = min(burst, tokens + Double(now - at) / 1e9 * rate)
        at = now
    }
}
