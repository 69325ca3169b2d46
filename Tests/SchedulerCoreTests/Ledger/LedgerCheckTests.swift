import Recurrence
import SchedulerCore
import TestSupport
import Testing

@Suite("A check of the ledger") struct LedgerCheckTests {
    private static let minutes = stride(from: 60.0, through: 600, by: 60).map { $0 }

    /// Ten minutes, each with its row.
    private func whole() throws -> LedgerSample {
        var sample = try LedgerSample(next: 660, now: 650)
        sample.add(Self.minutes)
        return sample
    }

    @Test("A whole ledger is clean, and counted")
    func clean() throws {
        let found = try whole().check()
        #expect(found.problems.isEmpty && found.doubts.isEmpty)
        #expect(found.occurrences == 10 && found.ended == 10 && found.open == 0 && found.waiting == 0)
    }

    @Test("An occurrence without a row is missing, a run of them told as one", arguments: [0, 4, 9])
    func missing(place: Int) throws {
        var sample = try whole()
        sample.rows.remove(at: place)
        let second = Int(Self.minutes[place])
        #expect(sample.problems() == ["missing 1 \(second)...\(second) 1"])
        sample.rows.removeAll()
        #expect(sample.problems() == ["missing 1 60...600 10"])
        #expect(sample.check().problems[0].sentence.contains("10 occurrences"))
    }

    @Test("A range accounts for what lies in it, once")
    func ranges() throws {
        var sample = try LedgerSample(next: 6060, now: 6050)
        sample.add(range: 60, 3000, count: 50)
        sample.add(range: 3060, 6000, count: 50)
        #expect(sample.problems().isEmpty)
        #expect(sample.check().ended == 100)
        var overlapping = sample
        overlapping.add(range: 2940, 3540, count: 11)
        #expect(overlapping.problems() == ["double 1 2940...3000 2", "double 1 3060...3540 9"])
        var covered = sample
        covered.add([1200])
        #expect(covered.problems() == ["double 1 1200...1200 1"])
        var gap = sample
        gap.rows.remove(at: 0)
        gap.add(range: 120, 2940, count: 48)
        #expect(gap.problems() == ["missing 1 60...60 1", "missing 1 3000...3000 1"])
    }

    @Test("A range that counts otherwise is told")
    func counts() throws {
        var sample = try LedgerSample(next: 3060, now: 3050)
        sample.add(range: 60, 3000, count: 49)
        #expect(sample.problems() == ["miscounted 1 60...3000 50"])
    }

