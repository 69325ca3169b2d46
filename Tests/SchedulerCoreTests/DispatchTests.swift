import Recurrence
import SchedulerCore
import Testing

@Suite("What becomes of an attempt after one publish") struct DispatchTests {
    /// Rules by what they say, as `request reply`, `core at_most_once`.
    static func rule(_ words: String) -> DispatchRule {
        let words = Set(words.split(separator: " "))
        func choice<Choice: RawRepresentable & CaseIterable>(_ initial: Choice) -> Choice
        where Choice.RawValue == String { Choice.allCases.first { words.contains($0.rawValue[...]) } ?? initial }
        return DispatchRule(
            delivery: choice(.jetstream), guarantee: choice(.atLeastOnce), completion: choice(.none))
    }

    static let everyRule = Delivery.allCases.flatMap { delivery in
        Guarantee.allCases.flatMap { guarantee in
            Completion.allCases.map { DispatchRule(delivery: delivery, guarantee: guarantee, completion: $0) }
        }
    }

    @Test("An acknowledgement delivers, a duplicate one too; a refusal ends it", arguments: everyRule)
    func ends(_ rule: DispatchRule) {
        for duplicate in [false, true] {
            let outcome = DispatchOutcome.acknowledged(stream: "S", sequence: 1, duplicate: duplicate)
            #expect(DispatchDecision.decide(outcome, under: rule) == .ended(.delivered))
        }
        #expect(DispatchDecision.decide(.flushed, under: rule) == .ended(.delivered))
        for isFatal in [false, true] {
            let failure = AttemptFailure(reason: "too large", isFatal: isFatal)
            let action = DispatchDecision.decide(.refused("too large", isFatal: isFatal), under: rule)
            #expect(action == .ended(.refused(failure)))
        }
        // Never again, and told as what nobody can know.
        #expect(DispatchDecision.decide(.withheld, under: rule) == .ended(.uncertain))
        #expect(DispatchDecision.decide(.notSent, under: rule) == .unsent)
    }

    @Test("A reply delivers; where it is the outcome, it says how the run went. A stream's is no worker's")
    func replies() {
        let failure = AttemptFailure(reason: "no funds", isFatal: true, retryAfter: 5)
        for answer in [WorkerAnswer.succeeded(result: [0x31]), .failed(failure)] {
            #expect(DispatchDecision.decide(.answered(answer), under: Self.rule("request")) == .ended(.delivered))
        }
        let reply = Self.rule("request reply")
        let succeeded = DispatchDecision.decide(.answered(.succeeded(result: [0x31])), under: reply)
        #expect(succeeded == .ended(.succeeded(result: [0x31])))
        #expect(DispatchDecision.decide(.answered(.failed(failure)), under: reply) == .ended(.failed(failure)))
        for rule in [reply, Self.rule("request")] {
            // Another attempt would be stored once more.
            let expected = AttemptFailure(reason: "target_is_a_stream", isFatal: true)
            #expect(DispatchDecision.decide(.answeredByStream, under: rule) == .ended(.refused(expected)))
        }
    }

    @Test("A service's answer to a publish ends it: it would work again", arguments: everyRule)
    func services(_ rule: DispatchRule) {
        let fatal = AttemptFailure(reason: DispatchEnd.targetIsAService, isFatal: true)
        #expect(DispatchDecision.decide(.answeredByService, under: rule) == .ended(.refused(fatal)))
    }

    @Test("A forbidden subject says nothing of one message on it: another attempt, but not where once is the most")
    func forbidden() {
        for rule in Self.everyRule {
            let failure = AttemptFailure(
                reason: "the server permits this user no publish on the subject",
                isFatal: rule.guarantee == .atMostOnce)
            #expect(DispatchDecision.decide(.notPermitted, under: rule) == .ended(.refused(failure)), "\(rule)")
        }
    }

