import Recurrence

/// Why a schedule fired at a moment, did not, or did twice: a verdict, and the reasons in sentences. Pure and total.
package struct Explanation: Sendable {
    package enum Verdict: String, Sendable, CaseIterable {
        case fired
        /// Fired a second or more after it was due.
        case late
        case firedMoreThanOnce = "fired_more_than_once"
        case skipped
        case dead
        case cancelled
        /// Claimed, and not ended.
        case open
        /// Due, and nobody has claimed it yet.
        case overdue
        /// Not accounted for while the schedule stands still: paused or invalid.
        case held
        case inTheFuture = "in_the_future"
        case notAnOccurrence = "not_an_occurrence"
        /// The schedule was over before.
        case exhausted
        case lostToRetention = "lost_to_retention"
        /// The ledger should say, and does not.
        case unexplained
    }

    package private(set) var verdict = Verdict.unexplained
    package private(set) var sentences: [String] = []

    /// From this lateness on, in milliseconds, a fire is called late.
    static let late: Int64 = 1000

    package init(_ facts: ExplanationFacts) {
        describeOccurrence(facts)
        describeClocks(facts)
        describePlace(facts)
        let fate = fate(of: facts)
        verdict = facts.isMeant ? fate : .notAnOccurrence
        if !facts.isMeant, facts.at > facts.now { verdict = .notAnOccurrence }
        describeOthers(facts)
    }

    mutating func say(_ sentence: String) { sentences.append(sentence) }

    // MARK: What was to happen

    private mutating func describeOccurrence(_ facts: ExplanationFacts) {
        let timing = facts.schedule.definition.timing
        if timing.isListening {
            return say("The schedule has no times of its own: \(timing.sentence).")
        }
        guard let occurrence = facts.occurrence else {
            return say("The schedule has no occurrence: its timing matches nothing around \(facts.at.rfc3339).")
        }
        let local = facts.local.map { ", \($0) in \(facts.schedule.definition.timing.timezone)" } ?? ""
        guard !facts.isMeant else {
            return say("\(occurrence.rfc3339)\(local) is an occurrence of the schedule.")
        }
        let around = [
            facts.neighbours.before.map { "the one before is \($0.rfc3339)" },
            facts.neighbours.after.map { "the one after is \($0.rfc3339)" },
        ].compactMap { $0 }.joined(separator: ", ")
        say("\(facts.at.rfc3339) is no occurrence of the schedule: \(around).")
    }

    private mutating func describeClocks(_ facts: ExplanationFacts) {
        switch facts.clockChange {
        case .gap: say("The clocks jumped over its local time: it was moved to the first instant after the jump.")
        case .repeat: say("The clocks showed its local time twice that day.")
        case nil: break
        }
        for removed in facts.removed { say("Nothing stands for them: \(removed).") }
    }

    private mutating func describePlace(_ facts: ExplanationFacts) {
        let offset = facts.schedule.spreadOffset
        if offset > 0 { say("Its spread makes each fire due \(Self.seconds(offset)) after its time.") }
        guard let occurrence = facts.occurrence, let due = facts.due else { return }
        if !facts.fires {
            say("The schedule's calendars or windows leave it out.")
        } else if due != occurrence.adding(milliseconds: offset) {
            say("The schedule's calendars or windows moved it: it was due at \(due.rfc3339).")
        }
        if let freeze = facts.freeze {
            let reason = freeze.reason.map { " (\($0))" } ?? ""
            say("Freeze \(freeze.id)\(reason) held from \(freeze.from.rfc3339) to \(freeze.until.rfc3339).")
        }
    }

    // MARK: What happened

    private mutating func fate(of facts: ExplanationFacts) -> Verdict {
        guard let occurrence = facts.occurrence else { return .notAnOccurrence }
        let rows = facts.executions.filter { $0.scheduledFor == occurrence && $0.rangeFrom == nil }
        let own = rows.filter { $0.origin == .time }
        for row in own { tell(row, facts) }
        let delivered = rows.filter { $0.state == .delivered || $0.state == .succeeded || $0.state == .running }
        if delivered.count > 1 {
            say("It was fired \(delivered.count) times: \(Self.origins(of: delivered)).")
            return .firedMoreThanOnce
        }
        if let row = own.last { return Self.verdict(of: row) }
        if let range = facts.range {
            tell(range, facts)
            return .skipped
        }
        return fateWithoutRow(occurrence, facts)
    }

    private static func verdict(of row: Execution) -> Verdict {
        switch row.state {
        case .claimed, .running, .retryWait: .open
        case .dead: .dead
        case .skipped: .skipped
        case .cancelled: .cancelled
        case .delivered where row.isTracked: .open
        case .delivered, .succeeded: lateness(of: row) >= late ? .late : .fired
        }
    }

    static func lateness(of row: Execution) -> Int64 {
        row.firedAt.map { $0.milliseconds(since: row.dueAt) } ?? 0
    }

    private mutating func fateWithoutRow(_ occurrence: Instant, _ facts: ExplanationFacts) -> Verdict {
        let schedule = facts.schedule
        let due = facts.due ?? occurrence
        if let waiting = facts.waiting {
            tell(waiting, schedule.definition)
            return .open
        }
        if due > facts.now {
            say("It has not come yet: it is due at \(due.rfc3339).")
            if schedule.state != .active { say("The schedule is \(schedule.state.rawValue) now\(Self.why(schedule)).") }
            return .inTheFuture
        }
        if occurrence < schedule.createdAt {
            say("The schedule was created only at \(schedule.createdAt.rfc3339).")
            return .notAnOccurrence
        }
        if let change = facts.timingChange {
            say("The timing was another then: it was changed at \(change.at.rfc3339)\(Self.by(change)).")
            return .notAnOccurrence
        }
        if let standing = facts.standing, occurrence >= standing { return fateAhead(facts) }
        if due < facts.keptFrom {
            say("The history is kept from \(facts.keptFrom.rfc3339) on: nobody knows any more.")
            return .lostToRetention
        }
        if schedule.state == .exhausted {
            say("The schedule was exhausted at \(schedule.updatedAt.rfc3339): it had nothing more to do.")
            return .exhausted
        }
        say("The ledger has no row for it, and should: please report it.")
        return .unexplained
    }

    /// It is due, and the timer has not passed it.
    private mutating func fateAhead(_ facts: ExplanationFacts) -> Verdict {
        let schedule = facts.schedule
        switch schedule.state {
        case .paused:
            say("The schedule is paused\(Self.why(schedule)): a resume skips it, unless it says catch_up.")
            return .held
        case .invalid:
            say("The schedule is invalid\(Self.why(schedule)): what passes meanwhile is skipped when it heals.")
            return .held
        case .active, .exhausted, .deleted:
            if facts.freeze != nil || !facts.fires { return .held }
            say("It is due and nobody has claimed it yet: see admin.system.status.")
            return .overdue
        }
    }

    private mutating func describeOthers(_ facts: ExplanationFacts) {
        let isListening = facts.schedule.definition.timing.isListening
        for row in facts.executions where row.origin != .time || isListening {
            let cause = Self.cause(row.origin, isListening: isListening)
            let what = cause + (row.origin == .retry ? row.retryOf.map { " of \($0)" } ?? "" : "")
            say("\(what) made execution \(row.id) for \(row.scheduledFor.rfc3339): it is \(row.state.rawValue).")
        }
        for (occurrence, waiting) in facts.others {
            let cause = Self.cause(occurrence.occurrence.origin, isListening: isListening)
            say(
                "\(cause) asked for execution \(occurrence.id) for \(occurrence.occurrence.scheduledFor.rfc3339): "
                    + "it has no place yet.")
            tell(waiting, facts.schedule.definition)
        }
    }

    private static func cause(_ origin: Origin, isListening: Bool) -> String {
        switch origin {
        case .manual: "A trigger"
        case .backfill: "A backfill"
        case .retry: "A retry"
        case .event: "A message"
        case .time where isListening: "The absence of a message"
        case .time, .after: "Another cause"
        }
    }

    private static func origins(of rows: [Execution]) -> String {
        rows.map { $0.origin == .time ? "of its own time" : "by \($0.origin.rawValue)" }.joined(separator: ", ")
    }
}

