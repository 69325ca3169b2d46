import Recurrence
import SchedulerCore
import TestSupport
import Testing

/// docs/recall.md, cell by cell.
@Suite("What becomes of claims that are taken back") struct RecallRuleTests {
    private static let columns: [(name: String, rule: RecallRule)] = [
        ("pause", rule(.command, .paused)), ("deletion", rule(.command, .deleted)), ("edit", rule(.command)),
        ("another timing", rule(.command, generation: 2)), ("freeze", rule(.freeze, frozenFrom: at(100))),
        ("target lost", rule(.refusal, isPublishable: false)),
    ]

    private static let rows: [(name: String, claim: RecalledClaim)] = [
        ("its own time, not yet due", claim(.time, due: 101)), ("its own time, due", claim(.time, due: 90)),
        ("its own time, due, and tracked", claim(.time, due: 90, isTracked: true)),
        ("a message, not yet due", claim(.event, due: 101)), ("a message, due", claim(.event, due: 90)),
        ("what follows an end", claim(.after, due: 90)),
        ("a further attempt", claim(.time, due: 90, attempt: 2)),
        ("a backfill, a retry by command", claim(.backfill, due: 90)), ("a trigger", claim(.manual, due: 90)),
    ]

    private static func rule(
        _ cause: RecallCause, _ state: ScheduleState = .active, generation: Int32 = 1, isPublishable: Bool = true,
        timeStands: Bool = true, frozenFrom: Instant? = nil
    ) -> RecallRule {
        RecallRule(
            cause, state: state, generation: generation, changedAt: at(100), now: at(100), isPublishable: isPublishable,
            timeStands: timeStands, frozenFrom: frozenFrom)
    }

    private static func claim(
        _ origin: Origin, due: Double, attempt: Int32 = 1, isTracked: Bool = false
    ) -> RecalledClaim {
        let occurrence = Occurrence(schedule: LedgerSample.id, generation: 1, origin: origin, scheduledFor: at(due))
        return RecalledClaim(
            WaitingOccurrence(occurrence: occurrence, dueAt: at(due), trigger: .interval, since: at(100)),
            attempt: attempt, isTracked: isTracked)
    }

    private static func words(_ fate: RecallFate) -> String {
        switch fate {
        case .goesOut: "goes out"
        case .kept: "as it is now"
        case .returned: "goes back"
        case .dropped: "no occurrence"
        case .waits: "waits"
        case .retryWaits: "waits again"
        case .skipped(let reason): "`\(reason.rawValue)`"
        case .cancelled: "cancelled"
        }
    }

    /// The cells of the page's table, by row and column.
    private static let documented: [String: [String]] = {
        let rows = DocumentedTable.rows(of: "docs/recall.md").map { ($0[0], Array($0.dropFirst())) }
        return Dictionary(rows, uniquingKeysWith: { first, _ in first })
    }()

    @Test("Each cell of the page is what the rule says")
    func table() {
        #expect(Self.documented["what waits"] == Self.columns.map(\.name))
        #expect(Self.documented.count == Self.rows.count + 2, "a row is missing, or one too many")
        for (name, claim) in Self.rows {
            let said = Self.columns.map { Self.words($0.rule.fate(of: claim)) }
            #expect(said == Self.documented[name], "\(name)")
        }
    }

    @Test("A schedule that became invalid before the recall ends the same as one that will")
    func invalid() {
        let rule = Self.rule(.command, .invalid)
        for (name, claim) in Self.rows {
            let expected = Self.documented[name]?.last
            #expect(Self.words(rule.fate(of: claim)) == expected, "\(name)")
        }
    }

    @Test("What an origin is, is told by its first attempt only")
    func kinds() {
        for origin in Origin.allCases { #expect(ClaimedKind(origin: origin, attempt: 2) == .furtherAttempt) }
        #expect(
            Origin.allCases.map { ClaimedKind(origin: $0, attempt: 1) } == [
                .time, .triggered, .commanded, .follower, .event, .commanded,
            ])
    }

    @Test("What is withdrawn has a fate that is not to go out as it was asked for, and the other way round")
    func withdrawn() {
        for (name, claim) in Self.rows {
            for (_, rule) in Self.columns {
                let stays = [.goesOut, .cancelled].contains(rule.fate(of: claim))
                #expect(claim.kind.isWithdrawn(for: rule.cause) != stays, "\(name)")
            }
        }
        #expect(!ClaimedKind.follower.isWithdrawn(for: .leaving) && ClaimedKind.event.isWithdrawn(for: .leaving))
    }

    @Test("A member that leaves gives back, whatever the schedule's state, and keeps nothing")
    func leaving() {
        let rule = Self.rule(.leaving)
        let fates = Self.rows.filter { $0.claim.kind.isWithdrawn(for: .leaving) }.map { rule.fate(of: $0.claim) }
        #expect(fates == [.returned, .returned, .waits, .returned, .returned, .retryWaits])
    }

    @Test("What was due while the freeze held already, and what a calendar moved, go back to the timer")
    func timers() {
        let rule = Self.rule(.freeze, frozenFrom: at(80))
        #expect(rule.fate(of: Self.claim(.time, due: 90)) == .returned)
        #expect(rule.fate(of: Self.claim(.time, due: 90, isTracked: true)) == .waits)
        #expect(Self.rule(.command, timeStands: false).fate(of: Self.claim(.time, due: 101)) == .returned)
        #expect(Self.rule(.command, timeStands: false).fate(of: Self.claim(.event, due: 101)) == .kept)
    }
}

