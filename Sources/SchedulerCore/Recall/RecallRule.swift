package import Recurrence

/// Why claims are taken back.
package enum RecallCause: String, Sendable, CaseIterable {
    /// A pause, an edit, a deletion: how the schedule stands by then says which.
    case command
    /// A freeze holds them from now on.
    case freeze
    /// The allow-list refuses them from now on.
    case refusal
    /// Their claimant leaves.
    case leaving
}

/// What is claimed, as far as taking back tells it apart.
package enum ClaimedKind: String, Sendable, CaseIterable {
    /// An occurrence of the schedule's own time.
    case time
    /// A message that came.
    case event
    /// It follows the end of another execution.
    case follower
    /// The second attempt of an execution or a later one, whatever made the first.
    case furtherAttempt
    /// A backfill, or an execution that was asked for again.
    case commanded
    /// Somebody triggered it.
    case triggered

    package init(origin: Origin, attempt: Int32) {
        guard attempt <= 1 else {
            self = .furtherAttempt
            return
        }
        switch origin {
        case .time: self = .time
        case .event: self = .event
        case .after: self = .follower
        case .backfill, .retry: self = .commanded
        case .manual: self = .triggered
        }
    }

    /// Whether its claimant takes it out of its queue before it is decided what becomes of it. What was asked for by name
    /// stays there: it is ended, or it goes out. What a member that leaves keeps is rescued.
    package func isWithdrawn(for cause: RecallCause) -> Bool {
        switch self {
        case .time, .event, .furtherAttempt: true
        case .follower: cause != .leaving
        case .commanded, .triggered: false
        }
    }
}

/// What becomes of a claim that is to be taken back.
package enum RecallFate: Hashable, Sendable {
    /// It goes out as it was asked for, and the command's reply names it.
    case goesOut
    /// It goes out at its time, as the schedule is now.
    case kept
    /// As if nobody had claimed it: the timer goes back to it; a message waits again.
    case returned
    /// It is no occurrence any more.
    case dropped
    /// It waits among those that wait for a place, and keeps its time.
    case waits
    /// The attempt was never made: it waits for its time, and for its schedule to go on.
    case retryWaits
    case skipped(SkipReason)
    case cancelled
}

/// A claim of which no copy can be with its target.
package struct RecalledClaim: Hashable, Sendable {
    /// As it would wait if nobody had claimed it.
    package let waiting: WaitingOccurrence
    package let attempt: Int32
    /// Its target tells how it ends: it holds a place.
    package let isTracked: Bool

    package init(_ waiting: WaitingOccurrence, attempt: Int32 = 1, isTracked: Bool) {
        self.waiting = waiting
        self.attempt = attempt
        self.isTracked = isTracked
    }

    package var kind: ClaimedKind { ClaimedKind(origin: waiting.occurrence.origin, attempt: attempt) }
}

/// Decides what becomes of claims that a command, a freeze or a narrower allow-list takes back (docs/recall.md). Pure
/// and total.
///
/// Nothing fires any more that the command ended, and nothing is lost that it did not end: what can come again goes back
/// to where it came from, what cannot is written down with the reason.
package struct RecallRule: Hashable, Sendable {
    package let cause: RecallCause
    package let state: ScheduleState
    /// The timing's, by now.
    package let generation: Int32
    /// When the schedule was changed last.
    package let changedAt: Instant
    package let now: Instant
    /// Nothing keeps the schedule from being published.
    package let isPublishable: Bool
    /// What is claimed of its own time still fires, and not earlier than it was claimed for.
    package let timeStands: Bool
    /// Since when a freeze holds; nil where none does.
    package let frozenFrom: Instant?

    package init(
        _ cause: RecallCause, state: ScheduleState, generation: Int32, changedAt: Instant, now: Instant,
        isPublishable: Bool = true, timeStands: Bool = true, frozenFrom: Instant? = nil
    ) {
        self.cause = cause
        self.state = state
        self.generation = generation
        self.changedAt = changedAt
        self.now = now
        self.isPublishable = isPublishable
        self.timeStands = timeStands
        self.frozenFrom = frozenFrom
    }

    package func fate(of claim: RecalledClaim) -> RecallFate {
        switch claim.kind {
        case .triggered: .goesOut
        case .commanded: endsCommanded ? .cancelled : .goesOut
        case .furtherAttempt: isGoingOn && cause == .command ? .kept : .retryWaits
        case .follower: fate(ofFollower: claim)
        case .event: fateOfPast(claim) ?? (keeps ? .kept : .returned)
        case .time: fateOfPast(claim) ?? fate(ofTime: claim)
        }
    }

    /// What backfills and retries opened ends with the schedule, with its pause and with its target.
    package var endsCommanded: Bool {
        switch state {
        case .paused, .invalid, .deleted: true
        case .active, .exhausted: !isPublishable
        }
    }

    /// The schedule fires what it is asked for.
    private var isGoingOn: Bool { (state == .active || state == .exhausted) && isPublishable }

    /// The command has changed neither the time nor the state.
    private var keeps: Bool { cause == .command && state == .active && isPublishable }

    private func fate(ofFollower claim: RecalledClaim) -> RecallFate {
        switch state {
        case .deleted: .skipped(.deleted)
        case .paused: .skipped(.paused)
        case .invalid: .skipped(.targetRevoked)
        case .active, .exhausted:
            isPublishable ? (cause == .freeze ? .waits : .kept) : .skipped(.targetRevoked)
        }
    }

    /// Of a schedule, or a timing, that is no more: what was due before that is told.
    private func fateOfPast(_ claim: RecalledClaim) -> RecallFate? {
        let isOld = claim.waiting.occurrence.generation != generation
        guard state == .deleted || isOld else { return nil }
        guard claim.waiting.dueAt <= changedAt else { return .dropped }
        return .skipped(state == .deleted ? .deleted : .superseded)
    }

    private func fate(ofTime claim: RecalledClaim) -> RecallFate {
        if keeps, timeStands { return .kept }
        let due = claim.waiting.dueAt
        // The timer cannot go back to it: others have been decided over since, and have their rows.
        if claim.isTracked, due <= now {
            switch state {
            case .active, .exhausted: return isPublishable ? .waits : .skipped(.targetRevoked)
            case .invalid: return .skipped(.targetRevoked)
            case .paused, .deleted: return .skipped(.paused)
            }
        }
        // It was due before the freeze began, which therefore would not hold it.
        if cause == .freeze, state == .active, let frozenFrom, due < frozenFrom { return .waits }
        return .returned
    }
}
