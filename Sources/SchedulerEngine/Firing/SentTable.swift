/// What was handed to JetStream and not yet resolved, by a token that names a slot and its use.
struct SentTable {
    private var slots: [(fire: Fire?, use: UInt32)] = []
    private var free: [Int] = []

    var count: Int { slots.count - free.count }

    mutating func insert(_ fire: Fire) -> UInt64 {
        let index: Int
        if let reused = free.popLast() {
            index = reused
        } else {
            index = slots.count
            slots.append((nil, 0))
        }
        slots[index].fire = fire
        slots[index].use &+= 1
        return UInt64(slots[index].use) << 32 | UInt64(index)
    }

    /// Nil for a token of another use: what a fenced publisher left behind.
    mutating func remove(_ token: UInt64) -> Fire? {
        let index = Int(token & 0xFFFF_FFFF)
        guard index < slots.count, slots[index].use == UInt32(token >> 32), let fire = slots[index].fire else {
            return nil
        }
        slots[index].fire = nil
        free.append(index)
        return fire
    }
}

/// A rate as tokens that gather for at most a quarter of a second.
struct RateBucket {
    private let clusterRate: Double
    private var perSecond: Double
    private var tokens: Double
    private var filledAt: Int64?

    init(perSecond: Double) {
        clusterRate = perSecond
        self.perSecond = perSecond
        tokens = 1
    }

    /// The rate is a cluster's: each of its members takes its part.
    mutating func share(among members: Int) { perSecond = clusterRate / Double(max(1, members)) }

    mutating func take(at monotonic: Int64) -> Bool {
        let elapsed = Double(monotonic - (filledAt ?? monotonic)) / 1e9
        filledAt = monotonic
        tokens = min(max(1, perSecond / 4), tokens + elapsed * perSecond)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
