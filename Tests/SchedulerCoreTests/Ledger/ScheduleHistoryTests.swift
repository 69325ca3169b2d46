import Recurrence
import SchedulerCore
import Testing

@Suite("What a schedule's timing was") struct ScheduleHistoryTests {
    /// A minute's rhythm until 330 s, then half a minute's.
    private func edited() throws -> LedgerSample {
        var sample = try LedgerSample(next: 450, now: 445)
        sample.add([60, 120, 180, 240, 300])
        sample.edit(at: 330, every: 30)
        sample.add([360, 390, 420], generation: 2)
        return sample
    }

    @Test("Each generation owes its own occurrences, up to the edit that ended it")
    func edits() throws {
        var sample = try edited()
        #expect(sample.problems().isEmpty && sample.check().occurrences == 8)
        sample.rows.remove(at: 4)
        #expect(sample.problems() == ["missing 1 300...300 1"])
        sample = try edited()
        sample.rows.remove(at: 5)
        #expect(sample.problems() == ["missing 2 360...360 1"])
        // Claimed ahead of the edit and sent: none is owed, and one is explained.
        sample = try edited()
        sample.add([360])
        #expect(sample.problems().isEmpty)
        sample.add([600])
        #expect(sample.problems(to: 1000) == ["unexplained 1 600...600 1"])
        sample = try edited()
        sample.add([330], generation: 2)
        #expect(sample.problems() == ["unexplained 2 330...330 1"])
    }

    @Test("Three generations; where the audit log begins late, the rest is not proved")
    func unknown() throws {
        var sample = try edited()
        sample.edit(at: 445, every: 10)
        sample.now = at(470)
        sample.timer.nextFireAt = at(475)
        sample.add([455, 465], generation: 3)
        #expect(sample.problems().isEmpty && sample.history.doubts.isEmpty)
        sample.turns.removeLast()
        sample.rows.remove(at: 0)
        var found = sample.check()
        #expect(found.problems.isEmpty)
        // Neither the first generation nor where the second began is known.
        #expect(found.doubts.map(\.brief) == ["definition_unknown -1"] && found.doubts[0].through == at(444.999))
        sample.turns = [TimingTurn(at: at(445), before: nil), TimingTurn(at: at(330), before: nil)]
        found = sample.check()
        #expect(found.doubts.map(\.reason) == [.definitionUnreadable, .definitionUnreadable])
        // An entry that is none of the timing's in force.
        sample.turns = [TimingTurn(at: at(400), before: nil)]
        #expect(sample.check().doubts.map(\.reason) == [.definitionUnknown])
    }

    @Test("An edit of anything else is no turn; an import that brings another state back is one")
    func turns() throws {
        var timing = Timing(type: .interval)
        timing.intervalMilliseconds = 1000
        let name = try ScheduleName("a")
        func audited(_ state: ScheduleState, _ period: Int64 = 1000, _ other: ScheduleName? = nil) -> AuditedTiming {
            timing.intervalMilliseconds = period
            return AuditedTiming(name: other ?? name, timing: timing, state: state, runCount: 0)
        }
        #expect(TimingTurn(at: dawn, before: audited(.active), after: audited(.active)) == nil)
        #expect(TimingTurn(at: dawn, before: audited(.active), after: audited(.active, 2000)) != nil)
        #expect(TimingTurn(at: dawn, before: audited(.invalid), after: audited(.active)) == nil)
        #expect(TimingTurn(at: dawn, before: audited(.active), after: audited(.paused)) != nil)
        #expect(TimingTurn(at: dawn, before: audited(.active), after: audited(.exhausted)) == nil)
        #expect(TimingTurn(at: dawn, before: nil, after: audited(.paused)) != nil)
        let other = try ScheduleName("b")
        #expect(TimingTurn(at: dawn, before: audited(.active), after: audited(.active, 1000, other)) == nil)
        timing.spreadMilliseconds = 500
        #expect(TimingTurn(at: dawn, before: audited(.active), after: audited(.active, 1000, other)) != nil)
    }

    @Test("A deleted schedule owes what was due by its end; a spread moves what was due")
    func deleted() throws {
        var sample = try LedgerSample(next: nil, now: 1000)
        sample.schedule.state = .deleted
        sample.endedAt = at(300)
        sample.add([60, 120, 180, 240])
        #expect(sample.problems() == ["missing 1 300...300 1"])
        sample.schedule.definition.timing.spreadMilliseconds = 60_000
        #expect(sample.schedule.spreadOffset > 0)
        #expect(sample.problems().isEmpty)
    }

