import SchedulerCore
import Testing

@Suite("What becomes of an attempt after one publish") struct DispatchTests {
    @Test("An acknowledgement delivers, a duplicate one too; a refusal ends it")
    func ends() {
        for duplicate in [false, true] {
            let outcome = DispatchOutcome.acknowledged(stream: "S", sequence: 1, duplicate: duplicate)
            #expect(DispatchDecision.decide(outcome, tries: 3) == .delivered)
        }
        #expect(DispatchDecision.decide(.flushed, tries: 0) == .delivered)
        #expect(DispatchDecision.decide(.refused("too large"), tries: 9) == .failed("too large"))
    }

    @Test(
        "Silence is tried again, 50 ms doubling to 5 s",
        arguments: [(-1, 50), (0, 50), (1, 100), (2, 200), (5, 1600), (6, 3200), (7, 5000), (60, 5000), (.max, 5000)])
    func backsOff(tries: Int, expected: Int64) {
        #expect(DispatchDecision.backoffMilliseconds(tries: tries) == expected)
        #expect(DispatchDecision.decide(.timedOut, tries: tries) == .again(afterMilliseconds: expected))
        #expect(DispatchDecision.decide(.noResponders, tries: tries) == .again(afterMilliseconds: expected))
    }

    @Test("Time without a connection does not count", arguments: [DispatchOutcome.connectionLost, .notSent])
    func waitsForAConnection(outcome: DispatchOutcome) {
        #expect(DispatchDecision.decide(outcome, tries: 40) == .again(afterMilliseconds: 50))
    }

    @Test(
        "An attempt is uncertain after max(60 s, the grace)",
        arguments: [(0, 60_000), (60_001, 60_001), (300_000, 300_000)])
    func uncertainty(grace: Int64, expected: Int64) {
        #expect(DispatchDecision.uncertaintyMilliseconds(grace: grace) == expected)
    }
}