@Suite("Where a timer stands once claims were taken back") struct RecallPlanTests {
    private func sample(_ state: ScheduleState = .active, next: Double?, ran: Int64, runs: Int64? = nil) throws
        -> LedgerSample
    {
        var sample = try LedgerSample(every: 60, next: next)
        sample.schedule.state = state
        sample.schedule.definition.timing.maxRuns = runs
        sample.timer.runCount = ran
        return sample
    }

    private func settled(
        _ sample: LedgerSample, _ claims: [(Origin, Double)], _ cause: RecallCause = .command, now: Double = 100,
        isTracked: Bool = false, gone: Int? = nil, frozenFrom: Double? = nil, timeStands: Bool = true
    ) -> RecallPlan {
        let claims = claims.map { origin, due in
            let occurrence = Occurrence(
                schedule: LedgerSample.id, generation: 1, origin: origin, scheduledFor: at(due))
            return RecalledClaim(
                WaitingOccurrence(occurrence: occurrence, dueAt: at(due), trigger: .interval, since: at(now)),
                isTracked: isTracked)
        }
        let rule = RecallRule(
            cause, state: sample.schedule.state, generation: sample.timer.generation, changedAt: at(now), now: at(now),
            timeStands: timeStands, frozenFrom: frozenFrom.map(at))
        let timing = sample.schedule.definition.timing
        let source = OccurrenceSource(
            recurrence: .interval(
                periodMilliseconds: timing.intervalMilliseconds ?? 0, anchor: sample.schedule.anchor))
        var plan = RecallPlan(
            claims, of: sample.schedule, planner(source, runs: timing.runLimit), sample.timer, by: rule)
        plan.settle(Set(claims.prefix(gone ?? claims.count).map(\.waiting.id)))
        return plan
    }

    private func words(_ timer: Timer) -> String {
        let next = timer.nextFireAt.map { "at \(Int(seconds($0)))" } ?? "none"
        return next + (timer.resumeFrom.map { " from \(Int(seconds($0)))" } ?? "") + " ran \(timer.runCount)"
    }

    @Test("The timer goes back to the first of them, at once or when the schedule goes on")
    func returned() throws {
        let claims: [(Origin, Double)] = [(.time, 180), (.time, 120)]
        let active = settled(try sample(next: 240, ran: 5), claims, .leaving)
        #expect(words(active.timer) == "at 120 ran 3" && active.skipped.isEmpty && active.waiting.isEmpty)
        var paused = try sample(.paused, next: nil, ran: 5)
        paused.timer.resumeFrom = at(240)
        #expect(words(settled(paused, claims).timer) == "none from 120 ran 3")
        // Only what is still there is given back.
        #expect(words(settled(try sample(next: 240, ran: 5), claims, .leaving, gone: 1).timer) == "at 180 ran 4")
    }

    @Test("The last of max_runs, skipped by a pause, lets the schedule go on behind it")
    func lastOfRuns() throws {
        let tracked = settled(try sample(.paused, next: nil, ran: 1, runs: 1), [(.time, 60)], isTracked: true)
        #expect(words(tracked.timer) == "none from 120 ran 0")
        #expect(tracked.skipped.map(\.reason) == [.paused])
        let untracked = settled(try sample(.paused, next: nil, ran: 1, runs: 1), [(.time, 60)])
        #expect(words(untracked.timer) == "none from 60 ran 0")
        // Two of three were fired: nothing begins anew that had not ended.
        var further = try sample(.paused, next: nil, ran: 2, runs: 3)
        further.timer.resumeFrom = at(180)
        #expect(words(settled(further, [(.time, 60)], isTracked: true).timer) == "none from 180 ran 1")
    }

    @Test("What another timing ended does not count for max_runs, and the new timing begins")
    func superseded() throws {
        var sample = try sample(next: nil, ran: 1, runs: 1)
        sample.schedule.definition.timing.intervalMilliseconds = 30_000
        sample.schedule.generation = 2
        sample.schedule.anchor = at(100)
        sample.timer.generation = 2
        let plan = settled(sample, [(.time, 60)])
        #expect(plan.skipped.map(\.reason) == [.superseded])
        #expect(words(plan.timer) == "at 130 ran 0")
    }

    @Test("What waits is counted still, a follower never was")
    func waiting() throws {
        let plan = settled(
            try sample(next: 120, ran: 3), [(.time, 60), (.after, 70)], .freeze, frozenFrom: 100)
        #expect(plan.waiting.map(\.occurrence.origin) == [.time, .after] && words(plan.timer) == "at 120 ran 3")
        let ended = settled(try sample(.paused, next: nil, ran: 3), [(.after, 70)])
        #expect(ended.skipped.map(\.reason) == [.paused] && words(ended.timer) == "none ran 3")
    }

    @Test("A deleted schedule's timer stands")
    func deleted() throws {
        let plan = settled(try sample(.deleted, next: nil, ran: 2), [(.time, 60), (.time, 120)])
        #expect(words(plan.timer) == "none ran 2" && plan.skipped.map(\.reason) == [.deleted])
    }

    @Test("What stays is among none of those whose rows go")
    func kept() throws {
        let plan = settled(try sample(next: 240, ran: 2), [(.time, 60), (.event, 60), (.after, 60)])
        #expect(plan.kept.count == 3 && plan.leaving.isEmpty && plan.retries.isEmpty)
        #expect(words(plan.timer) == "at 240 ran 2")
    }
}
