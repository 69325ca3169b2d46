package import Recurrence

/// One row of the ledger, as far as a check of it looks.
package struct LedgerRow: Hashable, Sendable {
    package let id: ExecutionID
    package let generation: Int32
    package let origin: Origin
    /// Of a range the last occurrence.
    package let scheduledFor: Instant
    /// When it was claimed and due.
    package let openSince: Instant
    /// It stands in a terminal state.
    package let isOver: Bool
    package let rangeFrom: Instant?
    package let rangeCount: Int64
    /// Until when it may be open, where somebody watches over that; nil for what its claimant alone looks after.
    package let openUntil: Instant?

    package init(
        id: ExecutionID, generation: Int32, origin: Origin, scheduledFor: Instant, openSince: Instant, isOver: Bool,
        rangeFrom: Instant? = nil, rangeCount: Int64 = 1, openUntil: Instant? = nil
    ) {
        self.id = id
        self.generation = generation
        self.origin = origin
        self.scheduledFor = scheduledFor
        self.openSince = openSince
        self.isOver = isOver
        self.rangeFrom = rangeFrom
        self.rangeCount = rangeCount
        self.openUntil = openUntil
    }

    /// The first occurrence that it stands for.
    package var first: Instant { rangeFrom ?? scheduledFor }
    /// Where it stands in the order of the key.
    package var place: Instant { Instant(milliseconds: Int64(id.uuid.high >> 16)) }
}

/// The life of one generation of a schedule in the ledger: which occurrences it owes, and which rows it explains. All
/// instants are nominal.
package struct LedgerSpan: Sendable {
    package let generation: Int32
    package let source: OccurrenceSource
    /// Every occurrence in here has a row, or lies in a range; nil where none is owed.
    package let required: ClosedRange<Instant>?
    /// Rows in here are explained: what was claimed ahead of an edit, and sent, has one though none is owed.
    package let allowed: ClosedRange<Instant>
    /// Its limit of runs ended it: nothing is owed behind its last row.
    package let endsWithLastRow: Bool
    /// Messages, or their absence, made its rows: it has no occurrences that anybody could foresee.
    package let isListening: Bool

    package init(
        generation: Int32, source: OccurrenceSource, required: ClosedRange<Instant>?,
        allowed: ClosedRange<Instant>, endsWithLastRow: Bool = false, isListening: Bool = false
    ) {
        self.generation = generation
        self.source = source
        self.required = required
        self.allowed = allowed
        self.endsWithLastRow = endsWithLastRow
        self.isListening = isListening
    }
}

/// A stretch of time over which something cannot be proved, and why not.
package struct LedgerDoubt: Hashable, Sendable {
    package enum Reason: String, Sendable, CaseIterable {
        /// The history's retention has dropped it.
        case historyNotKept = "history_not_kept"
        /// The audit log no longer says what the schedule's timing was.
        case definitionUnknown = "definition_unknown"
        /// What its timing was cannot be read, or its zone or calendar is gone.
        case definitionUnreadable = "definition_unreadable"
        /// The zone data were others then.
        case zoneRulesChanged = "zone_rules_changed"
        /// The calendar was another then, and decides over what was due by an edit.
        case calendarChanged = "calendar_changed"
        /// The schedule was put back from a backup, which holds no history.
        case restored
        /// Its timing could not be read while it was invalid.
        case invalid
    }

    package let reason: Reason
    package let from: Instant
    /// Inclusive.
    package let through: Instant
    /// Occurrences, as its timing is known now; nil where nobody can count them.
    package var count: Int64?

    package init(_ reason: Reason, from: Instant, through: Instant, count: Int64? = nil) {
        self.reason = reason
        self.from = from
        self.through = through
        self.count = count
    }

    package func contains(_ instant: Instant) -> Bool { from <= instant && instant <= through }

    package var sentence: String {
        switch reason {
        case .historyNotKept: "the history is kept no longer"
        case .definitionUnknown: "the audit log does not say any more what the timing was"
        case .definitionUnreadable: "what the timing was cannot be read"
        case .zoneRulesChanged: "the zone data have changed since"
        case .calendarChanged: "the calendar has changed since"
        case .restored: "the schedule was put back from a backup, which holds no history"
        case .invalid: "the schedule was invalid: nobody could tell its occurrences"
        }
    }
}

/// Something that the ledger should not hold, or should and does not.
package struct LedgerProblem: Hashable, Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        /// Occurrences without a row or a range.
        case missing
        /// Occurrences that a row stands for and another one too.
        case double
        /// A row that has not ended, and should have.
        case open
        /// Occurrences that are due, and that nobody has claimed.
        case overdue
        /// A row that no occurrence of the timing explains.
        case unexplained
        /// A range whose count is not that of the occurrences in it.
        case miscounted
        /// A row whose id is not that of its occurrence.
        case identity
    }

    package let kind: Kind
    package let generation: Int32
    package let from: Instant
    /// Inclusive.
    package let through: Instant
    package let count: Int64
    package let execution: ExecutionID?

    package init(
        _ kind: Kind, generation: Int32, from: Instant, through: Instant, count: Int64, execution: ExecutionID? = nil
    ) {
        self.kind = kind
        self.generation = generation
        self.from = from
        self.through = through
        self.count = count
        self.execution = execution
    }

    package var sentence: String {
        let time =
            from == through ? "the occurrence of \(from.rfc3339)" : "\(from.rfc3339) to \(through.rfc3339)"
        let row = execution.map { "row \($0)" } ?? "a row"
        switch kind {
        case .missing:
            return count == 1
                ? "\(time) has no row, and no range covers it"
                : "\(count) occurrences, \(time), have no rows, and no range covers them"
        case .double: return "\(row) stands for \(count) that another row stands for: \(time)"
        case .open: return "\(row) for \(from.rfc3339) has not ended, and should have"
        case .overdue: return "\(count) due and claimed by nobody: \(time)"
        case .unexplained:
            return "\(row) stands for \(from.rfc3339), which is no occurrence of generation \(generation)"
        case .miscounted:
            return "\(row) is a range over \(time), which are not as many as it counts: they are \(count)"
        case .identity: return "\(row) has not the id of the occurrence of \(from.rfc3339): it was put there by hand"
        }
    }
}
