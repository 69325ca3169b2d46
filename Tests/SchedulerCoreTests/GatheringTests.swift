import SchedulerCore
import Testing

@Suite("In a rush, fires are gathered") struct GatheringTests {
    private static let millisecond: Int64 = 1_000_000

    /// What comes at an even rate and is sent at each look: how far apart the looks are.
    private func pauses(perMillisecond rate: Double, looks: Int = 50) -> [Int64] {
        var gathering = Gathering()
        var now = 100 * Self.millisecond
        _ = gathering.pause(at: now)
        var pauses: [Int64] = []
        for _ in 0..<looks {
            // Until something is due, at least.
            let wait = max(pauses.last ?? 0, Int64(Double(Self.millisecond) * max(1, 1 / rate)))
            now += wait
            gathering.send(Int((Double(wait) / Double(Self.millisecond) * rate).rounded()))
            pauses.append(gathering.pause(at: now) - now)
        }
        return pauses
    }

    @Test("Nobody rests below the rate of a rush", arguments: [0.001, 0.1, 1, 4, 8]) func ordinaryRates(rate: Double) {
        #expect(pauses(perMillisecond: rate).allSatisfy { $0 == 0 })
    }

    @Test("In a rush every look is followed by a rest", arguments: [9.0, 20, 100]) func rush(rate: Double) {
        #expect(pauses(perMillisecond: rate).allSatisfy { $0 == Gathering.rest })
    }

    @Test("The first look after a rush ends it") func end() {
        var gathering = Gathering()
        _ = gathering.pause(at: 0)
        gathering.send(1000)
        #expect(gathering.pause(at: Self.millisecond) == Self.millisecond + Gathering.rest)
        gathering.send(1)
        #expect(gathering.pause(at: 4 * Self.millisecond) == 4 * Self.millisecond)
        // Two that are due at once after a silence are no rush.
        gathering.send(2)
        #expect(gathering.pause(at: 90 * Self.millisecond) == 90 * Self.millisecond)
    }
}
