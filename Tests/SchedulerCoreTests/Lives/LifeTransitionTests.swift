import Recurrence
import SchedulerCore
import TestSupport
import Testing

/// Every step of an execution's life, and no other: each open state in each of its kinds meets each event.
@Suite("The steps of an execution's life") struct LifeTransitionTests {
    private static let now = Instant(milliseconds: 1_800_000_000_000)
    private static let fence: Int64 = 7
    private static let documented = DocumentedSteps(states: ExecutionState.allCases.map(\.rawValue))

    private static func rule(
        _ completion: Completion = .report, retries: Int32 = 3, guarantee: Guarantee = .atLeastOnce
    ) -> LifeRule {
        LifeRule(
            completion: completion, guarantee: guarantee, startTimeout: 10_000, runTimeout: 60_000,
            heartbeatTimeout: 20_000,
            retry: RetryRule(maxRetries: retries, delaySeconds: 100))
    }

    /// One event of each kind, as the page calls it.
    private static let events: [(name: String, event: LifeEvent)] = [
        ("acknowledged", .acknowledged), ("refused", .refused(AttemptFailure(reason: "no"))),
        ("unanswered", .unanswered), ("uncertain", .uncertain), ("started", .started(fence: fence)),
        ("heartbeat", .heartbeat(fence: fence)),
        ("succeeded", .succeeded(fence: fence)), ("failed", .failed(fence: fence, AttemptFailure(reason: "no"))),
        ("deadline", .deadlinePassed), ("cancel", .cancel(reason: "tea")), ("its turn", .reopened(fence: 9)),
        ("taken back", .takenBack(due: now)), ("in shadow", .shadowed),
    ]

    private static func life(_ state: ExecutionState, tracked: Bool = true) -> Life {
        var life = Life(
            execution: ExecutionID(UUIDValue(high: 1, low: 2)), schedule: ScheduleID(UUIDValue(high: 3, low: 4)),
            isTracked: tracked, state: state, attempt: 1, fence: fence, openedAt: now)
        switch state {
        case .delivered: life.deadline = Life.Deadline(.start, at: now)
        case .running: life.deadline = Life.Deadline(.heartbeat, at: now)
        case .retryWait: life.deadline = Life.Deadline(.retry, at: now)
        default: break
        }
        life.runUntil = state == .running ? now.adding(milliseconds: 30_000) : nil
        return life
    }

    /// Each open state, and once more where the worker was asked to stop.
    private static var open: [Life] {
        var again = life(.claimed)
        again.attempt = 2
        let plain = [life(.claimed), again, life(.delivered), life(.running), life(.retryWait)]
        let asked = [life(.claimed), again, life(.delivered), life(.running)].map { life in
            var life = life
            life.isCancelling = true
            life.deadline = Life.Deadline(.cancel, at: now)
            return life
        }
        return plain + asked
    }

    /// What a schedule may say by the time that something happens, whatever it said when the execution was opened.
    private static var rules: [LifeRule] {
        Completion.allCases.flatMap { completion in
            Guarantee.allCases.flatMap { guarantee in
                [0, 3].map { rule(completion, retries: $0, guarantee: guarantee) }
            }
        }
    }

    private static func step(_ life: Life, _ name: String, _ event: LifeEvent, _ rule: LifeRule) -> DocumentedSteps
        .Step?
    {
        guard let change = try? life.taking(event, under: rule, at: now) else { return nil }
        return DocumentedSteps.Step(
            life.state.rawValue, name, change.life.state.rawValue, change.tells.map(\.rawValue))
    }

    @Test("The machine takes the steps that are documented, and no others")
    func table() {
        var taken: Set<DocumentedSteps.Step> = []
        for life in Self.open {
            for (name, event) in Self.events {
                for rule in Self.rules {
                    if let step = Self.step(life, name, event, rule) { taken.insert(step) }
                }
            }
        }
        let documented = Set(Self.documented.ofMachine)
        #expect(documented.count == Self.documented.ofMachine.count && documented.count > 30)
        #expect(taken.subtracting(documented).isEmpty, "not documented")
        #expect(documented.subtracting(taken).isEmpty, "never taken")
    }