    @Test("Behind its last run a limited schedule owes nothing, unless it goes on")
    func limited() throws {
        var sample = try LedgerSample(next: nil, now: 1000)
        sample.schedule.definition.timing.maxRuns = 3
        sample.schedule.state = .exhausted
        sample.timer.runCount = 3
        sample.add([60, 120, 180])
        #expect(sample.problems().isEmpty && sample.check().occurrences == 3)
        #expect(sample.problems(to: 150).isEmpty && sample.problems(from: 150).isEmpty)
        sample.rows.remove(at: 1)
        #expect(sample.problems() == ["missing 1 120...120 1"])
        // In a piece without a row of it, what comes later says that it went on.
        #expect(sample.problems(from: 100, to: 150) == ["missing 1 120...120 1"])
        sample.timer.runCount = 2
        #expect(sample.problems().count == 2, "what is not spent owes all")
    }

    @Test("One instant alone: fired, missed, edited away before it came")
    func once() throws {
        var timing = Timing(type: .once)
        timing.runAt = at(-30)
        var sample = try LedgerSample(timing, next: nil, now: 1000)
        sample.timer.runCount = 1
        sample.schedule.state = .exhausted
        sample.add([-30])
        #expect(sample.problems().isEmpty && sample.check().occurrences == 1)
        sample.rows.removeAll()
        // Spent, so nobody knows from here: its one instant is owed all the same.
        #expect(sample.problems() == ["missing 1 -30...-30 1"])
        sample.schedule.state = .deleted
        sample.endedAt = at(-60)
        #expect(sample.problems().isEmpty)
    }

    @Test("A calendar decides over what was due by an edit, and gives no certainty once it has changed")
    func calendars() throws {
        var timing = Timing(type: .interval)
        timing.intervalMilliseconds = 3_600_000
        timing.constraint.windows = [ExecutionWindow(days: .all, from: 9 * 3600, to: 17 * 3600)]
        timing.constraint.outside = .defer
        var sample = try LedgerSample(timing, next: nil, now: 100_000)
        sample.schedule.state = .deleted
        // At 06:00 nothing of the night is due.
        sample.endedAt = at(6 * 3600)
        #expect(sample.problems().isEmpty)
        sample.endedAt = at(9 * 3600)
        #expect(sample.problems() == ["missing 1 3600...32400 9"])
        let doubts = sample.history.calendarDoubts(changedAt: at(10 * 3600))
        #expect(sample.problems(doubts: doubts).isEmpty)
        #expect(sample.check(doubts: doubts).doubts.map(\.brief) == ["calendar_changed 9"])
        #expect(sample.history.calendarDoubts(changedAt: dawn).isEmpty)
    }

    @Test("Zone data bear on what follows a wall clock, in whichever generation")
    func zoned() throws {
        var sample = try edited()
        #expect(!sample.history.isZoned)
        var paris = Timing(type: .cron)
        paris.cronExpression = "* * * * *"
        paris.timezone = "Europe/Paris"
        sample.turns = [
            TimingTurn(
                at: at(330),
                before: AuditedTiming(name: try ScheduleName("a"), timing: paris, state: .active, runCount: 0))
        ]
        #expect(sample.history.isZoned && sample.problems().isEmpty)
        paris.dstPolicy = .utc
        #expect(try !LedgerSample(paris, next: 60).history.isZoned)
    }

    @Test("What other zone data, a restore or an invalid time leave uncertain is said, and the rest proved")
    func doubts() throws {
        var sample = try LedgerSample(next: 660, now: 650)
        sample.add([60, 300, 360, 420, 480, 600])
        let doubts = [
            LedgerDoubt(.restored, from: .earliest, through: at(150)),
            LedgerDoubt(.invalid, from: at(230), through: at(240)),
        ]
        let found = sample.check(doubts: doubts)
        #expect(sample.problems(doubts: doubts) == ["missing 1 180...180 1", "missing 1 540...540 1"])
        #expect(found.doubts.map(\.brief) == ["restored 1", "invalid 1"])
        sample.add([90])
        #expect(sample.check(doubts: doubts).doubts.map(\.brief).contains("restored 1"))
        #expect(!sample.problems(doubts: doubts).contains { $0.hasPrefix("unexplained") })
    }
}
