package import Recurrence

/// What a check found in one piece of one schedule's ledger.
package struct LedgerFindings: Hashable, Sendable {
    package fileprivate(set) var problems: [LedgerProblem] = []
    package fileprivate(set) var doubts: [LedgerDoubt] = []
    /// Occurrences that had to be accounted for.
    package fileprivate(set) var occurrences: Int64 = 0
    /// Those in a terminal state.
    package fileprivate(set) var ended: Int64 = 0
    /// Rows that have not ended, and need not have yet.
    package fileprivate(set) var open = 0
    /// Occurrences that passed while the schedule stands still: they are accounted for when it goes on.
    package fileprivate(set) var waiting: Int64 = 0
    /// Rows that nobody could foresee: of triggers, backfills and retries, of messages and absences.
    package fileprivate(set) var commanded = 0
    /// Backfills that are open for long: a living instance may have them in its line.
    package fileprivate(set) var lasting: [ExecutionID] = []

    /// Something that a doubt may excuse.
    package var needDoubts: Bool {
        problems.contains { $0.kind == .missing || $0.kind == .unexplained || $0.kind == .miscounted }
    }
}

/// Compares a schedule's occurrences with its rows: each occurrence that is owed has one row, or lies in one range.
/// Pure; as long as the rows are many, however many occurrences lie in their ranges.
package struct LedgerCheck: Sendable {
    /// The piece of time that is looked at.
    package struct Window: Hashable, Sendable {
        package let from: Instant
        /// Exclusive.
        package let to: Instant

        package init(from: Instant, to: Instant) {
            self.from = from
            self.to = to
        }

        var last: Instant { to.justBefore }
    }

    /// How long a row may be open beyond its time, and what watches over it beyond its deadline, in milliseconds.
    private static let patience: Int64 = 60_000

    private let schedule: ScheduleID
    private let history: ScheduleHistory
    private let doubts: [LedgerDoubt]
    private let window: Window
    private let now: Instant
    private let openLimit: Int64
    private let held: Set<ExecutionID>
    private var findings = LedgerFindings()

    private init(
        _ history: ScheduleHistory, _ doubts: [LedgerDoubt], _ held: Set<ExecutionID>, _ window: Window
    ) {
        self.held = held
        schedule = history.standing.schedule.id
        self.history = history
        self.doubts = history.doubts + doubts
        self.window = window
        now = history.standing.now
        // What no acknowledgement comes for is without an outcome after that time (semantics.md §5).
        let definition = history.standing.schedule.definition
        // Where the reply is the outcome, the worker has its run time-out for it, and the row stays as it was claimed.
        let reply = definition.completion == .reply ? LifeRule(definition).runTimeout : 0
        openLimit = max(Self.patience, definition.misfire.graceMilliseconds) + reply + Self.patience
    }

    /// - Parameters:
    ///   - doubts: besides those of the history.
    ///   - held: of the backfills that are open for long (``LedgerFindings/lasting``), those that a living instance has in
    ///     its line: they wait for their rate.
    ///   - rows: all of the schedule in the window, in the order of their keys.
    ///   - later: the next rows of its own time behind the window: a range among them may reach into it.
    package static func run(
        _ history: ScheduleHistory, doubts: [LedgerDoubt] = [], held: Set<ExecutionID> = [], window: Window,
        rows: [LedgerRow], later: [LedgerRow]
    ) -> LedgerFindings {
        var check = LedgerCheck(history, doubts, held, window)
        check.look(rows, later)
        return check.findings
    }

    private mutating func look(_ rows: [LedgerRow], _ later: [LedgerRow]) {
        let spans = Dictionary(history.spans.map { ($0.generation, $0) }, uniquingKeysWith: { first, _ in first })
        var pieces: [Int32: [LedgerRow]] = [:]
        for row in rows {
            lookAtEnd(of: row)
            guard row.origin == .time else {
                findings.commanded += 1
                continue
            }
            if let span = spans[row.generation] {
                if isExplained(row, by: span) { pieces[row.generation, default: []].append(row) }
            } else if !history.doubts.contains(where: { $0.contains(row.scheduledFor) }) {
                report(.unexplained, row, from: row.scheduledFor, through: row.scheduledFor, count: 1)
            }
        }
        let reaching = Dictionary(grouping: later.filter { $0.first < window.to }, by: \.generation)
        for span in history.spans {
            let isGoingOn = later.contains { $0.generation == span.generation }
            cover(
                span, (pieces[span.generation] ?? []) + (reaching[span.generation] ?? []), isGoingOn: isGoingOn)
        }
        lookAtWaiting()
        tellDoubts()
    }

    private mutating func lookAtEnd(of row: LedgerRow) {
        guard !row.isOver else { return }
        let limit = (row.openUntil ?? row.openSince.adding(milliseconds: openLimit - Self.patience))
            .adding(milliseconds: Self.patience)
        guard now > limit, !held.contains(row.id) else {
            findings.open += 1
            return
        }
        if row.origin == .backfill, row.openUntil == nil { findings.lasting.append(row.id) }
        findings.problems.append(
            LedgerProblem(
                .open, generation: row.generation, from: row.scheduledFor, through: row.scheduledFor, count: 1,
                execution: row.id))
    }

    /// What one row says of itself. - Returns: whether it stands for occurrences that can be foreseen.
    private mutating func isExplained(_ row: LedgerRow, by span: LedgerSpan) -> Bool {
        let occurrence = Occurrence(schedule: schedule, generation: row.generation, scheduledFor: row.scheduledFor)
        if occurrence.executionID != row.id {
            findings.problems.append(
                LedgerProblem(
                    .identity, generation: row.generation, from: row.scheduledFor, through: row.scheduledFor,
                    count: 1, execution: row.id))
        }
        if span.isListening, span.allowed.contains(row.scheduledFor) {
            findings.commanded += 1
            return false
        }
        guard span.allowed.contains(row.scheduledFor), span.source.latest(through: row.scheduledFor) == row.scheduledFor
        else {
            report(.unexplained, row, from: row.scheduledFor, through: row.scheduledFor, count: 1)
            return false
        }
        if row.rangeFrom != nil {
            let count = span.source.count(from: row.first, through: row.scheduledFor)
            if count != row.rangeCount {
                report(.miscounted, row, from: row.first, through: row.scheduledFor, count: count)
            }
        }
        return true
    }

    private mutating func report(
        _ kind: LedgerProblem.Kind, _ row: LedgerRow, from: Instant, through: Instant, count: Int64
    ) {
        if let doubt = doubts.first(where: { $0.contains(through) }) {
            findings.doubts.append(LedgerDoubt(doubt.reason, from: from, through: through, count: count))
        } else {
            findings.problems.append(
                LedgerProblem(
                    kind, generation: row.generation, from: from, through: through, count: count, execution: row.id))
        }
    }
}

