import UnixSignals
import ArgumentParser
import Glibc
import Logging
import SchedulerCore
import ServiceLifecycle

/// `carillon serve`: one instance of the service.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run an instance against a NATS server and a PostgreSQL database.")

    func run() async throws {
        let settings = try CommandLineEnvironment.settings()
        let rules = try CommandLineEnvironment.targetRules(settings)
        var logger = Logger(label: "carillon")
        logger.logLevel = Logger.Level(rawValue: settings.logLevel) ?? .info
        try await SchemaGuard(settings: settings).check()
        let services = try await Composition(settings: settings, rules: rules, logger: logger).services()
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
                    .init(
                        service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup)
                }, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }
}