    @Test("A no to a copy says nothing of another that may have arrived: uncertain, where once is the most")
    func refusedCopies() {
        let refusals = [DispatchOutcome.refused("too large"), .notPermitted, .answeredByService, .answeredByStream]
        for rule in Self.everyRule {
            for refusal in refusals {
                let action = DispatchDecision.decide(refusal, under: rule, hasUnknownCopy: true)
                let first = DispatchDecision.decide(refusal, under: rule)
                #expect(action == (rule.guarantee == .atMostOnce ? .ended(.uncertain) : first), "\(rule) \(refusal)")
                #expect(first != .ended(.uncertain))
            }
            let acknowledged = DispatchOutcome.acknowledged(stream: "S", sequence: 1, duplicate: true)
            #expect(
                DispatchDecision.decide(acknowledged, under: rule, hasUnknownCopy: true) == .ended(.delivered))
            #expect(DispatchDecision.decide(.notSent, under: rule, hasUnknownCopy: true) == .unsent)
        }
    }

    @Test("What was opened untracked has no outcome by its reply")
    func untracked() {
        let rule = Self.rule("request reply").untracked
        #expect(rule == Self.rule("request") && rule.waitsForSilent)
        #expect(Self.rule("core at_most_once report").untracked == Self.rule("core at_most_once"))
    }

    @Test(
        "Pauses are 50 ms doubling to 5 s",
        arguments: [(-1, 50), (0, 50), (1, 100), (2, 200), (5, 1600), (6, 3200), (7, 5000), (60, 5000), (.max, 5000)])
    func backsOff(tries: Int, expected: Int64) {
        #expect(DispatchDecision.backoffMilliseconds(tries: tries) == expected)
    }

    struct Silence: Sendable, CustomTestStringConvertible {
        let rule: String
        let noResponders: DispatchDecision.Action
        let timedOut: DispatchDecision.Action
        let connectionLost: DispatchDecision.Action

        var testDescription: String { rule }
    }

    private static let nobody = DispatchDecision.Action.ended(.refused(AttemptFailure(reason: "no_responders")))

    static let silences = [
        // A stream drops a copy: it is asked again whatever the guarantee, and ``isUncertain`` bounds it.
        Silence(rule: "jetstream", noResponders: .silent, timedOut: .silent, connectionLost: .unsent),
        Silence(rule: "jetstream at_most_once", noResponders: .silent, timedOut: .silent, connectionLost: .unsent),
        Silence(rule: "jetstream report", noResponders: .silent, timedOut: .silent, connectionLost: .unsent),
        Silence(rule: "request", noResponders: nobody, timedOut: .silent, connectionLost: .unsent),
        Silence(rule: "request report", noResponders: nobody, timedOut: .silent, connectionLost: .unsent),
        // No reply is an outcome where the reply is one.
        Silence(rule: "request reply", noResponders: nobody, timedOut: .ended(.unanswered), connectionLost: .unsent),
    ]

    @Test("Silence is the target's, a lost connection nobody's; no responders end a request", arguments: silences)
    func triesAgain(_ row: Silence) {
        let rule = Self.rule(row.rule)
        #expect(DispatchDecision.decide(.noResponders, under: rule) == row.noResponders)
        #expect(DispatchDecision.decide(.timedOut, under: rule) == row.timedOut)
        #expect(DispatchDecision.decide(.connectionLost, under: rule) == row.connectionLost)
    }

    @Test(
        "What may have arrived at a core or request target is not sent twice where once is the most",
        arguments: ["core", "core report", "request", "request reply", "request report"])
    func atMostOnce(_ words: String) {
        let rule = Self.rule(words + " at_most_once")
        for outcome in [DispatchOutcome.timedOut, .connectionLost] {
            #expect(outcome.mayHaveArrived)
            #expect(DispatchDecision.decide(outcome, under: rule) == .ended(.uncertain))
            #expect(DispatchDecision.decide(outcome, under: Self.rule(words)) != .ended(.uncertain))
        }
        // Nobody has these.
        for outcome in [DispatchOutcome.noResponders, .notSent] {
            #expect(!outcome.mayHaveArrived)
            #expect(DispatchDecision.decide(outcome, under: rule) != .ended(.uncertain))
        }
    }

    @Test("A fenced member has sent nothing that could first be sent after its fence, clocks apart")
    func rescues() {
        let fenced = Instant(milliseconds: 1_000_000)
        for (after, expected) in [(-5000, true), (0, true), (100, true), (101, false), (5000, false)] as [(Int64, Bool)]
        {
            let sendable = fenced.adding(milliseconds: after)
            #expect(DispatchDecision.mayHaveBeenSent(sendableAt: sendable, fencedAt: fenced) == expected)
        }
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