    @Test("What is over takes nothing", arguments: [ExecutionState.succeeded, .dead, .cancelled, .skipped, .delivered])
    func over(state: ExecutionState) {
        let life = Self.life(state, tracked: state != .delivered)
        for (name, event) in Self.events {
            #expect(throws: LifeRefusal.over(state), "\(name)") {
                try life.taking(event, under: Self.rule(), at: Self.now)
            }
        }
    }

    @Test("Another attempt's fence is refused in every open state")
    func fences() {
        let words: [LifeEvent] = [
            .started(fence: 6), .heartbeat(fence: 8), .succeeded(fence: 6),
            .failed(fence: 6, AttemptFailure(reason: "no")),
        ]
        for life in Self.open {
            for word in words {
                #expect(throws: LifeRefusal.otherFence(current: Self.fence)) {
                    try life.taking(word, under: Self.rule(), at: Self.now)
                }
            }
        }
    }

    @Test("A report said again changes nothing")
    func repeated() throws {
        for (_, event) in Self.events.filter({ ["started", "cancel"].contains($0.name) }) {
            let once = try #require(try Self.life(.delivered).taking(event, under: Self.rule(), at: Self.now))
            #expect(try once.life.taking(event, under: Self.rule(), at: Self.now) == nil)
        }
        let failed = LifeEvent.failed(fence: Self.fence, AttemptFailure(reason: "no"))
        let once = try #require(try Self.life(.running).taking(failed, under: Self.rule(), at: Self.now))
        #expect(once.life.state == .retryWait)
        #expect(try once.life.taking(failed, under: Self.rule(), at: Self.now) == nil)
    }

    @Test("An attempt that is taken back was never made; a first one has nothing to go back to")
    func takenBack() throws {
        let rule = Self.rule()
        let due = Self.now.adding(milliseconds: 400)
        let waiting = try #require(try Self.life(.retryWait).taking(.reopened(fence: 9), under: rule, at: Self.now))
            .life
        let back = try #require(try waiting.taking(.takenBack(due: due), under: rule, at: Self.now))
        #expect(back.tells.isEmpty && back.life.attempt == 1 && back.life.deadline == Life.Deadline(.retry, at: due))
        let again = try #require(try back.life.taking(.reopened(fence: 11), under: rule, at: due)).life
        #expect(again.attempt == 2 && again.fence == 11)
        #expect(throws: LifeRefusal.outOfPlace(.claimed)) {
            try Self.life(.claimed).taking(.takenBack(due: due), under: rule, at: Self.now)
        }
    }

    @Test("Where once is the most, an attempt follows only one that failed or was refused, in every state")
    func atMostOnce() throws {
        for life in Self.open {
            for completion in Completion.allCases {
                // What is taken back has reached nobody.
                for (name, event) in Self.events where !["failed", "refused", "taken back"].contains(name) {
                    let rule = Self.rule(completion, guarantee: .atMostOnce)
                    guard let change = try? life.taking(event, under: rule, at: Self.now) else { continue }
                    let isNew = change.life.state == .retryWait && life.state != .retryWait
                    #expect(!isNew && !change.tells.contains(.retrying), "\(life.state) \(name)")
                    guard change.tells.contains(.timedOut) else { continue }
                    #expect(change.life.state == .dead && change.tells == [.timedOut, .dead], "\(life.state) \(name)")
                    #expect(change.life.reason == "uncertain" && change.life.lastOutcome == "timed_out")
                }
            }
        }
        // It has said how it ended: that is known.
        let failed = LifeEvent.failed(fence: Self.fence, AttemptFailure(reason: "no"))
        let again = try Self.life(.running).taking(failed, under: Self.rule(guarantee: .atMostOnce), at: Self.now)
        #expect(again?.life.state == .retryWait)
    }

    @Test(
        "What was opened to be tracked is done with its delivery once nobody tracks; what is out is waited for as it was"
    )
    func trackedNoMore() throws {
        let rule = Self.rule(.none)
        let delivered = try #require(try Self.life(.claimed).taking(.acknowledged, under: rule, at: Self.now))
        #expect(delivered.life.state == .succeeded && delivered.tells == [.delivered, .succeeded])
        #expect(delivered.life.deadline == nil)
        for state in [ExecutionState.delivered, .running] {
            let word = LifeEvent.succeeded(fence: Self.fence)
            let done = try #require(try Self.life(state).taking(word, under: rule, at: Self.now))
            #expect(done.life.state == .succeeded)
            let silent = try #require(try Self.life(state).taking(.deadlinePassed, under: rule, at: Self.now))
            #expect(silent.tells == [.timedOut, .retrying] && silent.asksWorkerToStop)
        }
    }

    @Test("One that is with NATS is cancelled within 30 s, whatever is heard of it; only a success counts")
    func cancelledWhileOut() throws {
        let rule = Self.rule(.reply)
        let asked = try #require(try Self.life(.claimed).taking(.cancel(reason: "tea"), under: rule, at: Self.now))
        #expect(asked.life.state == .claimed && asked.life.isCancelling && asked.asksWorkerToStop)
        #expect(asked.life.deadline == Life.Deadline(.cancel, at: Self.now.adding(milliseconds: 30_000)))
        #expect(asked.tells.isEmpty)
        func end(_ end: DispatchEnd) throws -> LifeChange? {
            try asked.life.taking(dispatch: end, under: rule, at: Self.now)
        }
        #expect(try end(.succeeded(result: nil))?.life.state == .succeeded)
        let no = AttemptFailure(reason: "no")
        for other in [DispatchEnd.failed(no), .refused(no), .unanswered, .uncertain] {
            let change = try #require(try end(other))
            #expect(change.life.state == .cancelled && change.life.reason == "tea", "\(other)")
        }
        // Its acknowledgement changes the state, not the patience.
        let delivered = try #require(try asked.life.taking(.acknowledged, under: Self.rule(), at: Self.now))
        #expect(delivered.life.state == .delivered && delivered.life.deadline == asked.life.deadline)
        #expect(delivered.asksWorkerToStop)
        #expect(throws: LifeRefusal.outOfPlace(.claimed)) {
            try Self.life(.claimed, tracked: false).taking(.cancel(reason: "tea"), under: rule, at: Self.now)
        }
    }

    @Test("An untracked execution takes nobody's word, and ends with its delivery")
    func untracked() throws {
        let rule = Self.rule(.none)
        let claimed = Self.life(.claimed, tracked: false)
        let delivered = try #require(try claimed.taking(.acknowledged, under: rule, at: Self.now))
        #expect(delivered.life.isOver && delivered.life.deadline == nil && delivered.tells == [.delivered])
        for state in [ExecutionState.claimed, .retryWait] {
            for (name, event) in Self.events where ["started", "heartbeat", "succeeded", "failed"].contains(name) {
                #expect(throws: LifeRefusal.outOfPlace(state), "\(state) \(name)") {
                    try Self.life(state, tracked: false).taking(event, under: rule, at: Self.now)
                }
            }
        }
    }
}

