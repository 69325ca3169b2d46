import Recurrence
import SchedulerCore
import Testing

@Suite("Why it fired, did not, or did twice") struct ExplanationTests {
    private static let at = Instant(milliseconds: 1_790_000_000_000)
    private static let id = ScheduleID(UUIDValue(high: 1, low: 2))

    private func facts(
        _ occurrence: Instant? = at, state: ScheduleState = .active, now: Int64 = 3_600_000
    ) throws -> ExplanationFacts {
        var timing = Timing(type: .cron)
        timing.cronExpression = "0 9 * * *"
        let created = Self.at.adding(milliseconds: -86_400_000)
        let definition = ScheduleDefinition(
            name: try ScheduleName("report"), timing: timing, target: try TargetSubject("demo.a"))
        let schedule = Schedule(
            id: Self.id, namespace: try Namespace("demo"), definition: definition, state: state,
            pauseReason: state == .active ? nil : "holidays", anchor: created, createdAt: created, updatedAt: created)
        return ExplanationFacts(
            at: Self.at, now: Self.at.adding(milliseconds: now), schedule: schedule,
            neighbours: .init(before: occurrence, after: Self.at.adding(milliseconds: 86_400_000)), standing: nil,
            keptFrom: Self.at.adding(milliseconds: -30 * 86_400_000))
    }

    private func row(
        _ state: ExecutionState, _ origin: Origin = .time, late: Int64? = nil, claimed: Int64 = 0
    ) -> Execution {
        let occurrence = Occurrence(
            schedule: Self.id, generation: 1, origin: origin, scheduledFor: Self.at, ordinal: origin == .time ? 0 : 1)
        var row = Execution(
            id: occurrence.executionID, schedule: Self.id, scheduledFor: Self.at, dueAt: Self.at, state: state,
            origin: origin, trigger: origin == .time ? .cron : .manual, generation: 1, scheduleVersion: 1, attempt: 1,
            fence: 1, claimedAt: Self.at.adding(milliseconds: claimed))
        row.firedAt = late.map { Self.at.adding(milliseconds: $0) }
        return row
    }