    @Test("A row that no occurrence explains, and one that somebody put there")
    func unexplained() throws {
        var sample = try whole()
        sample.add([90])
        sample.add([120], generation: 2)
        sample.add([0])
        #expect(
            sample.problems() == [
                "unexplained 1 0...0 1", "unexplained 1 90...90 1", "unexplained 2 120...120 1",
            ])
        sample = try whole()
        sample.addByHand(300)
        #expect(sample.problems() == ["identity 1 300...300 1", "double 1 300...300 1"])
    }

    @Test("What is open longer than it may is told; what is open is counted")
    func open() throws {
        var sample = try LedgerSample(next: 660, now: 650)
        sample.add(Self.minutes.dropLast())
        sample.add([600], over: false)
        var found = sample.check()
        #expect(found.problems.isEmpty && found.open == 1 && found.ended == 9)
        // The grace of 300 s, and a minute.
        sample.now = at(600 + 361)
        sample.timer.nextFireAt = at(1020)
        #expect(sample.problems(to: 650) == ["open 1 600...600 1"])
        sample.rows[9] = LedgerRow(
            id: sample.rows[9].id, generation: 1, origin: .time, scheduledFor: at(600), openSince: at(600),
            isOver: false,
            openUntil: at(950))
        found = sample.check(to: 650)
        #expect(found.problems.isEmpty && found.open == 1)
        sample.now = at(1011)
        #expect(sample.problems(to: 650) == ["open 1 600...600 1"])
    }

    @Test("A request whose reply is the outcome may be open for as long as the worker has, and no longer")
    func replies() throws {
        var sample = try LedgerSample(next: 660, now: 650)
        sample.add(Self.minutes.dropLast())
        sample.add([600], over: false)
        sample.schedule.definition.completion = .reply
        sample.schedule.definition.runTimeoutSeconds = 900
        sample.timer.nextFireAt = at(3000)
        sample.now = at(600 + 1260)
        #expect(sample.problems(to: 650).isEmpty && sample.check(to: 650).open == 1)
        sample.now = at(600 + 1261)
        #expect(sample.problems(to: 650) == ["open 1 600...600 1"])
        // An occurrence that is not there is found all the same.
        sample.rows.remove(at: 3)
        #expect(sample.problems(to: 650) == ["open 1 600...600 1", "missing 1 240...240 1"])
    }

    @Test("A backfill that a living instance has in its line waits for its rate; one that nobody has is told")
    func backfills() throws {
        var sample = try whole()
        sample.add(backfillOf: 120, at: 650)
        sample.timer.nextFireAt = at(9000)
        sample.now = at(1011)
        let found = sample.check(to: 650)
        #expect(sample.problems(to: 650) == ["open 1 120...120 1"] && found.lasting.count == 1)
        let held = sample.check(to: 650, held: Set(found.lasting))
        #expect(held.problems.isEmpty && held.open == 1)
        sample.now = at(1010)
        #expect(sample.check(to: 650).lasting.isEmpty)
    }

    @Test("What an absence fired is explained by its generation's life, and by nothing else")
    func absences() throws {
        var timing = Timing(type: .absence)
        timing.event.absenceMilliseconds = 60_000
        var sample = try LedgerSample(timing, next: nil, now: 1000)
        sample.timer.nextFireAt = .untilMessage
        sample.add([60, 500])
        let found = sample.check()
        #expect(found.problems.isEmpty && found.commanded == 2 && found.occurrences == 0)
        sample.add([-60])
        sample.addByHand(700)
        #expect(sample.problems() == ["unexplained 1 -60...-60 1", "identity 1 700...700 1"])
        sample.rows = []
        sample.add([990], over: false)
        sample.now = at(990 + 361)
        #expect(sample.problems() == ["open 1 990...990 1"])
    }

    @Test("What waits while the schedule stands still is no gap; what an active one leaves is overdue")
    func waits() throws {
        var sample = try LedgerSample(next: nil, now: 1000)
        sample.add(Self.minutes)
        sample.schedule.state = .paused
        sample.timer.resumeFrom = at(660)
        var found = sample.check()
        #expect(found.problems.isEmpty && found.waiting == 6 && found.occurrences == 10)
        sample.schedule.state = .active
        sample.timer.nextFireAt = at(660)
        #expect(sample.problems() == ["overdue 1 660...960 6"])
        // A freeze holds it.
        sample.timer.nextFireAt = at(990)
        found = sample.check()
        #expect(found.problems.isEmpty)
    }

    @Test("What was claimed before a deletion and fired behind it has its row, and is not counted as owed")
    func firedBehindTheEnd() throws {
        var sample = try LedgerSample(next: nil, now: 1000)
        sample.add(Self.minutes + [660])
        sample.schedule.state = .deleted
        sample.schedule.updatedAt = at(659.9)
        let found = sample.check()
        #expect(found.problems.isEmpty && found.occurrences == found.ended, "\(found)")
    }

    @Test("Pieces of time say together what the whole says")
    func pieces() throws {
        var sample = try LedgerSample(next: 6060, now: 6050)
        sample.add(range: 60, 3000, count: 50)
        sample.add([3060, 3120, 3240])
        sample.add(range: 3300, 6000, count: 46)
        #expect(sample.problems() == ["missing 1 3180...3180 1"])
        for cut in [100.0, 1000, 3000, 3001, 3060, 3100, 3180, 3181, 4000, 6000] {
            let (first, second) = (sample.check(to: cut), sample.check(from: cut))
            #expect((first.problems + second.problems).map(\.kind) == [.missing], "\(cut)")
            #expect(first.ended + second.ended == 99 && first.occurrences + second.occurrences == 100, "\(cut)")
        }
    }

    @Test("Whatever a schedule's life, its ledger is clean, and one row less is missed", arguments: 0..<6)
    func lives(seed: Int) throws {
        var random = SeededGenerator(seed: 0x1ED6 + UInt64(seed))
        for _ in 0..<20 {
            let period = [0.5, 7, 60, 3600][Int.random(in: 0..<4, using: &random)]
            var sample = try LedgerSample(every: period, next: period, now: 0)
            let rule = MisfirePolicy.allCases[Int.random(in: 0..<3, using: &random)]
            for _ in 0..<8 {
                let source = try sample.schedule.occurrences(zones: { _ in .utc })
                let planner = planner(source, rule, grace: 60)
                let step = Double.random(
                    in: 1...[20, 5000, 200_000][Int.random(in: 0..<3, using: &random)], using: &random)
                sample.now = sample.now.adding(milliseconds: Int64(step * 1000))
                sample.live(planner, &random)
            }
            let found = sample.check()
            #expect(found.problems.isEmpty, "seed \(seed): \(sample.problems())")
            guard let victim = sample.rows.indices.randomElement(using: &random) else { continue }
            let row = sample.rows.remove(at: victim)
            let problems = sample.check().problems
            #expect(problems.map(\.kind) == [.missing], "\(sample.problems())")
            #expect(problems.first.map { $0.from == row.first && $0.through == row.scheduledFor } == true)
        }
    }
}

extension LedgerSample {
    /// A claim, a pause with its resume, or an edit.
    fileprivate mutating func live(_ planner: ClaimPlanner, _ random: inout SeededGenerator) {
        guard let due = timer.nextFireAt else { return }
        let generation = schedule.generation
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            if let run = planner.passed(from: due, now: now, reason: .superseded) { add(run, generation) }
            let second = seconds(now)
            edit(at: second, every: [0.5, 11, 90][Int.random(in: 0..<3, using: &random)])
            timer.nextFireAt = try? schedule.occurrences(zones: { _ in .utc }).next(after: now)
        case 1:
            let resumed = planner.resume(from: due, now: now, catchUp: false)
            if let run = resumed.skipped { add(run, generation) }
            timer.nextFireAt = resumed.position.nextFireAt
        default:
            let plan = planner.plan(nextFireAt: due, runCount: timer.runCount, now: now, horizon: now)
            for fire in plan.fires { add(fire.scheduledFor, generation: generation) }
            for run in plan.skips { add(run, generation) }
            timer.nextFireAt = plan.nextFireAt
            timer.runCount = plan.runCount
        }
    }

    private mutating func add(_ run: SkipRun, _ generation: Int32) {
        for instant in run.instants { add(instant, generation: generation) }
        if run.instants.isEmpty { add(run.last, generation: generation, from: run.from, count: run.count) }
    }
}
