import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// What a change of a calendar or of a freeze does to the fires of the schedules that it concerns.
///
/// Bounded whatever there is: it counts what one look sees, compares the fires of the first ``mostSchedules``, and of each
/// as many as its share of ``mostInstants`` lets it; sparse schedules leave theirs to the others.
struct FireOutlook: Sendable {
    /// How many schedules are compared.
    static let mostSchedules = 100
    /// How many fires that differ are listed of each.
    static let mostListed = 10
    /// How many instants of all of them are looked at.
    static let mostInstants = 50_000

    private struct Subject: Sendable {
        let schedule: Schedule
        let before: ForeseenFires
        let after: ForeseenFires
    }

    private let concerned: ConcernedTable.Found
    private let subjects: [Subject]
    private let now: Instant

    /// Compares the fires, and tells where they differ.
    func members() async -> ReplyMembers {
        let horizon = now.adding(milliseconds: FireDifference.reach)
        var left = Self.mostInstants
        var compared: [(schedule: Schedule, difference: FireDifference)] = []
        for (index, subject) in subjects.enumerated() {
            let share = left / (subjects.count - index)
            let difference = FireDifference(
                before: subject.before, after: subject.after, through: horizon,
                most: min(share, FireDifference.mostCompared))
            left -= difference.compared
            compared.append((subject.schedule, difference))
            // Others come to their turn meanwhile.
            await Task.yield()
        }
        return { [concerned, compared] writer in
            writer.object("concerned") { writer in
                writer.member("count", concerned.ids.count)
                writer.member("complete", concerned.isComplete)
                writer.member("compared", compared.count)
                writer.member("added", compared.reduce(0) { $0 + $1.difference.added })
                writer.member("removed", compared.reduce(0) { $0 + $1.difference.removed })
                writer.member("moved", compared.reduce(0) { $0 + $1.difference.moved })
                writer.member("truncated", compared.contains { $0.difference.isTruncated })
                writer.array("schedules") { writer in
                    for (schedule, difference) in compared where !difference.changed.isEmpty {
                        writer.value(schedule, difference)
                    }
                }
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ schedule: Schedule, _ difference: FireDifference) {
        object { writer in
            writer.called(schedule)
            writer.member("added", difference.added)
            writer.member("removed", difference.removed)
            writer.member("moved", difference.moved)
            writer.member("until", difference.until.rfc3339)
            writer.member("truncated", difference.isTruncated)
            writer.array("fires") { writer in
                for change in difference.changed.prefix(FireOutlook.mostListed) {
                    writer.object { writer in
                        writer.member("scheduled_for", change.scheduledFor.rfc3339)
                        writer.due("from", change.dueBefore)
                        writer.due("to", change.dueAfter)
                    }
                }
            }
        }
    }

    private mutating func due(_ name: StaticString, _ instant: Instant?) {
        if let instant { member(name, instant.rfc3339) } else { nullMember(name) }
    }
}

// MARK: - Calendars

extension FireOutlook {
    /// - Parameter after: the calendar as it would be.
    init(calendar after: CalendarView, in session: Session, at now: Instant) async throws {
        self = try await session.list { connection in
            let concerned = try await ConcernedTable.users(of: after.name, in: after.namespace, on: connection)
            let found = try await Found(concerned, on: connection)
            let freezes = try await Self.freezes(at: now, on: connection)
            let compilers = (session.compiler.apart(), session.compiler.apart(knowing: after))
            try await compilers.0.load(found.schedules, on: connection)
            try await compilers.1.load(found.schedules, on: connection)
            return FireOutlook(concerned, found, at: now) { schedule, timer in
                let turn = timer.nextFireAt
                return (
                    Self.fires(of: schedule, timer, by: compilers.0, under: freezes, turn: turn, at: now),
                    Self.fires(of: schedule, timer, by: compilers.1, under: freezes, turn: nil, at: now)
                )
            }
        }
    }
}

// MARK: - Freezes

extension FireOutlook {
    /// - Parameter before: nil where the freeze is a new one.
    init(freeze after: Freeze, before: Freeze?, in session: Session, at now: Instant) async throws {
        self = try await session.list { connection in
            var concerned = try await ConcernedTable.active(
                in: after.namespace, target: after.target, on: connection)
            if let before, before.namespace != after.namespace || before.target != after.target {
                let others = try await ConcernedTable.active(
                    in: before.namespace, target: before.target, on: connection)
                concerned = concerned.joined(with: others)
            }
            let found = try await Found(concerned, on: connection)
            let compiler = session.compiler.apart()
            try await compiler.load(found.schedules, on: connection)
            let old = try await Self.freezes(at: now, on: connection)
            let new = old.filter { $0.id != after.id } + [after]
            return FireOutlook(concerned, found, at: now) { schedule, timer in
                let turn = before.map { $0.turn(of: timer, endingAt: max(after.until, now)) } ?? timer.nextFireAt
                return (
                    Self.fires(of: schedule, timer, by: compiler, under: old, turn: timer.nextFireAt, at: now),
                    Self.fires(of: schedule, timer, by: compiler, under: new, turn: turn, at: now)
                )
            }
        }
    }
}

extension Freeze {
    /// When a timer that it may hold is looked at if it ends at another time: earlier, by as much.
    fileprivate func turn(of timer: Timer, endingAt end: Instant) -> Instant? {
        guard let due = timer.nextFireAt, timer.resumeFrom != nil, end < until, due > end else {
            return timer.nextFireAt
        }
        return due < until ? end : due.adding(milliseconds: -until.milliseconds(since: end))
    }
}

// MARK: - What is read

extension ConcernedTable.Found {
    fileprivate func joined(with other: ConcernedTable.Found) -> ConcernedTable.Found {
        let known = Set(ids)
        return ConcernedTable.Found(
            ids: ids + other.ids.filter { !known.contains($0) }, isComplete: isComplete && other.isComplete)
    }
}

extension FireOutlook {
    /// The first of those that are concerned, with their timers.
    private struct Found {
        let schedules: [Schedule]
        let timers: [ScheduleID: Timer]

        init(_ concerned: ConcernedTable.Found, on connection: PostgresConnection) async throws {
            let ids = Array(concerned.ids.prefix(FireOutlook.mostSchedules))
            schedules = try await ConcernedTable.brief(ids, on: connection)
            timers = try await TimerTable.fetch(ids, on: connection)
        }
    }

    private init(
        _ concerned: ConcernedTable.Found, _ found: Found, at now: Instant,
        _ fires: (Schedule, Timer) -> (before: ForeseenFires, after: ForeseenFires)
    ) {
        self.concerned = concerned
        self.now = now
        subjects = found.schedules.compactMap { schedule in
            guard let timer = found.timers[schedule.id] else { return nil }
            let (before, after) = fires(schedule, timer)
            return Subject(schedule: schedule, before: before, after: after)
        }
    }

    /// Those that claims know.
    static func freezes(at now: Instant, on runner: some StatementRunner) async throws -> [Freeze] {
        try await FreezeTable.current(endingAfter: now.adding(milliseconds: -FreezeBoard.memory), on: runner)
    }

    /// What a schedule fires from where its timer stands.
    /// - Parameter turn: before it nothing fires; nil where it is decided anew.
    static func fires(
        of schedule: Schedule, _ timer: Timer, by compiler: ScheduleCompiler, under freezes: [Freeze], turn: Instant?,
        at now: Instant
    ) -> ForeseenFires {
        let compiled = compiler.compile(schedule)
        // Its payload was not read: what is said of that says nothing.
        guard !compiled.faults.contains(where: { $0.kind == .timing }) else { return .none }
        let planner = compiled.planner
        let first: Instant?
        switch (schedule.state, schedule.pausedUntil) {
        case (.active, _): first = timer.nextFireAt.flatMap { _ in timer.position(offset: planner.offset) }
        case (.paused, let until?): first = planner.firstOccurrence(afterPauseUntil: until)
        default: return .none
        }
        let frozen = freezes.filter { $0.concerns(namespace: compiled.namespace, target: compiled.target) }
            .map { FrozenTime($0, offset: planner.offset) }
        let placement = (planner.placement ?? Placement(source: planner.source)).under(
            frozen, floor: turn.map { $0.adding(milliseconds: -planner.offset) } ?? .earliest)
        return ForeseenFires(by: planner, placement, from: first, runCount: timer.runCount, now: now)
    }
}
