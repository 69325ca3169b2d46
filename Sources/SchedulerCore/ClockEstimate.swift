import Recurrence

/// What PostgreSQL's clock says now, told from a monotonic clock and samples (semantics.md §7, *Clocks*).
///
/// A sample is the server's time and the monotonic instants around the question. The server read its clock somewhere
/// between the two; the estimate takes the *later* one, so it runs behind the server's clock by at most the sample's
/// round trip and never ahead of it: nothing fires early. The quickest sample of the last minute counts. Small
/// corrections are slewed so that time never runs backwards; a jump is followed at once.
package struct ClockEstimate: Sendable {
    package struct Sample: Hashable, Sendable {
        /// Microseconds since 1970 on PostgreSQL's clock.
        package let server: Int64
        /// Monotonic nanoseconds before the question and after the answer.
        package let asked: Int64
        package let answered: Int64

        package init(server: Int64, asked: Int64, answered: Int64) {
            self.server = server
            self.asked = asked
            self.answered = answered
        }

        var roundTrip: Int64 { answered - asked }
        /// Server microseconds minus monotonic microseconds, at the cautious end.
        var offset: Int64 { server - answered / 1000 }
        /// The other end: no offset above this agrees with the sample.
        var highestOffset: Int64 { server - asked / 1000 }
    }

    /// Samples older than this do not count: oscillators drift.
    package static let memory: Int64 = 60_000_000_000
    /// The estimate moves by at most this share of elapsed time: 500 µs a second, as `adjtime` does.
    package static let slewPerMillion: Int64 = 500
    /// A difference beyond this, after allowing for both round trips, is a jump, not drift.
    package static let jump: Int64 = 20_000

    private var samples: [Sample] = []
    private var target: Int64 = 0
    private var base: (offset: Int64, at: Int64) = (0, 0)

    package init() {}

    /// Whether any sample has been taken.
    package var isSet: Bool { !samples.isEmpty }

    /// The offset in use at a monotonic instant: microseconds to add to the monotonic clock's microseconds.
    package func offset(at monotonic: Int64) -> Int64 {
        let most = max(0, monotonic - base.at) / 1000 * Self.slewPerMillion / 1_000_000
        let wanted = target - base.offset
        return base.offset + (wanted >= 0 ? min(wanted, most) : max(wanted, -most))
    }

    /// Microseconds since 1970 on PostgreSQL's clock, never ahead of it.
    package func now(at monotonic: Int64) -> Int64 { monotonic / 1000 + offset(at: monotonic) }

    /// Takes a sample in. Returns how far the clock jumped, in microseconds, where it did.
    @discardableResult
    package mutating func take(_ sample: Sample) -> Int64? {
        guard isSet else {
            samples = [sample]
            target = sample.offset
            base = (target, sample.answered)
            return nil
        }
        let current = offset(at: sample.answered)
        // The sample allows any offset in [offset, highestOffset]; the estimate may be off by `jump` besides.
        if current > sample.highestOffset + Self.jump || current < sample.offset - Self.jump {
            samples = [sample]
            target = sample.offset
            base = (target, sample.answered)
            return sample.offset - current
        }
        base = (current, sample.answered)
        samples.removeAll { sample.answered - $0.answered > Self.memory }
        samples.append(sample)
        target = samples.min { $0.roundTrip < $1.roundTrip }?.offset ?? sample.offset
        return nil
    }
}
