import Recurrence
import SchedulerCore

/// A schedule and the rows of its ledger, told in seconds after ``dawn``.
struct LedgerSample {
    static let id = ScheduleID(UUIDValue(high: 0x0194_0000_0000_7000, low: 0x8000_0000_0000_0001))

    var schedule: Schedule
    var timer: Timer
    var endedAt: Instant?
    var now: Instant
    var turns: [TimingTurn] = []
    var rows: [LedgerRow] = []
    var calendars: [CalendarName: BusinessCalendar] = [:]
    private var serial: UInt64 = 0

    /// An interval that was created at dawn.
    init(every period: Double = 60, next: Double?, now: Double = 100_000) throws {
        var timing = Timing(type: .interval)
        timing.intervalMilliseconds = Int64(period * 1000)
        try self.init(timing, next: next, now: now)
    }

    init(_ timing: Timing, next: Double?, now: Double = 100_000) throws {
        let definition = ScheduleDefinition(
            name: try ScheduleName("tick"), timing: timing, target: try TargetSubject("demo.tick"))
        schedule = Schedule(
            id: Self.id, namespace: try Namespace("demo"), definition: definition, anchor: dawn, createdAt: dawn,
            updatedAt: dawn)
        timer = Timer(schedule: Self.id, nextFireAt: next.map(at))
        self.now = at(now)
    }

    /// An edit that gives it another interval.
    mutating func edit(at instant: Double, every period: Double) {
        let before = AuditedTiming(
            name: schedule.definition.name, timing: schedule.definition.timing, state: schedule.state,
            runCount: timer.runCount)
        turns.insert(TimingTurn(at: SchedulerCoreTests.at(instant), before: before), at: 0)
        schedule.definition.timing.intervalMilliseconds = Int64(period * 1000)
        schedule.generation += 1
        schedule.anchor = SchedulerCoreTests.at(instant)
    }

    mutating func add(_ seconds: [Double], generation: Int32 = 1, over: Bool = true) {
        for second in seconds { add(at(second), generation: generation, over: over) }
    }

    mutating func add(
        _ instant: Instant, generation: Int32 = 1, over: Bool = true, from: Instant? = nil, count: Int64 = 1
    ) {
        let occurrence = Occurrence(schedule: Self.id, generation: generation, scheduledFor: instant)
        rows.append(
            LedgerRow(
                id: occurrence.executionID, generation: generation, origin: .time, scheduledFor: instant,
                openSince: instant, isOver: over, rangeFrom: from, rangeCount: count))
    }

    mutating func add(range from: Double, _ last: Double, count: Int64, generation: Int32 = 1) {
        add(at(last), generation: generation, from: at(from), count: count)
    }

    /// A backfill that was asked for at an instant, of an occurrence long before.
    mutating func add(backfillOf second: Double, at asked: Double) {
        let occurrence = Occurrence(
            schedule: Self.id, generation: 1, origin: .backfill, scheduledFor: at(second), ordinal: 7)
        rows.append(
            LedgerRow(
                id: occurrence.executionID, generation: 1, origin: .backfill, scheduledFor: at(second),
                openSince: at(asked), isOver: false))
    }

    /// A row with an id that is no hash of anything.
    mutating func addByHand(_ second: Double) {
        serial += 1
        let place = UUIDValue.lowest(at: at(second)).high
        rows.append(
            LedgerRow(
                id: ExecutionID(UUIDValue(high: place | 0x8000, low: serial)), generation: 1, origin: .time,
                scheduledFor: at(second), openSince: at(second), isOver: true))
    }

    var history: ScheduleHistory {
        ScheduleHistory(
            ScheduleHistory.Standing(schedule: schedule, timer: timer, endedAt: endedAt, now: now), turns: turns,
            zones: { _ in .utc }, calendars: calendars)
    }

    func check(
        from: Double = -86_400, to: Double? = nil, doubts: [LedgerDoubt] = [], held: Set<ExecutionID> = []
    ) -> LedgerFindings {
        let window = LedgerCheck.Window(from: at(from), to: to.map(at) ?? now)
        let ordered = rows.sorted { $0.id < $1.id }
        let later = ordered.filter { $0.place >= window.to && $0.origin == .time }
        return LedgerCheck.run(
            history, doubts: doubts, held: held, window: window,
            rows: ordered.filter { window.from <= $0.place && $0.place < window.to }, later: Array(later.prefix(3)))
    }

    /// What is wrong, in short: `missing 1 120...240 3` is kind, generation, from, through, count.
    func problems(from: Double = -86_400, to: Double? = nil, doubts: [LedgerDoubt] = []) -> [String] {
        check(from: from, to: to, doubts: doubts).problems.map { problem in
            let (from, through) = (Int64(seconds(problem.from)), Int64(seconds(problem.through)))
            return "\(problem.kind.rawValue) \(problem.generation) \(from)...\(through) \(problem.count)"
        }
    }
}

extension LedgerDoubt {
    var brief: String { "\(reason.rawValue) \(count ?? -1)" }
}
