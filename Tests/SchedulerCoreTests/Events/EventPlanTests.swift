import Recurrence
import SchedulerCore
import Testing

@Suite("What a claim decides where messages drive") struct EventPlanTests {
    private static let id = ScheduleID(UUIDValue(high: 1, low: 2))

    private func timing(_ type: ScheduleType, _ change: (inout Timing) -> Void = { _ in }) -> Timing {
        var timing = Timing(type: type)
        change(&timing)
        return timing
    }

    private func planner(_ timing: Timing, grace: Double = 300) throws -> ClaimPlanner {
        ClaimPlanner(
            source: try timing.source(anchor: dawn, hash: 0, zones: { _ in .utc }),
            rule: MisfireRule(graceMilliseconds: Int64(grace * 1000)), offset: 0, runLimit: timing.runLimit,
            trigger: timing.trigger, listening: timing)
    }

    private func waiting(_ times: [Double]) -> [WaitingEvent] {
        times.enumerated().map { index, time in
            WaitingEvent(
                row: Int64(index), scheduledFor: at(time - 1), dueAt: at(time), ordinal: Int64(index) + 1,
                generation: 1,
                message: nil)
        }
    }

    private func plan(
        _ timing: Timing, _ waiting: [WaitingEvent], now: Double, runs: Int64 = 0, room: Int = 1000,
        places: Int = .max, isHeard: Bool = true, held: Double? = nil
    ) throws -> EventPlan {
        try planner(timing).plan(
            timing, waiting, runCount: runs, now: at(now), horizon: at(now + 1), room: room, places: places,
            isHeard: isHeard, heldUntil: held.map(at))
    }

    @Test("Each that is due fires, however late, and the timer goes to the next") func takes() throws {
        let plan = try plan(timing(.event), waiting([1, 500, 500.5, 502]), now: 500)
        #expect(plan.plan.fired == [0, 499, 499.5] && plan.plan.next == 502)
        #expect(plan.plan.fires.map(\.isMisfired) == [true, false, false] && plan.taken.map(\.row) == [0, 1, 2])
        #expect(plan.plan.fires.allSatisfy { $0.trigger == .event && $0.missedCount == 0 })
        let rest = try self.plan(timing(.event), [], now: 500)
        #expect(rest.plan.fires.isEmpty && rest.plan.nextFireAt == .untilMessage && !rest.plan.isLast)
    }

    @Test("What waited for a place and was skipped is no run: a schedule that the bound had ended is looked at now")
    func takesBack() throws {
        func waiting(_ origin: Origin) -> WaitingOccurrence {
            let occurrence = Occurrence(
                schedule: Self.id, generation: 1, origin: origin, scheduledFor: at(10), ordinal: 1)
            return WaitingOccurrence(occurrence: occurrence, dueAt: at(10), trigger: .event, since: at(10))
        }
        let two = try planner(timing(.event) { $0.maxRuns = 2 })
        var over = Timer(schedule: Self.id, nextFireAt: nil, runCount: 2)
        two.takeBack([waiting(.event), waiting(.manual)], from: &over, at: at(20))
        #expect(over.runCount == 1 && over.nextFireAt == at(20) && over.resumeFrom == nil)
        var going = Timer(schedule: Self.id, nextFireAt: .untilMessage, runCount: 1)
        two.takeBack([waiting(.event)], from: &going, at: at(20))
        #expect(going.runCount == 0 && going.nextFireAt == .untilMessage)
    }

    @Test("A burst may go on until it is due: it is not claimed ahead of time") func waitsForQuiet() throws {
        let bursting = timing(.event) { $0.event.debounceMilliseconds = 1000 }
        let ahead = try plan(bursting, waiting([500.5]), now: 500)
        #expect(ahead.plan.next == 500.5 && ahead.isPutOff && ahead.plan.resumeFrom == nil)
        #expect(try plan(bursting, waiting([500.5]), now: 500.5).taken.count == 1)
        #expect(try !plan(bursting, waiting([600]), now: 500).isPutOff)
        #expect(try !plan(timing(.event), waiting([600]), now: 500).isPutOff)
    }

    @Test("What is due without a place is put off, longer the longer it waits, and keeps when it was due")
    func waitsForPlaces() throws {
        let none = try plan(timing(.event), waiting([499, 500.5]), now: 500, places: 0)
        #expect(none.taken.isEmpty && none.waitsForPlace && none.isPutOff)
        #expect(none.plan.next == 501 && none.plan.resumeFrom == at(499))
        #expect(try plan(timing(.event), waiting([494]), now: 500, places: 0).plan.next == 503)
        #expect(try plan(timing(.event), waiting([1]), now: 500, places: 0).plan.next == 510)
        let one = try plan(timing(.event), waiting([499, 499.5]), now: 500, places: 1)
        #expect(one.taken.count == 1 && one.waitsForPlace && one.plan.resumeFrom == at(499.5))
        // Not yet due: when it is, it may have one.
        let ahead = try plan(timing(.event), waiting([500.5]), now: 500, places: 0)
        #expect(!ahead.waitsForPlace && ahead.isPutOff && ahead.plan.next == 500.5 && ahead.plan.resumeFrom == nil)
        // What a claim has no room for is the next claim's.
        let full = try plan(timing(.event), waiting([498, 499]), now: 500, room: 1, places: 5)
        #expect(!full.isPutOff && full.plan.next == 499)
        #expect(try plan(timing(.event), waiting([499]), now: 500, places: 0, held: 600).plan.resumeFrom == nil)
    }

