package import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire
import ServiceLifecycle
package import ServiceMetrics
package import ServiceTracing
import Synchronization
import ZoneData

/// The scheduler's engine: keeps this process a member, incarnation after incarnation, until it is told to stop.
package final class Engine: Service {
    package let configuration: EngineConfiguration
    package let compiler: ScheduleCompiler
    private let links: Session.Links
    private let zones: ZoneWatch
    private let targets: TargetsWatch
    package let limits = LimitBoard()
    package let meters: ServiceMeters
    package let tracer: ServiceTracer
    private let logger: Logger
    private let clock = PostgresClock()
    private let current = Mutex<Session?>(nil)
    private let isStopping = Atomic<Bool>(false)
    private let draining = Flag()
    private let hasStarted = Atomic<Bool>(false)
    private let fault = Mutex<String?>("the engine is starting")
    private let submittedFault = Mutex<String?>(nil)

    package init(
        configuration: EngineConfiguration, links: Session.Links, compiler: ScheduleCompiler, zones: ZoneWatch,
        targets: TargetsWatch = TargetsWatch(), meters: ServiceMeters = ServiceMeters(),
        tracer: ServiceTracer = ServiceTracer(), logger: Logger
    ) {
        self.configuration = configuration
        self.links = links
        self.compiler = compiler
        self.zones = zones
        self.targets = targets
        self.meters = meters
        self.tracer = tracer
        self.logger = logger
    }

    /// The incarnation at work; nil while there is none.
    package var session: Session? { current.withLock { $0 } }

    /// An admin has asked this instance to go: the commands end first, and with them the process, in good order.
    package var isDraining: Bool { draining.isSet }

    /// Asks this instance to go.
    package func drain() { draining.signal() }

    package func requireSession() throws -> Session {
        guard let session else {
            throw EngineError(.notReady, fault.withLock { $0 } ?? "the instance is joining")
        }
        return session
    }

    /// Why this instance is not ready; empty when it is.
    package func faults() -> [String] {
        guard let session else { return links.faults + [fault.withLock { $0 } ?? "the instance is joining"] }
        return links.faults + session.faults() + (submittedFault.withLock { $0 }.map { [$0] } ?? [])
    }

    /// Says why submitted commands are not taken; nil while they are. - Returns: whether that is news.
    @discardableResult
    package func report(submitted fault: String?) -> Bool {
        submittedFault.withLock { known in
            defer { known = fault }
            return known != fault
        }
    }

    /// How often this process's connections to NATS came up again.
    package var reconnects: UInt64 {
        links.all.reduce(0) { sum, link in
            let counters = link.connection.counters
            return sum + counters.reconnects + counters.rebuilds
        }
    }

    /// The time as spans have it, in microseconds since 1970: PostgreSQL's, as all times of the ledger, and the machine's
    /// until it is known.
    package var microseconds: Int64 {
        clock.isSet
            ? clock.microseconds(at: MonotonicClock.now()) : PostgresClock.machineNow().milliseconds * 1000
    }

    /// The release of the zone data in use; nil where the folder names none.
    package var zoneRelease: String? { zones.database.version }

    package func run() async throws {
        await withGracefulShutdownHandler {
            await live()
        } onGracefulShutdown: {
            self.isStopping.store(true, ordering: .relaxed)
            self.session?.requestLeave()
        }
    }

    /// One incarnation after another. What ends one is told, and the next begins after a moment.
    private func live() async {
        while !isStopping.load(ordering: .relaxed), !Task.isCancelled {
            do {
                try await liveOnce()
            } catch is CancellationError {
                return
            } catch {
                fault.withLock { $0 = "\(error)" }
                logger.warning("this incarnation is over; joining anew", metadata: ["reason": "\(error)"])
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func liveOnce() async throws {
        try await EventStreams(links.serving, names: configuration.names, replicas: configuration.streamReplicas)
            .ensure()
        let bucket = try await KeyValueBucket.bindOrCreate(
            configuration.names.lockBucket, JetStreamAPI(links.leases), timeToLive: configuration.lease * 10,
            replicas: configuration.streamReplicas)
        var random = SystemRandomNumberGenerator()
        let instance = InstanceID(.version7(at: PostgresClock.machineNow(), random: &random))
        let session = try Session(
            instance, configuration: configuration, links: links, clock: clock, compiler: compiler, zones: zones,
            rules: (targets, limits), bucket: bucket, draining: draining, meters: meters, tracer: tracer,
            logger: logger)
        do {
            try await session.join()
            tellStart(session)
            current.withLock { $0 = session }
            if isStopping.load(ordering: .relaxed) { session.requestLeave() }
            try await session.work()
            await end(session)
        } catch {
            await end(session)
            throw error
        }
    }

    /// Once a process; each incarnation tells that it joined.
    private func tellStart(_ session: Session) {
        guard !hasStarted.exchange(true, ordering: .relaxed) else { return }
        session.tell(
            .systemStarted,
            "started with tzdata \(zones.database.version ?? "of an unknown release") from \(zones.database.root)")
    }

    private func end(_ session: Session) async {
        current.withLock { $0 = nil }
        await session.end()
    }
}
