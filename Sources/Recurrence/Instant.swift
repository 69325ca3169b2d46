/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Always within the years 0001 to 9999 UTC, so that every value has an RFC 3339 spelling
/// and the difference of any two fits into `Int64`.
package struct Instant: Hashable, Sendable {
    /// Milliseconds since 1970-01-01T00:00:00Z, negative before it.
    package let milliseconds: Int64

    private init(inRange milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// The instant that many milliseconds after 1970 UTC; beyond the range it is `earliest` or `latest`.
    package init(milliseconds: Int64) {
        let lowest = Instant.earliest.milliseconds
        let highest = Instant.latest.milliseconds
        self.init(inRange: min(max(milliseconds, lowest), highest))
    }

    /// 0001-01-01T00:00:00.000Z.
    package static let earliest = Instant(inRange: -62_135_596_800_000)

    /// 9999-12-31T23:59:59.999Z.
    package static let latest = Instant(inRange: 253_402_300_799_999)
}

extension Instant: Comparable {
    package static func < (left: Instant, right: Instant) -> Bool {
        left.milliseconds < right.milliseconds
    }
}

// MARK: - Arithmetic

extension Instant {
    /// This instant moved by `milliseconds`; stays at `earliest` or `latest` where it would leave the range.
    package func adding(milliseconds change: Int64) -> Instant {
        let (sum, overflow) = milliseconds.addingReportingOverflow(change)
        if overflow { return change < 0 ? .earliest : .latest }
        return Instant(milliseconds: sum)
    }

    /// Milliseconds from `other` to this instant, negative if this one is earlier. Never overflows.
    package func milliseconds(since other: Instant) -> Int64 {
        milliseconds - other.milliseconds
    }
}

// MARK: - Whole seconds

extension Instant {
    /// The instant at a whole second since 1970, or nil outside the years 0001 to 9999.
    init?(seconds: Int) {
        guard seconds >= Instant.earliestSecond, seconds <= Instant.latestSecond else { return nil }
        self.init(inRange: Int64(seconds) * 1000)
    }

    /// Seconds since 1970, rounded towards the past.
    var wholeSeconds: Int { floorDivide(Int(milliseconds), 1000) }

    static let earliestSecond = -62_135_596_800
    static let latestSecond = 253_402_300_799
}

/// The quotient rounded towards negative infinity, which `/` is not for negative numerators.
///
/// `divisor` is positive.
@inline(__always)
func floorDivide(_ value: Int, _ divisor: Int) -> Int {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
