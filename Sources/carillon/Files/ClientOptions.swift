import ArgumentParser
import Glibc
import NATSClient

/// How a command line reaches the service: the settings of NATS as `carillon serve` reads them, and no others.
struct ClientOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions
    @Option(help: "The first token of all subjects (scheduler).") var subjectPrefix: String?

    /// The settings that a client looks at.
    private static let names: Set<SettingName> = [
        .natsURL, .natsContext, .natsCredentials, .natsNKey, .natsUser, .natsPassword, .natsToken, .natsAuthorities,
        .natsCertificate, .natsKey, .natsInboxPrefix, .subjectPrefix,
    ]

    private func settings() throws -> Settings {
        var flags = connection.values
        flags[.subjectPrefix] = subjectPrefix
        let all = try CommandLineEnvironment.values(
            config: connection.config,
            flags: Dictionary(uniqueKeysWithValues: flags.map { ($0.rawValue, $1) }))
        // And where a context is looked for.
        let known = Set(Self.names.map(\.rawValue) + ["HOME", "XDG_CONFIG_HOME"])
        do { return try Settings(values: all.filter { known.contains($0.key) }) } catch {
            throw CommandLineEnvironment.refusal(error.lines)
        }
    }

    /// Connects, and closes the connection when `body` has ended.
    func withClient(_ body: (ServiceClient) async throws -> Void) async throws {
        let settings = try settings()
        try await CommandLineEnvironment.endingInOneLine {
            do {
                var configuration = settings.nats(name: "client")
                configuration.sendAsap = true
                let connection = try await NATSConnection.connect(configuration, within: .seconds(5))
                do {
                    try await body(ServiceClient(connection: connection, prefix: settings.subjectPrefix))
                    await connection.close()
                } catch {
                    await connection.close()
                    throw error
                }
            } catch let error as NATSError where error.code != .invalidConfiguration {
                Console.error("NATS: \(error)")
                throw ExitCode(EX_UNAVAILABLE)
            }
        }
    }
}
