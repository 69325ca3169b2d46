import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// How what a command fires shares places with what is open already (semantics.md §4). Triggers, retries and backfills
/// obey the schedule's overlap policy, unless they are forced.
///
/// The limits that schedules share are nobody's to force: what is forced takes no heed of the schedule's own places, and
/// waits for one of theirs.
struct CommandedOverlap {
    let schedule: CompiledSchedule
    /// Nil where nothing holds the command back: completion is not tracked, or it is forced and there is no limit.
    let occupancy: Occupancy?
    /// It takes no heed of the schedule's own places.
    var isForced = false
    /// Places that the limits leave.
    var shared = Int.max

    private func decide(_ count: Int) -> OverlapDecision {
        let rule = isForced || occupancy == nil ? OverlapRule(.allow, places: 1) : schedule.overlap
        return rule.decide(
            count, open: occupancy?.open ?? 0, waiting: occupancy?.waiting.count ?? 0, shared: shared)
    }

    /// What becomes of one more.
    var verdict: OverlapVerdict { decide(1).verdicts.first ?? .opens }

    /// Whether the one that a command asks for is opened at once; else it waits.
    /// - Throws: `overlapping` and `buffer_full`, where it may not even wait. What is asked for by name is never skipped
    ///   without a word.
    func opensOne() throws(WireError) -> Bool {
        switch verdict {
        case .opens: return true
        case .waits: return false
        case .skipped: throw refusal
        }
    }

    private var refusal: WireError {
        let rule = schedule.overlap
        let (open, waiting) = (occupancy?.open ?? 0, occupancy?.waiting.count ?? 0)
        let places = rule.policy == .allow ? "" : " of \(rule.places)"
        let standing = "\(open)\(places) executions are open and \(waiting) wait"
        guard rule.policy == .skip, !isForced else {
            return WireError(.bufferFull, "\(standing), as many as overlap_policy \(rule.policy.rawValue) lets wait")
        }
        return WireError(.overlapping, "\(standing), and overlap_policy is skip: \"force\": true fires all the same")
    }

    /// What waited before and gives way to one that waits from now on.
    var superseded: [WaitingOccurrence] {
        guard let occupancy, decide(1).supersedesWaiting else { return [] }
        return occupancy.waiting
    }

    /// How many a backfill opens at once, and how many more of it may wait. It stops nothing and supersedes nothing.
    /// - Parameter most: that it asks for.
    /// - Throws: `overlapping` and `buffer_full`, where it could not even begin.
    func roomForMany(most: Int) throws(WireError) -> (opening: Int, waiting: Int) {
        guard let occupancy else { return (.max, 0) }
        let room: (opening: Int, waiting: Int)
        if schedule.overlap.policy == .cancelPrevious, !isForced {
            let free = schedule.overlap.free(open: occupancy.open, waiting: occupancy.waiting.count)
            room = (min(free, shared), max(0, free - shared))
        } else {
            let verdicts = decide(most).verdicts
            room = (verdicts.count { $0 == .opens }, verdicts.count { $0 == .waits })
        }
        guard room.opening + room.waiting > 0 else { throw refusal }
        return room
    }
}

extension CommandContext {
    /// How a command's fires share places. The caller holds the timer; limits are locked behind it.
    func overlap(
        of schedule: CompiledSchedule, isForced: Bool, in transaction: PostgresTransaction
    ) async throws -> CommandedOverlap {
        let isLimited = !schedule.limits.isEmpty
        guard schedule.isTracked, !isForced || isLimited else {
            return CommandedOverlap(schedule: schedule, occupancy: nil)
        }
        let book = try await ConcurrencyTable.hold([schedule.limits], in: transaction)
        let found = try await BufferTable.occupancies(of: [schedule.id], on: transaction)[schedule.id]
        return CommandedOverlap(
            schedule: schedule, occupancy: found ?? Occupancy(), isForced: isForced,
            shared: book.unclaimed(schedule.limits))
    }
}