// MARK: - Rows in words

extension Explanation {
    private mutating func tell(_ waiting: ExplanationFacts.Waiting, _ definition: ScheduleDefinition) {
        let ahead = waiting.ahead == 0 ? "it is the next one" : "\(waiting.ahead) wait before it"
        say(
            "It waits since \(waiting.since.rfc3339), under overlap_policy \(definition.overlapPolicy.rawValue): "
                + "\(waiting.open) executions are open, max_in_flight is \(definition.maxInFlight), and \(ahead).")
        for limit in waiting.limits {
            let full = limit.open >= limit.places ? "All" : "\(limit.open)"
            let others = limit.open - limit.holders.count
            var holders = limit.holders
            if others > 0 { holders.append("\(others) more") }
            let held = holders.isEmpty ? "" : ": \(holders.joined(separator: ", "))"
            say("\(full) of \(limit.places) places of \(limit.name) are held, \(limit.waiting) wait for one\(held).")
        }
    }

    private mutating func tell(_ row: Execution, _ facts: ExplanationFacts) {
        switch row.state {
        case .claimed: tellClaim(row, facts)
        case .running, .retryWait: tellLife(row, facts)
        case .delivered where row.isTracked: tellLife(row, facts)
        case .delivered: tellDelivery(row, facts)
        case .succeeded:
            tellDelivery(row, facts)
            tellSuccess(row)
        case .dead: tellDeath(row)
        case .cancelled: say("Execution \(row.id) was cancelled: \(row.reason ?? "no reason was given").")
        case .skipped: tellSkip(row, facts)
        }
        if row.outcome == "uncertain" {
            say("Its target may have had it twice: an acknowledgement was lost for longer than the stream remembers.")
        }
    }