@Suite("The deadlines of an execution's life") struct LifeDeadlineTests {
    private static let now = Instant(milliseconds: 1_800_000_000_000)

    private func rule(start: Int64? = nil, run: Int64 = 60_000, heartbeat: Int64? = nil, retry: RetryRule = RetryRule())
        -> LifeRule
    {
        LifeRule(completion: .report, startTimeout: start, runTimeout: run, heartbeatTimeout: heartbeat, retry: retry)
    }

    private var claimed: Life {
        Life(
            execution: ExecutionID(UUIDValue(high: 1, low: 2)), schedule: ScheduleID(UUIDValue(high: 3, low: 4)),
            isTracked: true, fence: 7, openedAt: Self.now)
    }

    private func after(_ events: [LifeEvent], _ rule: LifeRule, at: Instant = now) throws -> Life {
        var life = claimed
        for event in events {
            if let change = try life.taking(event, under: rule, at: at) { life = change.life }
        }
        return life
    }

    private func words(_ deadline: Life.Deadline?) -> String {
        deadline.map { "\($0.kind.rawValue) \($0.at.milliseconds(since: Self.now))" } ?? "none"
    }

    @Test("A delivered one must begin, or end, whichever comes first")
    func delivered() throws {
        #expect(words(try after([.acknowledged], rule(start: 5000)).deadline) == "start 5000")
        #expect(words(try after([.acknowledged], rule(start: 90_000)).deadline) == "run 60000")
        #expect(words(try after([.acknowledged], rule()).deadline) == "run 60000")
    }

    @Test("A running one must live, and end; the run counts from its start, not from its signs of life")
    func running() throws {
        let rule = rule(start: 5000, heartbeat: 20_000)
        #expect(words(try after([.acknowledged, .started(fence: 7)], rule).deadline) == "heartbeat 20000")
        #expect(words(try after([.acknowledged, .started(fence: 7)], self.rule(start: 5000)).deadline) == "run 60000")
        let started = try after([.acknowledged, .started(fence: 7)], rule)
        let later = Self.now.adding(milliseconds: 15_000)
        let alive = try #require(try started.taking(.heartbeat(fence: 7), under: rule, at: later))
        #expect(words(alive.life.deadline) == "heartbeat 35000" && alive.tells.isEmpty)
        let late = Self.now.adding(milliseconds: 50_000)
        let last = try #require(try started.taking(.heartbeat(fence: 7), under: rule, at: late))
        #expect(words(last.life.deadline) == "run 60000")
        // Without a time-out for them they move nothing.
        let plain = try after([.acknowledged, .started(fence: 7)], self.rule())
        #expect(try plain.taking(.heartbeat(fence: 7), under: self.rule(), at: later) == nil)
    }

