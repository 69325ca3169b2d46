import Glibc
import LocalServers
import Logging
import Migrations
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerHTTP
import SchedulerStore
import ServiceLifecycle
import Telemetry

/// One run of `carillon dev` on its servers: the service, the demo, and the transcript.
struct DevSession: Sendable {
    let servers: DevServers
    let makesDemo: Bool
    /// Nil for a free one.
    let httpPort: UInt16?

    func run(_ stop: StopRequest) async throws {
        Console.say("starting nats-server and PostgreSQL…")
        try await servers.start()
        try stop.check()
        let settings = try await settings()
        let postgres = try PostgresConfiguration(settings.databaseURL)
        do { _ = try await Schema.update(Schema.migrator(postgres)) } catch { throw DevFault("\(error)") }
        try await liftLimit(postgres)
        try stop.check()
        let logger = settings.logger(label: "carillon")
        let allowList = try allowList(settings)
        let services = try await Composition(
            settings: settings, allowList: allowList, tokens: TokenBoard(), logger: logger
        ).services(stop)
        let connection = try await NATSConnection.connect(settings.nats(name: "dev"), within: .seconds(10))
        let show = DevShow(
            connection: connection, names: try settings.engine().names, banner: await banner(settings),
            http: services.lazy.compactMap { $0.base as? HTTPService }.first, makesDemo: makesDemo, stop: stop)
        try await ServiceRun.run(services + [NamedService("transcript", show)], stop: stop, logger: logger)
        await connection.close()
    }

    /// The environment's settings, but for where the servers are; and log lines for people, quiet unless asked.
    private func settings() async throws -> Settings {
        var variables = CommandLineEnvironment.variables().filter { !$0.key.hasPrefix("NATS_") }
        variables["NATS_URL"] = await servers.nats.url
        variables["API_HOST"] = nil
        variables["API_TOKENS_FILE"] = nil
        variables["API_PORT"] = "\(httpPort ?? 0)"
        variables["DATABASE_URL"] = await servers.postgres.url() + "?sslmode=disable"
        for (name, value) in ["LOG_LEVEL": "warning", "LOG_FORMAT": "text", "SERVICE_NAME": "dev"]
        where variables[name, default: ""].isEmpty {
            variables[name] = value
        }
        do { return try Settings(values: variables) } catch { throw CommandLineEnvironment.refusal(error.lines) }
    }

    /// What `TARGETS_FILE` allows, and `demo.>` for everybody.
    private func allowList(_ settings: Settings) throws -> AllowList {
        let demo = TargetRule(
            namespace: nil, subject: try SubjectPattern("demo.>"), delivery: Set(Delivery.allCases),
            maxPayloadBytes: nil)
        let heard = SourceRule(namespace: demo.namespace, subject: demo.subject)
        return try AllowList(settings, always: [demo], alwaysHeard: [heard])
    }

    /// The namespace `demo` may have as many schedules as a load test likes.
    private func liftLimit(_ configuration: PostgresConfiguration) async throws {
        let connection = try PostgresConnection(configuration)
        let result: Result<Void, any Error>
        do {
            try await NamespaceTable.setLimit(.max, of: try Namespace(DevDemo.namespace), on: connection)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await connection.close()
        try result.get()
    }

    private func banner(_ settings: Settings) async -> DevBanner {
        DevBanner(
            version: Carillon.version, natsURL: await servers.nats.url, postgresURL: await servers.postgres.url(),
            folder: servers.folder, isTemporary: servers.isTemporary, prefix: settings.subjectPrefix)
    }
}

/// Shows what the service does until it is told to stop.
private struct DevShow: Service {
    let connection: NATSConnection
    let names: SubjectNames
    let banner: DevBanner
    /// Its port is known once it is ready.
    let http: HTTPService?
    let makesDemo: Bool
    let stop: StopRequest

    func run() async throws {
        let demo = DevDemo(connection: connection, names: names)
        try await demo.waitUntilReady(stop)
        var banner = banner
        banner.httpURL = http?.port.map { "http://127.0.0.1:\($0)" }
        Console.output.write(banner.text)
        let transcript = DevTranscript(Console.output, isColoured: Console.isColoured)
        try transcript.begin(on: connection, commands: "demo.>", events: names.events)
        if makesDemo { try await demo.create(stop) }
        try? await cancelWhenGracefulShutdown {
            // Ends when the terminal's other end is gone, too.
            while !Console.output.isClosed {
                try await Task.sleep(for: .seconds(1))
                transcript.turnSecond()
            }
        }
        transcript.end()
    }
}
