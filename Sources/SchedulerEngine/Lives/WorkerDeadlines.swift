import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import Synchronization

/// Judges workers that do not begin, give no sign of life, or do not end; and none that was not heard.
///
/// A time-out says that nothing came. Whoever says so asks first: has this member been listening (``ReportHearing``), and
/// does nothing wait in the stream that came before the deadline (``ReportWatermark``)? Reports may wait after an outage
/// of the service or of PostgreSQL, and with an instance that took them and stands still. Where one that cannot be settled
/// keeps the watermark back, each execution is asked about by itself, so that it holds up no other. While the stream does
/// not answer nobody is timed out, which the log and the instance's status tell.
final class WorkerDeadlines: Sendable {
    /// How long the watermark may lie behind before executions are asked about one by one, in milliseconds.
    private static let lag: Int64 = 2000
    /// Executions of one look that are asked about.
    private static let mostAsked = 50

    private struct State {
        var watermark = ReportWatermark()
        var isSilent = false
    }

    private let reaper: Reaper
    private let backlog: ReportBacklog
    private let state = Mutex(State())

    private var session: Session { reaper.session }

    init(reaper: Reaper) {
        self.reaper = reaper
        backlog = ReportBacklog(reaper.session.serving, names: reaper.session.configuration.names)
    }

    /// Takes one batch. - Returns: whether there may be more.
    func reap() async throws -> Bool {
        let now = session.clock.now()
        let due = try await session.pool.withConnection {
            try await RetryTable.due(
                retries: nil, cancellations: nil, workers: now, limit: Reaper.batch, on: $0)
        }
        // After a question without an answer it is asked until there is one, whatever is due.
        let hearing = session.hearing.hearing
        guard hearing.isTaking, !due.isEmpty || hearing.since == nil else { return false }
        let through: Instant?
        var bounds = ReaperRound.Bounds()
        do {
            let (last, eldest) = try await backlog.look()
            through = state.withLock { state in
                state.watermark.look(at: now, last: last, eldest: eldest)
                return state.watermark.through
            }
            session.hearing.answered(at: now)
            bounds.hearing = session.hearing.hearing
            guard bounds.hearing.judges(at: now) else { return false }
            (bounds.settled, bounds.reported) = try await ask(about: due, from: through ?? .earliest, at: now)
            tell(silence: nil)
        } catch {
            // What the database does not answer, or a service that stops, says nothing of the stream.
            if error is PostgresError || Task.isCancelled { throw error }
            session.hearing.unanswered()
            tell(silence: error)
            return false
        }
        bounds.workers = through
        let asked = bounds.settled.union(bounds.reported)
        let taken = due.filter { due in asked.contains(due.id) || through.map { due.at <= $0 } ?? false }
        return try await reaper.take(taken, through: bounds, at: now) && taken.count == Reaper.batch
    }

    /// Asks about those that have waited for the watermark. - Returns: of which no report waits, and of which one does.
    private func ask(
        about due: [RetryTable.Due], from through: Instant, at now: Instant
    ) async throws -> (settled: Set<ExecutionID>, reported: Set<ExecutionID>) {
        let latest = now.adding(milliseconds: -Self.lag)
        let asked = due.filter { $0.at > through && $0.at <= latest }.prefix(Self.mostAsked)
        guard !asked.isEmpty else { return ([], []) }
        let owners = try await session.pool.withConnection {
            try await ReportTable.owners(of: Set(asked.map(\.schedule)).sorted(), on: $0)
        }
        var (settled, reported): (Set<ExecutionID>, Set<ExecutionID>) = ([], [])
        for due in asked {
            guard let namespace = owners[due.schedule]?.namespace else { continue }
            if try await backlog.holds(reportOn: due.id, in: namespace) {
                reported.insert(due.id)
            } else {
                settled.insert(due.id)
            }
        }
        return (settled, reported)
    }

    /// Tells once that the stream does not answer, and once that it does again.
    private func tell(silence error: (any Error)?) {
        let isNews = state.withLock { state in
            defer { state.isSilent = error != nil }
            return state.isSilent != (error != nil)
        }
        guard isNews else { return }
        if let error {
            session.logger.warning(
                "the stream of workers' reports does not answer: nobody is timed out meanwhile",
                metadata: ["error": "\(error)"])
        } else {
            session.logger.notice("workers' deadlines are judged again")
        }
    }
}
