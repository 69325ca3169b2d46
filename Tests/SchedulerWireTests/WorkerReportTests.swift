import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

@Suite("Workers' reports, as they are read") struct WorkerReportTests {
    private static let id = "01a1fd73-4b71-8e15-b464-f0143fffdf21"

    private func report(
        _ kind: String, _ body: String = "", fence: String? = "7"
    ) throws -> WorkerReport {
        let subject = try ReportSubject("scheduler.run.demo.\(Self.id).\(kind)", prefix: "scheduler")
        return try WorkerReport(subject, fence: fence, body: Array(body.utf8))
    }

    @Test("A subject names namespace, execution and kind", arguments: ReportKind.allCases)
    func subjects(kind: ReportKind) throws {
        let subject = try ReportSubject("carillon.run.team-a.\(Self.id).\(kind.rawValue)", prefix: "carillon")
        #expect(subject.namespace.description == "team-a" && subject.kind == kind)
        #expect(subject.execution.description == Self.id)
        #expect(
            ReportSubject.base(of: subject.execution, in: "team-a", prefix: "carillon") + ".\(kind.rawValue)"
                == "carillon.run.team-a.\(Self.id).\(kind.rawValue)")
    }

    @Test(
        "A subject that is none is refused, and the token named",
        arguments: [
            ("scheduler.run.demo.x.started", "'x'"), ("scheduler.run.demo", "'scheduler.run.demo'"),
            ("other.run.demo.\(id).started", "'other.run"), ("scheduler.run.-.\(id).started", "'-'"),
            ("scheduler.run.demo.\(id).cancel", "'cancel'"), ("scheduler.run.demo.\(id).started.more", "started.more'"),
        ])
    func badSubjects(subject: String, named: String) {
        let error = #expect(throws: WireError.self) { try ReportSubject(subject, prefix: "scheduler") }
        #expect(error?.code == .badSubject && error?.description.contains(named) == true, "\(error as Any)")
    }

    @Test("Header and body may say the fence, as a number or as the message brought it")
    func fences() throws {
        #expect(try report("started", fence: "12").fence == 12)
        #expect(try report("started", #"{"fence":12}"#, fence: nil).fence == 12)
        #expect(try report("started", #"{"fence":"12"}"#, fence: nil).fence == 12)
        #expect(try report("started", #"{"fence":12}"#, fence: "12").fence == 12)
        let odd: [(String?, String, ErrorCode)] = [
            (nil, "", .missingField), (nil, "{}", .missingField), (nil, #"{"fence":null}"#, .missingField),
            ("0", "", .invalidValue), ("x", "", .invalidValue), (nil, #"{"fence":1.5}"#, .invalidValue),
            (nil, #"{"fence":"-3"}"#, .invalidValue), ("1", #"{"fence":2}"#, .conflictingFields),
            (nil, "{", .badJSON), (nil, "[]", .notAnObject),
        ]
        for (header, body, code) in odd {
            let error = #expect(throws: WireError.self) { try report("succeeded", body, fence: header) }
            #expect(error?.code == code, "\(header ?? "-") \(body)")
        }
    }

    @Test("What the body says is read")
    func bodies() throws {
        let success = try report("succeeded", #" {"progress": 1.0, "result" : {"rows":[1, 2]}} "#)
        #expect(success.flaws.isEmpty)
        #expect(success.result.map { String(decoding: $0, as: UTF8.self) } == #"{"rows":[1, 2]}"#)
        #expect(success.progress.map { String(decoding: $0, as: UTF8.self) } == "1.0")
        #expect(success.event == .succeeded(fence: 7))
        let failure = try report("failed", #"{"error":"disk\u0000full","fatal":true,"retry_after_seconds":1.5}"#)
        #expect(failure.flaws.isEmpty)
        #expect(
            failure.event
                == .failed(fence: 7, AttemptFailure(reason: "disk full", isFatal: true, retryAfter: 1500)))
        #expect(try report("failed", #"{"error":{"code":5}}"#).error == #"{"code":5}"#)
        #expect(try report("failed").failure.reason.contains("not why"))
        #expect(try report("failed", #"{"error":"\#(String(repeating: "é", count: 5000))"}"#).error?.count == 1024)
        #expect(try report("heartbeat").event == .heartbeat(fence: 7))
    }

    @Test(
        "What is wrong with a body is named, and the report counts all the same",
        arguments: [
            ("succeeded", "{", ErrorCode.badJSON, ""), ("succeeded", "[1]", .notAnObject, ""),
            ("succeeded", #"{"result":"\#(String(repeating: "x", count: 4095))"}"#, .invalidValue, "/result"),
            ("started", #"{"progress":"\#(String(repeating: "x", count: 1023))"}"#, .invalidValue, "/progress"),
            ("failed", #"{"result":1}"#, .conflictingFields, "/result"),
            ("failed", #"{"fatal":"yes"}"#, .wrongType, "/fatal"),
            ("failed", #"{"retry_after_seconds":-1}"#, .invalidValue, "/retry_after_seconds"),
            ("failed", #"{"message":"no"}"#, .unknownField, "/message"),
        ])
    func flaws(kind: String, body: String, code: ErrorCode, pointer: String) throws {
        let report = try report(kind, body)
        #expect(report.fence == 7 && report.result == nil && report.retryAfterMilliseconds == nil && !report.isFatal)
        #expect(report.flaws.map(\.code) == [code])
        #expect(report.flaws.first?.detail.pointer.description == pointer)
        let problem = try #require(ReportProblem(flawsOf: report, body: Array(body.utf8), on: "s"))
        let told = try JSONValue.parse(problem.text(at: Instant(milliseconds: 0), source: "/carillon/x").body)
        #expect(told["data"]?["counted"]?.bool == true)
        #expect(told["data"]?["error"]?["err_code"]?.int64 == Int64(code.errCode))
    }

    @Test("All that is wrong is named at once, and a result of 4 KiB is not too long")
    func several() throws {
        let body = #"{"result":"\#(String(repeating: "x", count: 4094))","fatal":1,"a":2}"#
        let report = try report("succeeded", body)
        #expect(report.flaws.map(\.detail.pointer.description) == ["/fatal", "/a"])
        #expect(report.result?.count == 4096)
    }

    @Test("The same report sent again tells the same event; it fits a message whatever the body quotes")
    func problems() throws {
        let long = String(repeating: "x", count: 1 << 19)
        let body = Array(#"{"\#(long)":1,"fatal":"\#(long)"}"#.utf8)
        let subject = try ReportSubject("scheduler.run.demo.\(Self.id).failed", prefix: "scheduler")
        let report = try WorkerReport(subject, fence: "7", body: body)
        let problem = try #require(ReportProblem(flawsOf: report, body: body, on: "scheduler.run.demo.x.failed"))
        let first = problem.text(at: Instant(milliseconds: 0), source: "/carillon/x")
        let second = problem.text(at: Instant(milliseconds: 9), source: "/carillon/x")
        #expect(first.id == second.id && first.body.count < 4096)
        let other = ReportProblem(
            refusing: report, body: [], on: "scheduler.run.demo.x.failed", for: WireError(.wrongState, "no"))
        #expect(other.text(at: Instant(milliseconds: 0), source: "/carillon/x").id != first.id)
        let nobodys = ReportProblem(
            unreadable: "scheduler.run.-.x.failed", prefix: "scheduler", body: [], for: WireError(.badSubject, "no"))
        #expect(nobodys.text(at: Instant(milliseconds: 0), source: "s").namespace == "_system")
    }
}

@Suite("What a report means to its execution") struct ReportDecisionTests {
    private static let now = Instant(milliseconds: 1_000_000)
    private static let id = ExecutionID(UUIDValue(high: 1, low: 2))
    private static let rule = LifeRule(
        completion: .report, startTimeout: nil, runTimeout: 60_000, heartbeatTimeout: 10_000, retry: RetryRule())

    private func execution(_ state: ExecutionState, tracked: Bool = true) -> Execution {
        var execution = Execution(
            id: Self.id, schedule: ScheduleID(UUIDValue(high: 3, low: 4)), scheduledFor: Self.now, dueAt: Self.now,
            state: state, origin: .time, trigger: .interval, generation: 1, scheduleVersion: 1, attempt: 2, fence: 7,
            claimedAt: Self.now)
        execution.isTracked = tracked
        return execution
    }

    private func known(_ state: ExecutionState, tracked: Bool = true, in namespace: String = "demo")
        -> ReportDecision.Known
    {
        let execution = execution(state, tracked: tracked)
        let isOpen = !state.isTerminal(tracked: tracked)
        let life = Life(
            execution: Self.id, schedule: execution.schedule, isTracked: tracked, state: state, attempt: 2, fence: 7,
            openedAt: Self.now)
        return ReportDecision.Known(execution, namespace: namespace, life: isOpen ? life : nil)
    }

    private func decide(
        _ kind: ReportKind, fence: Int = 7, on known: ReportDecision.Known?, isPatient: Bool = true
    ) throws -> String {
        let subject = try ReportSubject("scheduler.run.demo.\(Self.id).\(kind.rawValue)", prefix: "scheduler")
        let report = try WorkerReport(subject, fence: String(fence), body: [])
        switch ReportDecision.decide(report, on: known, under: Self.rule, isPatient: isPatient, at: Self.now) {
        case .change(let change): return change.life.state.rawValue
        case .nothing: return "nothing"
        case .early: return "early"
        case .refused(let error): return "refused \(error.code.errCode)"
        }
    }

    @Test("Each kind in each state", arguments: ExecutionState.allCases)
    func table(state: ExecutionState) throws {
        let expected: [ExecutionState: [String]] = [
            // started, heartbeat, succeeded, failed
            .claimed: ["early", "early", "early", "early"],
            .delivered: ["running", "running", "succeeded", "retry_wait"],
            .running: ["nothing", "running", "succeeded", "retry_wait"],
            .retryWait: ["nothing", "nothing", "succeeded", "nothing"],
            .succeeded: ["nothing", "nothing", "nothing", "refused 20412"],
            .dead: ["nothing", "nothing", "refused 20412", "nothing"],
            .cancelled: ["nothing", "nothing", "refused 20412", "nothing"],
            .skipped: ["nothing", "nothing", "refused 20412", "refused 20412"],
        ]
        #expect(try ReportKind.allCases.map { try decide($0, on: known(state)) } == expected[state])
    }

    @Test("Another fence is refused in every state", arguments: ExecutionState.allCases)
    func fences(state: ExecutionState) throws {
        for kind in ReportKind.allCases {
            #expect(try decide(kind, fence: 6, on: known(state)) == "refused 20412")
        }
    }

    @Test("A report that is quicker than the record waits for it, and counts where it never comes")
    func early() throws {
        let outcomes = try ReportKind.allCases.map { try decide($0, on: known(.claimed), isPatient: false) }
        #expect(outcomes == ["running", "running", "succeeded", "retry_wait"])
    }

    @Test("What nobody waits for, or another namespace's, is refused")
    func strangers() throws {
        #expect(try decide(.succeeded, on: known(.delivered, tracked: false)) == "refused 20412")
        #expect(try decide(.succeeded, on: known(.running, in: "other")) == "refused 20405")
        #expect(try decide(.succeeded, on: nil) == "refused 20405")
    }
}
