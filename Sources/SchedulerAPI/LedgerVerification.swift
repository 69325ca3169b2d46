import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// One look at the ledger, as far as its bounds let it: schedule by schedule in the order of their ids, each piece by
/// piece in the order of time, all at one state of the database.
struct LedgerVerification: Sendable {
    struct Question: Sendable {
        var from: Instant
        /// Exclusive.
        var to: Instant
        var namespace: Namespace?
        /// One schedule alone.
        var schedule: ScheduleID?
        /// Rows and schedules that are looked at, at most.
        var limit = 10_000
        /// Where an earlier look ended.
        var start: Place?
    }

    /// Where the next look goes on.
    struct Place: Hashable, Sendable {
        let schedule: ScheduleID
        let at: Instant
    }

    /// What is said of one schedule.
    struct Said<Finding: Sendable>: Sendable {
        let schedule: ScheduleID
        let name: String
        let namespace: String
        var finding: Finding
    }

    private(set) var problems: [Said<LedgerProblem>] = []
    private(set) var doubts: [Said<LedgerDoubt>] = []
    /// Schedules that this look began with; one that it went on with was counted before.
    private(set) var schedules = 0
    private(set) var rows = 0
    private(set) var occurrences: Int64 = 0
    private(set) var ended: Int64 = 0
    private(set) var open = 0
    private(set) var waiting: Int64 = 0
    private(set) var commanded = 0
    /// Nil where all that was asked for was looked at.
    private(set) var next: Place?

    /// Findings after which a look ends: the reply names each.
    private static let mostFindings = 100
    /// A look ends after this time, whatever it was asked for.
    private static let mostTime = Duration.seconds(1)

    private let question: Question
    private let session: Session
    private let now: Instant
    private let deadline: ContinuousClock.Instant

    private init(_ question: Question, _ session: Session) {
        self.question = question
        self.session = session
        now = session.clock.now()
        deadline = .now + Self.mostTime
    }

    static func run(
        _ question: Question, in session: Session, on connection: PostgresConnection
    ) async throws -> LedgerVerification {
        try await connection.transaction(.readOnly) { transaction in
            var verification = LedgerVerification(question, session)
            try await verification.look(in: transaction)
            return verification
        }
    }

    private var looked = 0
    private var isFull: Bool {
        rows + looked >= question.limit || problems.count + doubts.count >= Self.mostFindings
            || ContinuousClock.now >= deadline
    }

    private mutating func look(in transaction: PostgresTransaction) async throws {
        var cursor = question.start?.schedule ?? question.schedule
        var from = question.start?.at ?? question.from
        let page = question.schedule == nil ? LedgerTable.schedulesPage : 1
        while true {
            let standings = try await LedgerTable.schedules(
                from: cursor, in: question.namespace, limit: page, on: transaction)
            for standing in standings {
                if let only = question.schedule, standing.id != only { return }
                let start = standing.id == cursor ? from : question.from
                if isFull, looked > 0 {
                    next = Place(schedule: standing.id, at: start)
                    return
                }
                if let stopped = try await look(at: standing, from: start, in: transaction) {
                    next = Place(schedule: standing.id, at: stopped)
                    return
                }
            }
            guard question.schedule == nil, standings.count == page, let last = standings.last else { return }
            // Itself once more, with nothing left of it.
            (cursor, from) = (last.id, question.to)
        }
    }

    /// - Returns: where it stopped; nil where the schedule was looked at as a whole.
    private mutating func look(
        at standing: LedgerTable.Standing, from start: Instant, in transaction: PostgresTransaction
    ) async throws -> Instant? {
        guard start < question.to else { return nil }
        looked += 1
        if start == question.from { schedules += 1 }
        switch standing {
        case .unreadable(let row):
            let doubt = LedgerDoubt(.definitionUnreadable, from: start, through: question.to.adding(milliseconds: -1))
            doubts.append(
                Said(
                    schedule: row.id, name: row.names?.name ?? "?", namespace: row.names?.namespace ?? "?",
                    finding: doubt))
            return nil
        case .readable(let schedule, let timer, let endedAt):
            let standing = ScheduleHistory.Standing(schedule: schedule, timer: timer, endedAt: endedAt, now: now)
            let history = try await history(of: standing, from: start, in: transaction)
            return try await look(at: history, from: start, in: transaction)
        }
    }

    private func history(
        of standing: ScheduleHistory.Standing, from start: Instant, in transaction: PostgresTransaction
    ) async throws -> ScheduleHistory {
        let schedule = standing.schedule
        let isEdited = schedule.generation > 1 && schedule.anchor > start
        let turns =
            isEdited
            ? try await LedgerTable.turns(of: schedule.id, from: start, on: transaction) { AuditedTiming.read($0) } : []
        let names = calendars(of: schedule, turns)
        _ = try await session.compiler.load(names, of: schedule.namespace, on: transaction)
        return ScheduleHistory(
            standing, turns: turns, zones: session.compiler.zones,
            calendars: session.compiler.calendars(names, of: schedule.namespace))
    }

