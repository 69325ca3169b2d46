import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.backfill`: fires the schedule's own occurrences of a past stretch of time, again or for the first time; on
/// paused and exhausted schedules too.
///
/// They go out at the catch-up rate and yield to whatever is on time. An occurrence may be backfilled any number of
/// times: each request makes executions of its own, but one with the same `request_id` makes none twice.
struct BackfillCommand: Sendable {
    let context: CommandContext

    /// Executions of backfills and other misfired ones that one instance keeps waiting for their rate.
    static let mostWaiting = 10_000
    /// The reply names so many executions.
    private static let mostNamed = 100
    private static let day: Int64 = 86_400_000

    private struct Stretch: Sendable {
        let from: Instant
        let to: Instant
        let limit: Int
    }

    /// The occurrences that one request fires, and what it leaves.
    private struct Chosen: Sendable {
        var instants: [Instant] = []
        var next: Instant?
        var remaining: Int64 = 0

        /// Leaves what has no place and may not wait for one to another request.
        mutating func keep(_ opening: Int, _ waiting: Int, of planner: ClaimPlanner, through end: Instant) {
            let most = opening == .max ? opening : opening + waiting
            guard instants.count > most, let first = instants.dropFirst(most).first else { return }
            instants = Array(instants.prefix(most))
            next = first
            remaining = planner.source.count(from: first, through: end)
        }
    }

    func backfill(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        let now = context.now
        let isForced = body.bool("force") ?? false
        let stretch = stretch(&body, now: now)
        let reference = try body.finish(with: body.reference())
        guard let stretch else { throw WireError(.internalError, "a stretch without a problem could not be read") }
        try expectHistory(of: stretch, now: now)
        let ordinal = Self.ordinal(of: request, options)
        let origin = ChangeOrigin(namespace: request.namespace, options: options, now: now)
        let context = context
        return try await context.runner.run(request, options) { transaction in
            let held = try await context.fireable(reference, origin, isForced: isForced, in: transaction)
            let (schedule, compiled) = (held.schedule, held.compiled)
            var timer = held.timer
            let overlap = try await context.overlap(of: compiled, isForced: isForced, in: transaction)
            let room = try overlap.roomForMany(most: stretch.limit)
            var chosen = Self.choose(stretch, of: compiled.planner)
            let waiting = context.session.publisher.backfilledLoad
            guard waiting + chosen.instants.count <= Self.mostWaiting else {
                throw WireError(
                    .bufferFull,
                    "\(waiting) executions wait for the catch-up rate, the most is \(Self.mostWaiting): ask again later"
                )
            }
            let generation = timer.generation
            let known = try await Self.existing(
                chosen.instants, of: schedule.id, generation: generation, ordinal: ordinal, in: transaction)
            chosen.instants.removeAll { known.contains($0) }
            chosen.keep(room.opening, room.waiting, of: compiled.planner, through: stretch.to)
            let fires = CommandedFires(
                schedule: compiled, generation: generation, instance: context.session.instance, now: now,
                origin: .backfill, kind: .backfilled)
            var change = Change()
            let executions = fires.open(
                Array(chosen.instants.prefix(room.opening)), ordinal: ordinal, trigger: .backfill, &timer,
                into: &change)
            let buffered = fires.wait(
                Array(chosen.instants.dropFirst(room.opening)), ordinal: ordinal, trigger: .backfill, into: &change)
            let ids = executions.map(\.id) + buffered.map(\.id)
            let (count, waits) = (ids.count, buffered.count)
            change.note("backfilled", of: schedule, options, at: now) { writer in
                writer.member("from", stretch.from.rfc3339)
                writer.member("to", stretch.to.rfc3339)
                writer.member("count", count)
            }
            change.reply = Self.reply(stretch, of: schedule, chosen, waiting: waits, isDryRun: options.isDryRun, ids)
            return change
        }
    }

    private static func reply(
        _ stretch: Stretch, of schedule: Schedule, _ chosen: Chosen, waiting: Int, isDryRun: Bool, _ ids: [ExecutionID]
    ) -> ReplyMembers {
        { writer in
            writer.object("backfill") { writer in
                writer.member("schedule_id", schedule.id.description)
                writer.member("from", stretch.from.rfc3339)
                writer.member("to", stretch.to.rfc3339)
                writer.member("count", ids.count)
                writer.member("waiting", waiting)
                writer.member("remaining", chosen.remaining)
                writer.member("next_from", ifPresent: chosen.next)
                guard !isDryRun else { return }
                writer.strings("execution_ids", ids.prefix(Self.mostNamed).map(\.description))
            }
        }
    }

    private func stretch(_ body: inout BodyReader, now: Instant) -> Stretch? {
        let from = body.instant("from")
        if from == nil, !body.hasProblem("from") {
            body.report("from", "is required: the first instant to fire again", as: .missingField)
        }
        let to = body.instant("to") ?? now
        let limit = Int(body.integer("limit", in: 1...1000) ?? 100)
        if to > now { body.report("to", "expected an instant that has passed, got \(to.rfc3339)") }
        guard let from else { return nil }
        if from > to { body.report("from", "expected an instant before 'to', got \(from.rfc3339)") }
        return Stretch(from: from, to: to, limit: limit)
    }

    private func expectHistory(of stretch: Stretch, now: Instant) throws(WireError) {
        let days = context.session.configuration.historyRetentionDays
        let kept = now.adding(milliseconds: -Int64(days) * Self.day)
        guard stretch.from < kept else { return }
        throw WireError(
            .historyNotKept, "the history is kept for \(days) days, from \(kept.rfc3339) on; 'from' lies before",
            details: [WireError.Detail(.root.appending("from"), "lies before \(kept.rfc3339)")])
    }

    /// Tells two backfills of one occurrence apart. A request_id is one order for ever, also beyond the day for which
    /// its reply is remembered; without it each request is another one. Never 0.
    private static func ordinal(of request: CommandRequest, _ options: ChangeOptions) -> Int64 {
        guard let id = options.requestID else { return Int64.random(in: 1...Int64.max) }
        return Int64(Digest.stableNumber(of: "\(request.namespace)/backfill/\(id)") >> 1) | 1
    }

    private static func choose(_ stretch: Stretch, of planner: ClaimPlanner) -> Chosen {
        var chosen = Chosen()
        var cursor = stretch.from.adding(milliseconds: -1)
        var looked = 0
        while let instant = planner.source.next(after: cursor), instant <= stretch.to {
            // What calendars and windows leave out is no fire of the schedule; so many of them in a row are enough.
            guard chosen.instants.count < stretch.limit, looked < 100 * stretch.limit else {
                chosen.next = instant
                chosen.remaining = planner.source.count(from: instant, through: stretch.to)
                break
            }
            looked += 1
            if planner.placement?.place(of: instant).fires ?? true { chosen.instants.append(instant) }
            cursor = instant
        }
        return chosen
    }

    private static func existing(
        _ instants: [Instant], of schedule: ScheduleID, generation: Int32, ordinal: Int64,
        in transaction: PostgresTransaction
    ) async throws -> Set<Instant> {
        let ids = instants.map {
            Occurrence(
                schedule: schedule, generation: generation, origin: .backfill, scheduledFor: $0, ordinal: ordinal
            ).executionID
        }
        let existing = try await ExecutionTable.existing(among: ids, on: transaction)
        return Set(zip(instants, ids).filter { existing.contains($1) }.map(\.0))
    }
}