    private mutating func tellDelivery(_ row: Execution, _ facts: ExplanationFacts) {
        let lateness = Self.lateness(of: row)
        let fired = row.firedAt.map { " at \($0.rfc3339)" } ?? ""
        let late = lateness >= Self.late ? ", \(Self.seconds(lateness)) late" : ""
        say("It was fired\(fired)\(late), as execution \(row.id).")
        if lateness >= Self.late, row.attempt <= 1 { tellDelay(row) }
        if row.missedCount > 0 { say("It stands for \(row.missedCount) more that were missed before it.") }
        if row.trigger == .catchup {
            let policy = facts.schedule.definition.misfire.policy.rawValue
            say("It was missed at its time and made up for under misfire_policy \(policy).")
        }
    }

    private mutating func tellSkip(_ row: Execution, _ facts: ExplanationFacts) {
        if let from = row.rangeFrom {
            say(
                "It lies in a run of \(row.rangeCount) skipped occurrences, \(from.rfc3339) to "
                    + "\(row.scheduledFor.rfc3339).")
        }
        let reason = row.reason.flatMap { SkipReason(rawValue: $0) }
        if reason == .shadow { return tellShadow(row) }
        say("It was skipped (\(row.reason ?? "for no reason that is known")): \(Self.words(for: reason, facts)).")
    }

    private static func words(for reason: SkipReason?, _ facts: ExplanationFacts) -> String {
        let rule = facts.schedule.definition.misfire
        let change = facts.stateChange
        switch reason {
        case .misfire:
            return "nobody claimed it within its grace of \(seconds(rule.graceMilliseconds)), and misfire_policy "
                + "\(rule.policy.rawValue) does not make it up"
        case .paused:
            guard let change, change.action == "paused" else { return "the schedule was paused" }
            return "the schedule was paused at \(change.at.rfc3339)\(by(change))"
        case .deleted: return "the schedule was deleted before it was claimed"
        case .superseded: return "a newer one took its place, or the timing was edited, before it was claimed"
        case .coalesced: return "a later occurrence that waited with it was fired for both"
        case .catchupCap: return "more were missed than catchup_limit \(rule.catchupLimit) makes up"
        case .targetRevoked:
            guard let change, change.action == "invalidated" else { return "the schedule could not be fired then" }
            return "the schedule was invalid from \(change.at.rfc3339) on\(by(change))"
        case .window: return "a calendar, an execution window or a freeze leaves it out"
        case .overlap:
            return
                "as many executions were open, or waited, as max_in_flight allows, and overlap_policy let it not wait"
        case .shadow: return "the schedule was in shadow, in which nothing is published"
        case nil: return "see its row"
        }
    }

    private static func by(_ change: ExplanationFacts.Change) -> String {
        (change.actor.map { " by \($0)" } ?? "") + (change.reason.map { " (\($0))" } ?? "")
    }

    private static func why(_ schedule: Schedule) -> String { schedule.pauseReason.map { " (\($0))" } ?? "" }

    /// `1.5 s`; whole seconds without a fraction.
    static func seconds(_ milliseconds: Int64) -> String {
        let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        guard rest != 0 else { return "\(whole) s" }
        var digits = String(1000 + abs(rest)).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits) s"
    }
}
