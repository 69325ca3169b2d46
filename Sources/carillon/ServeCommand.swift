import ArgumentParser
import Logging

/// `carillon serve`: one instance of the service.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run an instance against a NATS server and a PostgreSQL database.",
        discussion: """
            Settings come from flags, then the environment, then the file that --config or CARILLON_CONFIG names. \
            SIGTERM ends it in good order, a second one at once.
            """)

    @OptionGroup var options: SettingsOptions

    func run() async throws {
        CoreDumps.forbid()
        let settings = try CommandLineEnvironment.settings(options)
        let allowList = try AllowList(settings)
        let tokens = try TokenList.board(settings)
        let logger = settings.logger(label: "carillon")
        try await CommandLineEnvironment.endingInOneLine {
            try await Termination.run { stop in
                logger.info("starting", metadata: ["version": "\(Carillon.version)", "settings": "\(settings)"])
                try await SchemaGuard(settings: settings, logger: logger).check(stop)
                let composition = Composition(
                    settings: settings, allowList: allowList, tokens: tokens, logger: logger)
                try await ServiceRun.run(try await composition.services(stop), stop: stop, logger: logger)
                logger.info("stopped")
            }
        }
    }
}