extension CommandedFires {
    /// Lets occurrences wait for their places. - Returns: what waits from now on.
    func wait(
        _ instants: [Instant], ordinal: Int64, trigger: Trigger, into change: inout Change
    ) -> [WaitingOccurrence] {
        guard !instants.isEmpty else { return [] }
        let waiting = instants.map { instant in
            WaitingOccurrence(
                occurrence: Occurrence(
                    schedule: schedule.id, generation: generation, origin: origin, scheduledFor: instant,
                    ordinal: ordinal),
                dueAt: now, trigger: trigger, since: now, causedBy: causedBy, limits: schedule.limits.names)
        }
        change.schedule = schedule.id
        change.write(BufferTable.insert(waiting, at: now))
        change.frees = true
        return waiting
    }

    /// Lets one occurrence wait for its place, and replies so. What waited before gives way, where the policy says so.
    /// - Parameters:
    ///   - payload: what it sends in place of the schedule's.
    ///   - retryOf: the execution that it takes up again.
    func waitAlone(
        _ instant: Instant, ordinal: Int64, trigger: Trigger, payload: [UInt8]?, retryOf: ExecutionID? = nil,
        _ overlap: CommandedOverlap, _ timer: inout Timer, in session: Session, into change: inout Change
    ) -> WaitingOccurrence {
        let superseded = overlap.superseded
        if !superseded.isEmpty {
            change.skip(superseded, .superseded, of: schedule, &timer, in: session, at: now)
            change.write(TimerTable.advance([timer]))
        }
        let waiting = wait([instant], ordinal: ordinal, trigger: trigger, into: &change)[0]
        let trace = Correlation.current.trace
        if payload != nil || retryOf != nil || trace != nil {
            change.write(BufferTable.describe(waiting.id, payload: payload, retryOf: retryOf, trace: trace))
        }
        let ahead = superseded.isEmpty ? overlap.occupancy?.waiting.count ?? 0 : 0
        let compiled = schedule
        change.reply = { $0.waiting(waiting, behind: ahead, of: compiled) }
        change.triggered = (compiled.name, waiting.id)
        return waiting
    }
}

extension Change {
    /// Ends what waits for a place, with the writes and the events that tell it.
    /// - Parameter timer: its fence moves on, and what was counted is taken back; the caller writes it.
    mutating func skip(
        _ waiting: [WaitingOccurrence], _ reason: SkipReason, of schedule: CompiledSchedule, _ timer: inout Timer,
        in session: Session, at now: Instant
    ) {
        guard !waiting.isEmpty else { return }
        var skipped: [(execution: Execution, schedule: CompiledSchedule)] = []
        for occurrence in waiting {
            let execution = occurrence.skipped(reason, version: schedule.version, timer: &timer, now: now)
            skipped.append((execution, schedule))
        }
        schedule.planner.takeBack(waiting, from: &timer, at: now)
        let told = session.skipWaiting(skipped, at: now)
        write(told.calls)
        self.skipped += told.events
    }
}

extension HeldSchedule {
    /// Ends what waits of the schedule as it was: a pause, another timing and a deletion leave nothing that fires later.
    /// - Parameter isOwn: only what its own time or a message made; what was asked for by name goes on waiting.
    mutating func endWaiting(
        _ reason: SkipReason, isOwn: Bool = false, in session: Session, at now: Instant,
        _ transaction: PostgresTransaction
    ) async throws {
        let found = try await BufferTable.occupancies(of: [schedule.id], on: transaction)[schedule.id]
        let waiting = (found?.waiting ?? []).filter { !isOwn || $0.occurrence.origin.isOwn }
        guard !waiting.isEmpty else { return }
        let compiled = session.compiler.compile(before.schedule)
        change.skip(waiting, reason, of: compiled, &timer, in: session, at: now)
    }
}

extension JSONWriter {
    /// What a command asked for and what waits for its place.
    mutating func waiting(_ waiting: WaitingOccurrence, behind ahead: Int, of schedule: CompiledSchedule) {
        object("waiting") { writer in
            writer.member("execution_id", waiting.id.description)
            writer.member("schedule_id", schedule.id.description)
            writer.member("schedule_name", schedule.name)
            writer.member("scheduled_for", waiting.occurrence.scheduledFor.rfc3339)
            writer.member("trigger", waiting.trigger.rawValue)
            writer.member("ahead", ahead)
        }
    }
}