    /// The verdict, and whether a sentence says the words.
    private func expect(
        _ facts: ExplanationFacts, _ verdict: Explanation.Verdict, says words: String,
        _ place: SourceLocation = #_sourceLocation
    ) {
        let explanation = Explanation(facts)
        #expect(explanation.verdict == verdict, sourceLocation: place)
        #expect(
            explanation.sentences.contains { $0.contains(words) }, "\(explanation.sentences)", sourceLocation: place)
    }

    @Test("What became of an occurrence that has a row")
    func rows() throws {
        var facts = try facts()
        facts.executions = [row(.delivered, late: 3)]
        expect(facts, .fired, says: "It was fired at \(Self.at.adding(milliseconds: 3).rfc3339), as execution")
        facts.executions = [row(.delivered, late: 2500)]
        expect(facts, .late, says: ", 2.5 s late, as execution")
        facts.executions = [row(.delivered, late: 3), row(.delivered, .retry, late: 3)]
        expect(facts, .firedMoreThanOnce, says: "It was fired 2 times: of its own time, by retry.")
        facts.executions = [row(.claimed)]
        expect(facts, .open, says: "has not ended")
        var dead = row(.dead)
        dead.reason = "too large"
        facts.executions = [dead]
        expect(facts, .dead, says: "gave up: too large")
        var cancelled = row(.cancelled)
        cancelled.reason = "asked by ann"
        facts.executions = [cancelled]
        expect(facts, .cancelled, says: "was cancelled: asked by ann")
        var uncertain = row(.delivered, late: 3)
        uncertain.outcome = "uncertain"
        facts.executions = [uncertain]
        expect(facts, .fired, says: "may have had it twice")
        facts.executions = [row(.delivered, late: 3), row(.delivered, .manual, late: 3)]
        expect(facts, .firedMoreThanOnce, says: "A trigger made execution")
    }

    @Test("What a late fire waited for")
    func delays() throws {
        var facts = try facts()
        facts.executions = [row(.delivered, late: 2500)]
        expect(facts, .late, says: "It was claimed in time")
        facts.executions = [row(.delivered, late: 7000, claimed: 6500)]
        expect(
            facts, .late,
            says: "Nobody had claimed it before \(Self.at.adding(milliseconds: 6500).rfc3339), 6.5 s after")
        facts.executions = [row(.delivered, late: 3)]
        #expect(!Explanation(facts).sentences.contains { $0.contains("claimed") })
    }

    @Test("What is open is told with what comes next, and what ended with how it ended")
    func lives() throws {
        var facts = try facts()
        func tracked(_ state: ExecutionState, attempt: Int32 = 1, ended: Int64? = nil) -> Execution {
            var row = row(state, late: 3)
            row.isTracked = true
            row.attempt = attempt
            row.startedAt = Self.at.adding(milliseconds: 50)
            row.finishedAt = ended.map { Self.at.adding(milliseconds: $0) }
            return row
        }
        func deadline(_ kind: Life.Deadline.Kind) {
            facts.deadlines = [facts.executions[0].id: .init(kind, at: Self.at)]
        }
        facts.executions = [tracked(.delivered)]
        expect(facts, .open, says: "its worker has not said that it began")
        deadline(.start)
        expect(facts, .open, says: "If nobody says by \(Self.at.rfc3339) that it began, the attempt is timed out.")
        facts.executions = [tracked(.running)]
        expect(facts, .open, says: "Its worker runs attempt 1")
        for (kind, words) in [
            (Life.Deadline.Kind.run, "If it has not ended by"), (.heartbeat, "no sign of life"),
            (.cancel, "was asked to stop"),
        ] {
            deadline(kind)
            expect(facts, .open, says: words)
        }
        var waiting = tracked(.retryWait, attempt: 2)
        waiting.lastOutcome = "timed_out"
        waiting.reason = "no sign of life"
        facts.executions = [waiting]
        deadline(.retry)
        expect(facts, .open, says: "timed_out (no sign of life)")
        expect(facts, .open, says: "The next attempt is due at")
        facts.executions = [tracked(.claimed, attempt: 3)]
        expect(facts, .open, says: "Attempt 3 of execution")
        facts.executions = [tracked(.succeeded, attempt: 2, ended: 1503)]
        expect(facts, .fired, says: "that it succeeded, 1.5 s after it was fired, with attempt 2.")
        var dead = tracked(.dead, attempt: 4, ended: 9)
        dead.lastOutcome = "failed"
        dead.reason = "no disk"
        facts.executions = [dead]
        expect(facts, .dead, says: "gave up after 4 attempts, the last one failed: no disk.")
    }

    @Test("Every reason of a skip has words of its own", arguments: SkipReason.allCases)
    func skips(reason: SkipReason) throws {
        var facts = try facts()
        var skipped = row(.skipped)
        skipped.reason = reason.rawValue
        facts.executions = [skipped]
        expect(facts, .skipped, says: "It was skipped (\(reason.rawValue)): ")
        #expect(!Explanation(facts).sentences.contains { $0.contains("see its row") })
    }

    @Test("A pause and a revoked target are told with who and why")
    func changes() throws {
        var facts = try facts()
        var skipped = row(.skipped)
        skipped.reason = "paused"
        skipped.rangeFrom = Self.at.adding(milliseconds: -60_000)
        skipped.rangeCount = 20
        facts.range = skipped
        facts.stateChange = .init(at: Self.at, action: "paused", actor: "ann", reason: "holidays")
        expect(facts, .skipped, says: "the schedule was paused at \(Self.at.rfc3339) by ann (holidays)")
        expect(facts, .skipped, says: "a run of 20 skipped occurrences")
    }

    @Test("What has no row")
    func withoutRow() throws {
        expect(try facts(now: -60_000), .inTheFuture, says: "has not come yet")
        expect(try facts(nil), .notAnOccurrence, says: "is no occurrence of the schedule: the one after is")
        expect(
            try facts(Self.at.adding(milliseconds: -1000)), .notAnOccurrence,
            says: "the one before is \(Self.at.adding(milliseconds: -1000).rfc3339)")
        var standing = try facts(state: .paused)
        standing.standing = Self.at
        expect(standing, .held, says: "is paused (holidays): a resume skips it")
        standing = try facts()
        standing.standing = Self.at
        expect(standing, .overdue, says: "nobody has claimed it yet")
        expect(try facts(state: .exhausted), .exhausted, says: "was exhausted at")
        expect(try facts(), .unexplained, says: "please report it")
        var old = try facts()
        old.keptFrom = Self.at.adding(milliseconds: 1)
        expect(old, .lostToRetention, says: "nobody knows any more")
        var young = try facts()
        young.schedule.createdAt = Self.at.adding(milliseconds: 1)
        expect(young, .notAnOccurrence, says: "was created only at")
        var edited = try facts()
        edited.timingChange = .init(at: Self.at.adding(milliseconds: 5), action: "updated", actor: "bob", reason: nil)
        expect(edited, .notAnOccurrence, says: "The timing was another then: it was changed at")
    }

    @Test("A due time is meant as well as a nominal one")
    func spread() {
        let neighbours = ExplanationFacts.Neighbours(before: Self.at, after: Self.at.adding(milliseconds: 60_000))
        let due = neighbours.nearest(to: Self.at.adding(milliseconds: 20_500), offset: 20_000)
        #expect(due?.occurrence == Self.at && due?.isMeant == true)
        let between = neighbours.nearest(to: Self.at.adding(milliseconds: 45_000), offset: 0)
        #expect(between?.occurrence == Self.at.adding(milliseconds: 60_000) && between?.isMeant == false)
    }

    @Test("What the clocks did is told")
    func clocks() throws {
        var facts = try facts()
        facts.executions = [row(.delivered, late: 3)]
        facts.clockChange = .gap
        expect(facts, .fired, says: "The clocks jumped over its local time")
        facts.clockChange = .repeat
        expect(facts, .fired, says: "showed its local time twice")
    }
}