    @Test("A deadline that is yet to come ends nothing, and one that passed asks the worker to stop")
    func passed() throws {
        let rule = rule(start: 5000)
        let life = try after([.acknowledged], rule)
        #expect(try life.taking(.deadlinePassed, under: rule, at: Self.now.adding(milliseconds: 4999)) == nil)
        let change = try #require(
            try life.taking(.deadlinePassed, under: rule, at: Self.now.adding(milliseconds: 5000)))
        #expect(change.asksWorkerToStop && change.tells == [.timedOut, .retrying])
        #expect(change.life.lastOutcome == "timed_out" && change.life.reason?.contains("start time-out") == true)
        #expect(change.life.deadline?.kind == .retry)
    }

    @Test("Of a cancelled one the worker has 30 s to speak, whatever sign of life it gives")
    func cancelled() throws {
        let rule = rule(heartbeat: 20_000)
        let running = try after([.acknowledged, .started(fence: 7)], rule)
        let asked = try #require(try running.taking(.cancel(reason: "tea"), under: rule, at: Self.now))
        #expect(asked.asksWorkerToStop && asked.tells.isEmpty && words(asked.life.deadline) == "cancel 30000")
        let later = Self.now.adding(milliseconds: 29_000)
        #expect(try asked.life.taking(.heartbeat(fence: 7), under: rule, at: later) == nil)
        let success = try #require(try asked.life.taking(.succeeded(fence: 7), under: rule, at: later))
        #expect(success.life.state == .succeeded && success.life.reason == nil)
        let end = try #require(
            try asked.life.taking(.deadlinePassed, under: rule, at: Self.now.adding(milliseconds: 30_000)))
        #expect(end.life.state == .cancelled && end.life.reason == "tea" && end.tells == [.cancelled])
        // A start that is told late changes the state, not the patience.
        let delivered = try after([.acknowledged], rule)
        let early = try #require(try delivered.taking(.cancel(reason: "tea"), under: rule, at: Self.now))
        let begun = try #require(try early.life.taking(.started(fence: 7), under: rule, at: later))
        #expect(begun.life.state == .running && words(begun.life.deadline) == "cancel 30000")
    }

    @Test("A success between two attempts counts, and the next attempt begins with nothing of the last")
    func retried() throws {
        let rule = rule(retry: RetryRule(maxRetries: 1, delaySeconds: 100))
        let waiting = try after(
            [.acknowledged, .started(fence: 7), .failed(fence: 7, AttemptFailure(reason: "disk full"))], rule)
        #expect(waiting.state == .retryWait && waiting.reason == "disk full" && waiting.lastOutcome == "failed")
        let late = try #require(try waiting.taking(.succeeded(fence: 7), under: rule, at: Self.now))
        #expect(late.life.state == .succeeded && late.life.lastOutcome == "failed")
        let second = try #require(try waiting.taking(.reopened(fence: 9), under: rule, at: Self.now)).life
        #expect(second.attempt == 2 && second.fence == 9 && second.startedAt == nil && second.deadline == nil)
        let failure = LifeEvent.failed(fence: 9, AttemptFailure(reason: "again"))
        let over = try #require(try second.taking(failure, under: rule, at: Self.now))
        #expect(over.life.state == .dead && over.life.reason == "again" && over.tells == [.failed, .dead])
    }

    @Test("A fatal failure, and a pause that goes beyond the retries' age, are the last")
    func last() throws {
        let running = try after([.acknowledged, .started(fence: 7)], rule())
        func failed(_ failure: AttemptFailure, age: Double = 86_400) throws -> String {
            let rule = rule(retry: RetryRule(delaySeconds: 100, maxAgeSeconds: age))
            let event = LifeEvent.failed(fence: 7, failure)
            let life = try #require(try running.taking(event, under: rule, at: Self.now)).life
            return "\(life.state.rawValue) \(words(life.deadline))"
        }
        #expect(try failed(AttemptFailure(reason: "no", isFatal: true)) == "dead none")
        #expect(try failed(AttemptFailure(reason: "no", retryAfter: 1500)) == "retry_wait retry 1500")
        #expect(try failed(AttemptFailure(reason: "no", retryAfter: 2500), age: 2) == "dead none")
    }
}
