import Recurrence

/// What the events of the last minute said, second by second. Bounded whatever comes: a second holds counts, and of the
/// lateness as many values as two significant digits leave.
package struct FireWindow: Sendable {
    /// How far back it looks, in seconds.
    package static let length: Int64 = 60

    private struct Second {
        var fires: Int64 = 0
        var counts: [String: Int64] = [:]
        var lateness: [Int64: Int64] = [:]
    }

    /// In milliseconds. From 100 on to two significant digits.
    package struct Lateness: Hashable, Sendable {
        package let median: Int64
        package let p99: Int64
        package let most: Int64
    }

    /// By their place since 1970.
    private var seconds: [Int64: Second] = [:]

    mutating func add(_ event: TopEvent) {
        let second = Self.second(event.at)
        if seconds[second] == nil { forget(at: second) }
        seconds[second, default: Second()].counts[event.kind, default: 0] += event.count
        guard let lateness = event.lateness else { return }
        seconds[second]?.fires += 1
        seconds[second]?.lateness[Self.rounded(lateness), default: 0] += 1
    }

    /// The newest last; one value a second, as many as it looks back.
    func fires(at now: Instant) -> [Int64] {
        let last = Self.second(now)
        return ((last - Self.length + 1)...last).map { seconds[$0]?.fires ?? 0 }
    }

    /// How often something was told, such as `execution.dead`.
    func count(_ kind: String, at now: Instant) -> Int64 {
        recent(now).reduce(0) { $0 + ($1.counts[kind] ?? 0) }
    }

    func events(at now: Instant) -> Int64 { recent(now).reduce(0) { $0 + $1.counts.values.reduce(0, +) } }

    /// Of what was delivered; nil where nothing was.
    func lateness(at now: Instant) -> Lateness? {
        var counts: [Int64: Int64] = [:]
        for second in recent(now) { counts.merge(second.lateness, uniquingKeysWith: +) }
        let ordered = counts.sorted { $0.key < $1.key }
        let total = ordered.reduce(0) { $0 + $1.value }
        guard let most = ordered.last?.key else { return nil }
        func quantile(_ percent: Int64) -> Int64 {
            var seen: Int64 = 0
            for (value, count) in ordered {
                seen += count
                if seen * 100 >= total * percent { return value }
            }
            return most
        }
        return Lateness(median: quantile(50), p99: quantile(99), most: most)
    }

    private func recent(_ now: Instant) -> [Second] {
        let last = Self.second(now)
        return seconds.filter { ((last - Self.length + 1)...last).contains($0.key) }.map(\.value)
    }

    /// A clock that was set back leaves seconds behind that are yet to come: they go too.
    private mutating func forget(at second: Int64) {
        seconds = seconds.filter { ((second - Self.length)...second).contains($0.key) }
    }

    private static func second(_ instant: Instant) -> Int64 {
        instant.milliseconds.quotientAndRemainder(dividingBy: 1000).quotient
    }

    private static func rounded(_ value: Int64) -> Int64 {
        var scale: Int64 = 1
        while value.magnitude / UInt64(scale) >= 100 { scale *= 10 }
        return value / scale * scale
    }
}