    private func calendars(of schedule: Schedule, _ turns: [TimingTurn]) -> Set<CalendarName> {
        turns.reduce(into: schedule.definition.timing.constraint.calendars) { names, turn in
            names.formUnion(turn.before?.timing.constraint.calendars ?? [])
        }
    }

    private mutating func look(
        at history: ScheduleHistory, from start: Instant, in transaction: PostgresTransaction
    ) async throws -> Instant? {
        let id = history.standing.schedule.id
        var more: [LedgerDoubt]?
        var from = start
        while from < question.to {
            let page = try await LedgerTable.rows(of: id, from: from, to: question.to, on: transaction)
            let piece = Piece(page, from: from, to: question.to)
            let waiting = try await LedgerTable.waiting(of: id, from: from, to: piece.to, on: transaction)
            let rows = (piece.rows + waiting).sorted { $0.id < $1.id }
            let later = piece.to < now ? try await LedgerTable.later(of: id, from: piece.to, on: transaction) : []
            let window = LedgerCheck.Window(from: from, to: piece.to)
            var found = LedgerCheck.run(history, doubts: more ?? [], window: window, rows: rows, later: later)
            let held: Set<ExecutionID> =
                found.lasting.isEmpty ? [] : try await LedgerTable.held(among: found.lasting, on: transaction)
            if found.needDoubts, more == nil { more = try await self.doubts(about: history, in: transaction) }
            if found.needDoubts || !held.isEmpty {
                found = LedgerCheck.run(
                    history, doubts: more ?? [], held: held, window: window, rows: rows, later: later)
            }
            add(found, of: history.standing.schedule)
            self.rows += rows.count
            from = piece.to
            if isFull, from < question.to { return from }
        }
        return nil
    }

    /// What may excuse a finding; only asked where there is one.
    private func doubts(
        about history: ScheduleHistory, in transaction: PostgresTransaction
    ) async throws -> [LedgerDoubt] {
        let schedule = history.standing.schedule
        var doubts = try await LedgerTable.disturbances(of: schedule.id, on: transaction)
        if let oldest = try await LedgerTable.oldestDay(on: transaction) {
            doubts.append(
                LedgerDoubt(.historyNotKept, from: .earliest, through: oldest.adding(milliseconds: -1)))
        }
        if history.isZoned, let changed = try await LedgerTable.zoneDataChangedAt(on: transaction) {
            // What was claimed while the instances took notice may follow the old rules.
            doubts.append(
                LedgerDoubt(.zoneRulesChanged, from: .earliest, through: changed.adding(milliseconds: 60_000)))
        }
        let names = schedule.definition.timing.constraint.calendars
        if !names.isEmpty {
            doubts += history.calendarDoubts(
                changedAt: try await LedgerTable.calendarsChangedAt(names, in: schedule.namespace, on: transaction))
        }
        return doubts
    }

    private mutating func add(_ found: LedgerFindings, of schedule: Schedule) {
        let (name, namespace) = (schedule.definition.name.description, schedule.namespace.description)
        problems += found.problems.map {
            Said(schedule: schedule.id, name: name, namespace: namespace, finding: $0)
        }
        for doubt in found.doubts {
            if let last = doubts.indices.last, doubts[last].schedule == schedule.id,
                let joined = doubts[last].finding.joined(with: doubt)
            {
                doubts[last].finding = joined
            } else {
                doubts.append(Said(schedule: schedule.id, name: name, namespace: namespace, finding: doubt))
            }
        }
        occurrences += found.occurrences
        ended += found.ended
        open += found.open
        waiting += found.waiting
        commanded += found.commanded
    }

    /// A piece of time with all its rows.
    private struct Piece {
        let rows: [LedgerRow]
        let to: Instant

        /// - Parameter page: as many rows as one statement returns; where there are more, the last ones may stand beside
        ///   others of their time, and are left for the next piece.
        init(_ page: [LedgerRow], from: Instant, to: Instant) {
            guard page.count == LedgerTable.rowsPage, let last = page.last?.place else {
                (rows, self.to) = (page, to)
                return
            }
            let isOneMoment = page[0].place == last
            self.to = isOneMoment ? min(to, last.adding(milliseconds: 1)) : last
            rows = isOneMoment ? page : page.filter { $0.place < last }
        }
    }
}

extension LedgerDoubt {
    /// Both as one where the other follows for the same reason.
    fileprivate func joined(with next: LedgerDoubt) -> LedgerDoubt? {
        guard reason == next.reason, next.from <= through.adding(milliseconds: 1), from <= next.from else { return nil }
        return LedgerDoubt(
            reason, from: from, through: max(through, next.through),
            count: count.flatMap { own in next.count.map { own + $0 } })
    }
}
