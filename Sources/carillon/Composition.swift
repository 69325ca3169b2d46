import Logging
import NATSClient
import PostgresClient
import PrometheusMetrics
import Recurrence
import SchedulerAPI
import SchedulerCore
import SchedulerEngine
import SchedulerHTTP
import ServiceLifecycle
import ServiceMetrics
import ServiceTracing
import SpanExport
import ZoneData

/// Puts the service together: connections, engine, commands. Nothing here decides anything.
struct Composition: Sendable {
    let settings: Settings
    let allowList: AllowList
    let tokens: TokenBoard
    let logger: Logger

    /// The services, in the order of their dependence; they shut down in reverse. Waits for NATS.
    /// - Parameter metrics: is given what `GET /metrics` answers.
    func services(
        _ stop: StopRequest, metrics: (MetricsPage) -> Void = { _ in }
    ) async throws -> [NamedService] {
        let registry = PrometheusRegistry(MetricCatalogue.all)
        let configuration = try settings.engine()
        let links = Session.Links(
            prompt: try await connect("prompt", stop) { $0.sendAsap = true },
            gathered: try await connect("gathered", stop) { _ in },
            serving: try await connect("serving", stop) { $0.sendAsap = true },
            leases: try await connect("leases", stop) { $0.sendAsap = true })
        let exporter = settings.spanExporter(logger: logger)
        let zones = ZoneDatabase()
        let engine = Engine(
            configuration: configuration, links: links,
            compiler: ScheduleCompiler(
                zones: { name throws(ZoneError) in try zones.rules(for: name) }, rules: allowList.rules),
            zones: ZoneWatch(zones), targets: TargetsWatch { [allowList] in allowList.look() },
            meters: ServiceMeters(registry), tracer: ServiceTracer(exporter?.tracer), logger: logger)
        let serving = CommandService.Settings(
            defaults: settings.defaults, mostSchedules: settings.mostSchedules, version: Carillon.version)
        let dispatcher = CommandDispatcher(
            engine: engine, connection: links.serving, settings: serving, logger: logger)
        let commands = CommandService(dispatcher: dispatcher, logger: logger)
        let submitted = SubmittedCommands(engine: engine, settings: serving, logger: logger)
        let page = MetricsPage(engine: engine, registry: registry, version: Carillon.version)
        metrics(page)
        // HTTP ends after what it tells of: while the instance leaves, it says that it is not ready. Spans last.
        return (exporter.map { [NamedService("spans", $0)] } ?? []) + [
            NamedService("connection log", ConnectionLog(links: links, logger: logger)),
            NamedService("connections", Connections(links: links)),
        ]
            + (http(dispatcher, engine, zones, page).map { [NamedService("http", $0)] } ?? [])
            + [
                NamedService("engine", engine), NamedService("commands", commands),
                NamedService("submitted commands", submitted),
            ]
    }

    private func connect(
        _ name: String, _ stop: StopRequest, _ configure: (inout NATSConfiguration) -> Void
    ) async throws -> NATSConnection {
        var configuration = settings.nats(name: name)
        configure(&configuration)
        let wanted = configuration
        return try await ServerWait(logger: logger, stop: stop).until("NATS") {
            try await NATSConnection.connect(wanted, within: .seconds(1))
        } retries: {
            ($0 as? NATSError)?.code != .invalidConfiguration
        }
    }
}

/// Keeps the connections open until everything that uses them has ended.
private struct Connections: Service {
    let links: Session.Links

    func run() async throws {
        try? await gracefulShutdown()
        for (_, connection) in links.all.reversed() { await connection.close() }
    }
}
