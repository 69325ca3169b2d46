import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore

/// How many fires lie ahead in each step of time, as far as one look sees: schedule by schedule in the order of their ids,
/// each from where its timer stands, all at one state of the database. Bounded by schedules and by time; where a look ends
/// early the next one goes on, and the steps of both are added.
struct FireForecast: Sendable {
    struct Question: Hashable, Sendable {
        /// Nil for all.
        var namespace: Namespace?
        /// Where the first step begins.
        var from: Instant
        /// In milliseconds.
        var step: Int64
        var steps: Int
        /// Schedules that are looked at, at most.
        var limit = 1000
        /// The last schedule that an earlier look saw.
        var after: ScheduleID?

        var through: Instant { from.adding(milliseconds: step * Int64(steps)) }
    }

    /// A look ends after this time, whatever it was asked for.
    private static let mostTime = Duration.seconds(1)
    /// Fires of one schedule that are walked over, where arithmetic cannot count them.
    private static let mostWalked = 100_000
    /// Fires that are walked over before arithmetic takes over, for each step.
    private static let walkedForStep = 2

    /// How many fires are due in each step; what is due already counts in the first.
    private(set) var counts: [Int64]
    /// Schedules that were looked at, whatever their state.
    private(set) var looked = 0
    /// Of these, the ones that may fire by their own time, whose fires were counted.
    private(set) var expanded = 0
    /// Those that messages drive: nobody knows when they fire.
    private(set) var unforeseen = 0
    /// Those of which only the first fires were counted.
    private(set) var cut = 0
    /// The last one that was looked at; nil where nothing is left.
    private(set) var next: ScheduleID?

    private let question: Question
    private let now: Instant

    static func run(
        _ question: Question, in session: Session, on connection: PostgresConnection
    ) async throws -> FireForecast {
        try await connection.transaction(.readOnly) { transaction in
            var forecast = FireForecast(question, now: session.clock.now())
            try await forecast.look(in: transaction, session)
            return forecast
        }
    }

    private init(_ question: Question, now: Instant) {
        self.question = question
        self.now = now
        counts = [Int64](repeating: 0, count: question.steps)
    }

    private mutating func look(in transaction: PostgresTransaction, _ session: Session) async throws {
        let deadline = ContinuousClock.now + Self.mostTime
        let freezes = try await FireOutlook.freezes(at: now, on: transaction)
        var last = question.after
        while true {
            // A page begins with the one that the last one ended with.
            let wanted = min(LedgerTable.schedulesPage, question.limit - looked) + (last == nil ? 0 : 1)
            let page = try await LedgerTable.schedules(
                from: last, in: question.namespace, limit: wanted, on: transaction)
            let fresh = page.filter { $0.id != last }
            try await session.compiler.load(fresh.compactMap(\.schedule), on: transaction)
            for standing in fresh {
                // One at least, so that a look always comes further.
                if looked > 0, ContinuousClock.now >= deadline {
                    next = last
                    return
                }
                add(standing, by: session.compiler, under: freezes)
                last = standing.id
                // Others come to their turn meanwhile.
                await Task.yield()
            }
            guard page.count == wanted else { return }
            if looked >= question.limit {
                next = last
                return
            }
        }
    }

    private mutating func add(
        _ standing: LedgerTable.Standing, by compiler: ScheduleCompiler, under freezes: [Freeze]
    ) {
        looked += 1
        guard case .readable(let schedule, let timer, _) = standing else { return }
        guard schedule.state == .active || schedule.pausedUntil != nil else { return }
        if schedule.definition.timing.isListening {
            unforeseen += 1
            return
        }
        var fires = FireOutlook.fires(
            of: schedule, timer, by: compiler, under: freezes, turn: timer.nextFireAt, at: now)
        expanded += 1
        let isWhole = fires.count(
            into: &counts, from: question.from, step: question.step,
            walking: Self.walkedForStep * question.steps, most: Self.mostWalked)
        if !isWhole { cut += 1 }
    }
}

extension LedgerTable.Standing {
    fileprivate var schedule: Schedule? {
        guard case .readable(let schedule, _, _) = self else { return nil }
        return schedule
    }
}
