import Recurrence
import SchedulerCore
import Testing

@Suite("What the end of a dispatch makes of an execution") struct DispatchEndTests {
    private let now = Instant(milliseconds: 1_800_000_000_000)

    private func rule(_ completion: Completion, retries: Int32 = 1) -> LifeRule {
        LifeRule(
            completion: completion, startTimeout: nil, runTimeout: 60_000, heartbeatTimeout: nil,
            retry: RetryRule(maxRetries: retries))
    }

    private func life(_ completion: Completion) throws -> Life {
        let execution = try #require(ExecutionID(text: "01a1fd73-4acf-8c52-9c07-fd9a55eb6b51"))
        let schedule = try #require(ScheduleID(text: "01a1fd73-4acf-7c52-9c07-fd9a55eb6b51"))
        return Life(
            execution: execution, schedule: schedule, isTracked: completion != .none, fence: 7, openedAt: now)
    }

    private static let failure = AttemptFailure(reason: "no funds")
    private static let fatal = AttemptFailure(reason: "no funds", isFatal: true)

    static let ends: [(DispatchEnd, ExecutionState, [LifeTell], String?)] = [
        (.delivered, .delivered, [.delivered], nil),
        (.succeeded(result: nil), .succeeded, [.delivered, .succeeded], nil),
        (.failed(failure), .retryWait, [.delivered, .failed, .retrying], "failed"),
        (.failed(fatal), .dead, [.delivered, .failed, .dead], "failed"),
        (.refused(failure), .retryWait, [.failed, .retrying], "failed"),
        (.refused(fatal), .dead, [.failed, .dead], "failed"),
        (.unanswered, .retryWait, [.timedOut, .retrying], "timed_out"),
        (.uncertain, .dead, [.dead], "uncertain"), (.shadowed, .skipped, [.skipped], nil),
    ]

    @Test("Where the reply is the outcome: delivered and its outcome are one change", arguments: ends)
    func tracked(_ end: DispatchEnd, _ state: ExecutionState, _ tells: [LifeTell], _ lastOutcome: String?) throws {
        let change = try #require(try life(.reply).taking(dispatch: end, under: rule(.reply), at: now))
        #expect(change.life.state == state)
        #expect(change.tells == tells)
        #expect(change.life.lastOutcome == lastOutcome)
        #expect(!change.asksWorkerToStop)
    }

    @Test("The last attempt without a reply is dead, by its time-out")
    func givesUp() throws {
        let change = try #require(
            try life(.reply).taking(dispatch: .unanswered, under: rule(.reply, retries: 0), at: now))
        #expect(change.life.state == .dead && change.tells == [.timedOut, .dead])
        #expect(change.life.reason == "no reply came within the run time-out")
    }

    @Test("Where completion is not tracked, a reply is the end, whatever it says")
    func untracked() throws {
        for end in [DispatchEnd.delivered, .succeeded(result: nil), .failed(Self.failure)] {
            let change = try #require(try life(.none).taking(dispatch: end, under: rule(.none), at: now))
            #expect(change.life.state == .delivered && change.life.isOver && change.tells == [.delivered])
        }
        let refused = try #require(
            try life(.none).taking(dispatch: .refused(Self.failure), under: rule(.none), at: now))
        #expect(refused.life.state == .retryWait)
    }

    @Test("An attempt that is open no longer takes no end of a dispatch but an acknowledgement")
    func outOfPlace() throws {
        var life = try life(.reply)
        life.state = .retryWait
        #expect(throws: LifeRefusal.outOfPlace(.retryWait)) {
            try life.taking(dispatch: .unanswered, under: rule(.reply), at: now)
        }
        #expect(throws: LifeRefusal.outOfPlace(.retryWait)) {
            try life.taking(dispatch: .uncertain, under: rule(.reply), at: now)
        }
        #expect(try life.taking(dispatch: .delivered, under: rule(.reply), at: now) == nil)
    }
}