// MARK: - Occurrences

extension LedgerCheck {
    /// Walks over the rows of one generation in the order in which they begin.
    private mutating func cover(_ span: LedgerSpan, _ rows: [LedgerRow], isGoingOn: Bool) {
        let owed = owed(by: span, rows, isGoingOn: isGoingOn)
        if let owed { findings.occurrences += span.source.count(from: owed.lowerBound, through: owed.upperBound) }
        var reach = window.from.justBefore
        for row in rows.sorted(by: { ($0.first, $0.scheduledFor) < ($1.first, $1.scheduledFor) }) {
            let (first, last) = (max(row.first, window.from), min(row.scheduledFor, window.last))
            guard first <= last else { continue }
            if first <= reach {
                let end = min(last, reach)
                let count = span.source.count(from: first, through: end)
                if count > 0 {
                    findings.problems.append(
                        LedgerProblem(
                            .double, generation: span.generation, from: first, through: end, count: count,
                            execution: row.id))
                }
            }
            if let owed { miss(span, max(owed.lowerBound, reach.justAfter), min(owed.upperBound, first.justBefore)) }
            let new = max(first, reach.justAfter)
            if row.isOver, let owed, new <= last {
                // What was claimed before an edit or a deletion and could not be held back has its row, and was not owed.
                let (first, last) = (max(new, owed.lowerBound), min(last, owed.upperBound))
                if first <= last { findings.ended += span.source.count(from: first, through: last) }
            }
            reach = max(reach, last)
        }
        if let owed { miss(span, max(owed.lowerBound, reach.justAfter), owed.upperBound) }
    }

    private func owed(by span: LedgerSpan, _ rows: [LedgerRow], isGoingOn: Bool) -> ClosedRange<Instant>? {
        guard let required = span.required else { return nil }
        let first = max(required.lowerBound, window.from)
        var last = min(required.upperBound, window.last)
        if span.endsWithLastRow, !isGoingOn {
            guard let end = rows.map(\.scheduledFor).max() else { return nil }
            last = min(last, end)
        }
        return first <= last ? first...last : nil
    }

    /// Nothing stands for what lies in here.
    private mutating func miss(_ span: LedgerSpan, _ first: Instant, _ last: Instant) {
        var first = first
        while first <= last {
            let doubt = doubts.first { $0.contains(first) }
            let next = doubts.map(\.from).filter { $0 > first }.min()
            let end = min(last, doubt?.through ?? next?.justBefore ?? last)
            let count = span.source.count(from: first, through: end)
            if count > 0, let from = span.source.next(after: first.justBefore),
                let through = span.source.latest(through: end)
            {
                if let doubt {
                    findings.doubts.append(LedgerDoubt(doubt.reason, from: from, through: through, count: count))
                } else {
                    findings.problems.append(
                        LedgerProblem(
                            .missing, generation: span.generation, from: from, through: through, count: count))
                }
            }
            guard end < .latest else { return }
            first = end.justAfter
        }
    }

    /// What is due, and that the timer has not passed.
    private mutating func lookAtWaiting() {
        guard let waiting = history.waiting else { return }
        let first = max(waiting.from, window.from)
        let last = min(waiting.through, window.last)
        guard first <= last else { return }
        let count = waiting.source.count(from: first, through: last)
        guard count > 0 else { return }
        guard waiting.isActive else {
            findings.waiting += count
            return
        }
        // It is looked at when it is due; what a freeze holds is not due.
        guard let due = waiting.dueAt, due.adding(milliseconds: Self.patience) < now else { return }
        findings.problems.append(
            LedgerProblem(
                .overdue, generation: history.standing.schedule.generation,
                from: waiting.source.next(after: first.justBefore) ?? first,
                through: waiting.source.latest(through: last) ?? last, count: count))
    }

    /// What the definitions leave in doubt as a whole.
    private mutating func tellDoubts() {
        for doubt in history.doubts where doubt.from <= window.last && window.from <= doubt.through {
            findings.doubts.append(
                LedgerDoubt(
                    doubt.reason, from: max(doubt.from, window.from), through: min(doubt.through, window.last)))
        }
    }
}

extension Instant {
    fileprivate var justAfter: Instant { adding(milliseconds: 1) }
}