    @Test("It ends when what came by its end is written down, and, of a stream, when somebody has seen that it is")
    func endsHeard() throws {
        let ending = timing(.event) { $0.endAt = at(500) }
        for now in [499.5, 500, 500.4] {
            let early = try plan(ending, [], now: now)
            #expect(early.plan.next == 500.5 && early.plan.resumeFrom == at(500) && early.isPutOff, "\(now)")
        }
        #expect(try plan(ending, [], now: 500.5).plan.isLast)
        let unheard = try plan(ending, [], now: 520, isHeard: false)
        #expect(!unheard.plan.isLast && unheard.plan.next == 530 && unheard.plan.resumeFrom == at(500))
        // What came in time fires behind the end too.
        let last = try plan(ending, waiting([500.2]), now: 520)
        #expect(last.taken.count == 1 && last.plan.isLast)
        #expect(try plan(ending, waiting([499]), now: 520, isHeard: false).taken.count == 1)
    }

    @Test("max_runs and end_at end it; room bounds a claim; a freeze holds what waits") func bounds() throws {
        let twice = timing(.event) { $0.maxRuns = 2 }
        let spent = try plan(twice, waiting([1, 2, 3]), now: 10)
        #expect(spent.taken.count == 2 && spent.plan.isLast)
        #expect(try plan(twice, waiting([1]), now: 10, runs: 2).plan.isLast)
        let ending = timing(.event) { $0.endAt = at(20) }
        #expect(try plan(ending, [], now: 10).plan.next == 20)
        #expect(try plan(ending, waiting([25]), now: 20).plan.next == 25)
        #expect(try plan(ending, [], now: 20.5).plan.isLast)
        let bounded = try plan(timing(.event), waiting([1, 2, 3]), now: 10, room: 1)
        #expect(bounded.taken.count == 1 && bounded.plan.next == 2)
        let held = try plan(timing(.event), waiting([1, 2]), now: 10, held: 60)
        #expect(held.taken.isEmpty && held.plan.next == 60)
    }

    private func absence(_ cron: String? = nil) -> Timing {
        timing(.absence) {
            $0.event.absenceMilliseconds = 60_000
            $0.cronExpression = cron
        }
    }

    private func decide(
        _ timing: Timing, deadline: Double, now: Double, isChecked: Bool? = nil, command: Bool = true
    ) throws -> ClaimPlanner.AbsenceDecision {
        try planner(timing).plan(
            absenceBy: at(deadline), timing, isChecked: isChecked, firesCommand: command, runCount: 3, now: at(now))
    }

    @Test("A deadline that passed is told once, with the command where one is wanted") func tells() throws {
        guard case .tell(let plan) = try decide(absence(), deadline: 100, now: 100.5) else {
            Issue.record("expected it to be told")
            return
        }
        #expect(plan.fired == [100] && plan.fires[0].trigger == .absence && plan.runCount == 4)
        #expect(plan.nextFireAt == .untilMessage)
        guard case .tell(let quiet) = try decide(absence(), deadline: 100, now: 100.5, command: false) else {
            Issue.record("expected it to be told")
            return
        }
        #expect(quiet.fires.isEmpty && quiet.runCount == 3 && quiet.nextFireAt == .untilMessage)
    }

    @Test("What may be on its way, or in a stream that nobody has asked, is waited for") func waits() throws {
        #expect(try decide(absence(), deadline: 100, now: 99) == .wait(until: at(100.5)))
        #expect(try decide(absence(), deadline: 100, now: 100.4) == .wait(until: at(100.5)))
        #expect(try decide(absence(), deadline: 100, now: 101, isChecked: false) == .wait(until: at(102)))
        #expect(try decide(absence(), deadline: 100, now: 4000, isChecked: false) == .wait(until: at(4010)))
        guard case .tell = try decide(absence(), deadline: 100, now: 4000, isChecked: true) else {
            Issue.record("a stream remembers what came while nobody was at work")
            return
        }
    }

    @Test("A core subject that nobody listened to gets its whole time again") func beginsAgain() throws {
        guard case .again(let plan) = try decide(absence(), deadline: 100, now: 4000) else {
            Issue.record("expected another deadline")
            return
        }
        #expect(plan.next == 4060 && plan.fires.isEmpty)
    }

    @Test("By a cron expression the next message is expected at its next time, and the seconds are its grace")
    func followsCron() throws {
        let hourly = absence("0 * * * *")
        let recurrence = try hourly.source(anchor: dawn, hash: 0, zones: { _ in .utc }).recurrence
        #expect(hourly.deadline(after: at(600), recurrence) == at(3660))
        #expect(hourly.deadline(after: at(3600), recurrence) == at(7260))
    }

    @Test("It has no occurrences of its own, and begins where it waits", arguments: [ScheduleType.event, .absence])
    func hasNoTimes(type: ScheduleType) throws {
        let timing = type == .event ? timing(.event) : absence("0 * * * *")
        let source = try timing.source(anchor: dawn, hash: 0, zones: { _ in .utc })
        #expect(source.next(after: dawn) == nil && source.latest(through: .latest) == nil)
        #expect(source.count(from: .earliest, through: .latest) == 0)
        let first = timing.firstOccurrence(of: source, now: at(1))
        #expect(first == (type == .event ? .untilMessage : at(3660)))
        let resumed = try planner(timing).resume(from: first, now: at(7200), catchUp: false)
        #expect(resumed.skipped == nil)
        #expect(resumed.position.nextFireAt == (type == .event ? .untilMessage : at(10_860)))
    }
}
