import Logging
import ServiceLifecycle

/// A service with the name under which logs speak of it; its parts, and the secrets in them, stay out of the logs.
struct NamedService: Service, CustomStringConvertible {
    let description: String
    let base: any Service

    init(_ name: String, _ base: any Service) {
        description = name
        self.base = base
    }

    func run() async throws { try await base.run() }
}

/// A service that ends in its turn: when its work is done before, it asks all to end and waits until it is asked itself.
/// The group takes whoever ends out of turn while it shuts down for a failure, and cancels all others.
private struct TurnKeeper: Service, CustomStringConvertible {
    let base: NamedService
    let stop: StopRequest

    var description: String { base.description }

    func run() async throws {
        try await base.run()
        await stop.request()
        try? await gracefulShutdown()
    }
}

/// Runs services until one ends or a stop is asked for; then they end in good order, in reverse.
enum ServiceRun {
    /// Longer than any service takes by itself; what is still there then is cancelled.
    private static let patience = Duration.seconds(15)

    static func run(_ services: [NamedService], stop: StopRequest, logger: Logger) async throws {
        var quiet = logger
        // The group tells each step of each service at debug.
        quiet.logLevel = max(logger.logLevel, .info)
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(
                    service: TurnKeeper(base: $0, stop: stop), successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup)
            }, logger: quiet)
        configuration.maximumGracefulShutdownDuration = patience
        let group = ServiceGroup(configuration: configuration)
        await stop.handle { await group.triggerGracefulShutdown() }
        do { try await group.run() } catch let error as ServiceGroupError where error.errorCode == .alreadyFinished {
            // Asked to stop before it had begun.
        }
    }
}
