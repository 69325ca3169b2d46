import SchedulerCore
import Testing

@Suite("What becomes of an attempt after one publish") struct DispatchTests {
    @Test("An acknowledgement delivers, a duplicate one too; a refusal ends it")
    func ends() {
        for duplicate in [false, true] {
            let outcome = DispatchOutcome.acknowledged(stream: "S", sequence: 1, duplicate: duplicate)
            #expect(DispatchDecision.decide(outcome) == .delivered)
        }
        #expect(DispatchDecision.decide(.flushed) == .delivered)
        #expect(DispatchDecision.decide(.refused("too large")) == .failed("too large"))
    }

    @Test(
        "Pauses are 50 ms doubling to 5 s",
        arguments: [(-1, 50), (0, 50), (1, 100), (2, 200), (5, 1600), (6, 3200), (7, 5000), (60, 5000), (.max, 5000)])
    func backsOff(tries: Int, expected: Int64) {
        #expect(DispatchDecision.backoffMilliseconds(tries: tries) == expected)
    }

    @Test(
        "Silence is the target's, a lost connection nobody's; what came before either may have arrived, or cannot have",
        arguments: [
            (.noResponders, .silent, false), (.timedOut, .silent, true), (.connectionLost, .unsent, true),
            (.notSent, .unsent, false),
        ] as [(DispatchOutcome, DispatchDecision.Action, Bool)])
    func triesAgain(outcome: DispatchOutcome, action: DispatchDecision.Action, mayHaveArrived: Bool) {
        #expect(DispatchDecision.decide(outcome) == action)
        #expect(outcome.mayHaveArrived == mayHaveArrived)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var first: Int64?
        var unknown: Int64?
        var grace: Int64 = 300_000
        var window: Int64 = 120_000
        let isUncertain: Bool

        var testDescription: String {
            "first \(first ?? -1), unknown \(unknown ?? -1), grace \(grace), window \(window): \(isUncertain)"
        }
    }

    static let cases = [
        // Never handed over.
        Case(isUncertain: false), Case(grace: 0, window: 0, isUncertain: false),
        // §7: half the duplicate window after a copy of which nobody knows, whatever the grace.
        Case(first: 0, unknown: 0, isUncertain: false), Case(first: 60_000, unknown: 60_000, isUncertain: false),
        Case(first: 60_001, unknown: 60_001, isUncertain: true),
        Case(first: 60_001, unknown: 60_001, grace: 86_400_000, isUncertain: true),
        Case(first: 60_001, unknown: 60_001, window: 600_000, isUncertain: false),
        Case(first: 1001, unknown: 1001, window: 2000, isUncertain: true),
        // The copy's age counts, not the attempt's.
        Case(first: 90_000, unknown: 10_000, isUncertain: false),
        // A core target drops no copy.
        Case(first: 0, unknown: 0, window: 0, isUncertain: true), Case(first: 9, window: 0, isUncertain: false),
        // §5: max(60 s, the grace) without an outcome, though no copy can have arrived.
        Case(first: 60_000, grace: 0, isUncertain: false), Case(first: 60_001, grace: 0, isUncertain: true),
        Case(first: 300_000, isUncertain: false), Case(first: 300_001, isUncertain: true),
        Case(first: 60_001, grace: 60_000, isUncertain: true), Case(first: 60_001, grace: 60_001, isUncertain: false),
        Case(first: 300_001, unknown: 1, window: 600_000, isUncertain: true),
    ]

    @Test("An outcome is uncertain by the age of a copy, or of the attempt", arguments: cases)
    func uncertainty(_ row: Case) {
        let past = DispatchDecision.Past(sinceFirst: row.first, sinceUnknown: row.unknown)
        #expect(
            DispatchDecision.isUncertain(past, grace: row.grace, duplicateWindow: row.window) == row.isUncertain)
    }
}
