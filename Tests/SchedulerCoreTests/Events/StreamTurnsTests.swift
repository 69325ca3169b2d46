import SchedulerCore
import Testing

@Suite("Which streams are asked") struct StreamTurnsTests {
    private static let second: Int64 = 1_000_000_000

    @Test("One that is asked is not asked again meanwhile, and the others are") func sideBySide() throws {
        var turns = StreamTurns(most: 2)
        let (a, b, c) = (try StreamName("A"), try StreamName("B"), try StreamName("C"))
        #expect(turns.take([a, b], at: 0) == [a, b])
        #expect(turns.take([a, b, c], at: 0).isEmpty, "two at once, no more")
        turns.end(b, isAnswered: true, at: 0)
        #expect(turns.take([a, c], at: 0) == [c])
    }

    @Test("One that does not answer is left alone longer each time, and comes last") func silence() throws {
        var turns = StreamTurns(most: 1)
        let (a, b) = (try StreamName("A"), try StreamName("B"))
        var now: Int64 = 0
        for pause in [0.5, 1, 2, 4, 8, 8] {
            #expect(turns.take([a], at: now) == [a])
            turns.end(a, isAnswered: false, at: now)
            #expect(turns.take([a], at: now + Int64(pause * Double(Self.second)) - 1).isEmpty)
            now += Int64(pause * Double(Self.second))
        }
        #expect(turns.take([a, b], at: now) == [b])
        turns.end(b, isAnswered: true, at: now)
        #expect(turns.take([a], at: now) == [a])
        turns.end(a, isAnswered: true, at: now)
        #expect(turns.take([a], at: now) == [a], "it has answered")
    }
}
