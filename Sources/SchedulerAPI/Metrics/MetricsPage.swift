import NATSClient
import PostgresClient
package import PrometheusMetrics
import Recurrence
import SchedulerCore
package import SchedulerEngine
import SchedulerStore
import ServiceMetrics
import Synchronization

/// What `GET /metrics` answers: all that was counted, and how things stand now.
///
/// What the process knows is told as it is. What the database knows is asked at most every fifteen seconds, however often
/// somebody looks (``QuestionPace``), by each instance for itself: all tell the same, and whoever is scraped knows it.
/// While the database does not answer, nothing is told of it: an old figure would look like a good one.
package final class MetricsPage: Sendable {
    /// What the database knew when it was asked last.
    private struct Stock: Sendable {
        var kinds: [StockTable.Kind]?
        var overdue: Int?
        var outbox: Int64?
        var waiting: Int64?
        var runs: (open: Int64, oldest: Instant?)?
    }

    private struct State {
        var pace = QuestionPace()
        var stock = Stock()
    }

    /// Beyond so many, how many does not matter.
    private static let mostOverdue = 100_000

    private let engine: Engine
    private let registry: PrometheusRegistry
    private let version: String
    private let state = Mutex(State())

    /// - Parameters:
    ///   - registry: what the engine counts with.
    ///   - version: of the program.
    package init(engine: Engine, registry: PrometheusRegistry, version: String) {
        self.engine = engine
        self.registry = registry
        self.version = version
    }

    /// The page in Prometheus' text format. Answers whether the instance is ready or not.
    package func text() async -> [UInt8] {
        let session = engine.session
        if let session { await ask(session) }
        engine.meters.reconnected(total: engine.reconnects)
        engine.meters.show(standing(session))
        return registry.text()
    }

    private func ask(_ session: Session) async {
        let now = MonotonicClock.now()
        let isDue = state.withLock { state in
            guard state.pace.isDue(at: now) else { return false }
            state.pace.asked(at: now)
            return true
        }
        guard isDue else { return }
        let stock = await Self.stock(session)
        state.withLock { state in
            state.stock = stock
            state.pace.answered(at: MonotonicClock.now())
        }
    }

    /// One question that fails keeps no other from its answer.
    private static func stock(_ session: Session) async -> Stock {
        var stock = Stock()
        stock.kinds = try? await ask(session) { try await StockTable.kinds(on: $0) }
        let now = session.clock.now()
        stock.overdue = try? await ask(session) {
            try await TimerTable.countOverdue(at: now, limit: mostOverdue, on: $0)
        }
        stock.outbox = try? await ask(session) { try await AuditTable.pending(on: $0) }
        stock.waiting = try? await ask(session) { try await BufferTable.count(on: $0) }
        stock.runs = try? await ask(session) { try await StockTable.runs(on: $0) }
        return stock
    }

    private static func ask<Answer: Sendable>(
        _ session: Session, _ question: @Sendable (PostgresConnection) async throws -> Answer
    ) async throws -> Answer {
        try await session.lists.withConnection(deadline: .now + SessionConnections.listTimeout, question)
    }

    private func standing(_ session: Session?) -> Standing {
        var standing = Standing()
        standing.set(MetricCatalogue.ready, engine.faults().isEmpty ? 1 : 0)
        standing.set(MetricCatalogue.buildInfo, [version], 1)
        if let release = engine.zoneRelease { standing.set(MetricCatalogue.zoneInfo, [release], 1) }
        guard let session else { return standing }
        let view = session.membership.view
        standing.set(MetricCatalogue.members, view.members.count)
        standing.set(MetricCatalogue.share, view.share.count)
        standing.set(MetricCatalogue.inFlight, session.publisher.held)
        standing.set(MetricCatalogue.unanswered, session.publisher.unanswered)
        standing.set(MetricCatalogue.dueWaiting, session.publisher.dueBacklog)
        standing.set(MetricCatalogue.eventsOwed, session.teller.owedCount)
        if session.clock.isSet {
            standing.set(MetricCatalogue.clockOffset, Double(session.clock.skewMilliseconds()) / 1000)
        }
        add(state.withLock { $0.stock }, at: session.clock.now(), to: &standing)
        return standing
    }

    private func add(_ stock: Stock, at now: Instant, to standing: inout Standing) {
        for kind in stock.kinds ?? [] {
            standing.set(MetricCatalogue.schedules, [kind.type, kind.state], kind.count)
        }
        if let overdue = stock.overdue { standing.set(MetricCatalogue.dueBacklog, overdue) }
        if let outbox = stock.outbox { standing.set(MetricCatalogue.outboxPending, outbox) }
        if let waiting = stock.waiting { standing.set(MetricCatalogue.waitingForPlace, waiting) }
        guard let runs = stock.runs else { return }
        standing.set(MetricCatalogue.openRuns, runs.open)
        let age = runs.oldest.map { max(0, now.milliseconds(since: $0)) } ?? 0
        standing.set(MetricCatalogue.oldestRun, Double(age) / 1000)
    }
}
