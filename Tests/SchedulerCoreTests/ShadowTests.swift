import Recurrence
import SchedulerCore
import Testing

/// `"shadow": true`: what comes to its time and is not published (docs/shadow.md).
@Suite("Shadow mode") struct ShadowTests {
    private static let now = Instant(milliseconds: 1_800_000_000_000)

    private func life(attempt: Int32 = 1, tracked: Bool = true) -> Life {
        Life(
            execution: ExecutionID(UUIDValue(high: 1, low: 2)), schedule: ScheduleID(UUIDValue(high: 3, low: 4)),
            isTracked: tracked, attempt: attempt, fence: 7, openedAt: Self.now)
    }

    private var rule: LifeRule {
        LifeRule(completion: .report, startTimeout: nil, runTimeout: 60_000, heartbeatTimeout: nil, retry: RetryRule())
    }

    @Test(
        "Its dispatch ends with its time, whatever the schedule says of dispatches", arguments: DispatchTests.everyRule)
    func dispatch(_ rule: DispatchRule) {
        for hasUnknownCopy in [false, true] {
            let action = DispatchDecision.decide(.shadowed, under: rule, hasUnknownCopy: hasUnknownCopy)
            #expect(action == .ended(.shadowed))
        }
        #expect(!DispatchOutcome.shadowed.mayHaveArrived)
    }

    @Test("A first attempt is skipped, and nothing of it stays open; no other follows")
    func firstAttempt() throws {
        for tracked in [true, false] {
            let change = try #require(
                try life(tracked: tracked).taking(dispatch: .shadowed, under: rule, at: Self.now))
            #expect(change.life.state == .skipped && change.life.isOver && change.life.deadline == nil)
            #expect(change.life.reason == "shadow" && change.life.lastOutcome == nil)
            #expect(change.tells == [.skipped] && !change.asksWorkerToStop)
        }
    }

    @Test("What was sent before is never told as skipped: a further attempt is cancelled, and so is what was cancelled")
    func others() throws {
        let further = try #require(try life(attempt: 2).taking(dispatch: .shadowed, under: rule, at: Self.now))
        #expect(further.life.state == .cancelled && further.life.reason == "shadow" && further.tells == [.cancelled])
        let asked = try #require(try life().taking(.cancel(reason: "tea"), under: rule, at: Self.now))
        let ended = try #require(try asked.life.taking(.shadowed, under: rule, at: Self.now))
        #expect(ended.life.state == .cancelled && ended.life.reason == "tea")
        for state in [ExecutionState.delivered, .running, .retryWait] {
            var open = life()
            open.state = state
            #expect(throws: LifeRefusal.outOfPlace(state)) { try open.taking(.shadowed, under: rule, at: Self.now) }
        }
    }

    @Test("Nothing of it runs: it meets no bound of overlap, stops nobody, and takes no place of a limit")
    func places() throws {
        var target = TargetRule(
            namespace: nil, subject: try SubjectPattern("demo.>"), delivery: [.core], maxPayloadBytes: nil)
        target.maxInFlight = 1
        let rules = TargetRules(rules: [target], ownPrefix: "scheduler")
        var definition = ScheduleDefinition(
            name: try ScheduleName("n"), timing: Timing(type: .immediate), target: try TargetSubject("demo.a"))
        definition.completion = .report
        definition.concurrencyKey = "k"
        for policy in OverlapPolicy.allCases {
            definition.overlapPolicy = policy
            definition.isShadow = false
            #expect(OverlapRule(definition) == OverlapRule(policy, places: 1))
            #expect(!ConcurrencyLimits(of: definition, in: try Namespace("ops"), under: rules).isEmpty)
            definition.isShadow = true
            #expect(OverlapRule(definition) == OverlapRule(.allow, places: 1))
            #expect(OverlapRule(definition).decide(3, open: 5, waiting: 0).verdicts == [.opens, .opens, .opens])
            #expect(OverlapRule(definition).turn(open: 1, stopping: 0, waiting: 1).stopped == 0)
            #expect(ConcurrencyLimits(of: definition, in: try Namespace("ops"), under: rules).isEmpty)
        }
    }

    @Test("An edit of it is none of the timing")
    func timing() throws {
        let live = ScheduleDefinition(
            name: try ScheduleName("n"), timing: Timing(type: .immediate), target: try TargetSubject("demo.a"))
        var shadow = live
        shadow.isShadow = true
        #expect(!shadow.isRetimed(from: live) && !shadow.says(sameAs: live))
    }
}

/// What a rescue makes of an execution whose schedule came into the shadow, or out of it, after it was claimed.
@Suite("Shadow switches") struct ShadowSwitchTests {
    private static let at = Instant(milliseconds: 1_800_000_000_000)
    private static let before = at.adding(milliseconds: -1)
    private static let behind = at.adding(milliseconds: 1)

    @Test("What was due before the switch is what it was claimed as; what is due behind it is what the schedule is now")
    func sides() {
        for isShadow in [false, true] {
            let into = ShadowSwitch(isInto: true, at: Self.at)
            #expect(!into.wasShadow)
            for due in [Self.before, Self.at] {
                #expect(!into.shadows(sendableAt: due, mayHaveBeenSent: true, isShadow: isShadow))
                #expect(!into.shadows(sendableAt: due, mayHaveBeenSent: false, isShadow: isShadow))
            }
            #expect(into.shadows(sendableAt: Self.behind, mayHaveBeenSent: false, isShadow: isShadow) == isShadow)
            let out = ShadowSwitch(isInto: false, at: Self.at)
            #expect(out.wasShadow)
            for due in [Self.before, Self.at] {
                #expect(out.shadows(sendableAt: due, mayHaveBeenSent: false, isShadow: isShadow))
            }
            #expect(out.shadows(sendableAt: Self.behind, mayHaveBeenSent: false, isShadow: isShadow) == isShadow)
        }
    }

    @Test("What may have been sent is never called a shadow")
    func sent() {
        let into = ShadowSwitch(isInto: true, at: Self.at)
        #expect(!into.shadows(sendableAt: Self.behind, mayHaveBeenSent: true, isShadow: true))
    }
}
