import ArgumentParser
import Glibc
import NATSClient

/// How a command line reaches the service: the settings of NATS as `carillon serve` reads them, and no others.
struct ClientOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A file of NAME=value lines; CARILLON_CONFIG names one too.", valueName: "file"))
    var config: String?
    @Option(name: .customLong("nats-url"), help: "Servers, apart by commas (nats://127.0.0.1:4222).")
    var natsURL: String?
    @Option(name: .customLong("nats-context"), help: "A context of the nats command line, by its name or its file.")
    var natsContext: String?
    @Option(name: .customLong("nats-creds"), help: "A credentials file (.creds).") var natsCredentials: String?
    @Option(name: .customLong("nats-user"), help: "A user; NATS_PASSWORD has the password.") var natsUser: String?
    @Option(name: .customLong("nats-tls-ca"), help: "A PEM file.") var natsAuthorities: String?
    @Option(name: .customLong("nats-tls-cert"), help: "A PEM file.") var natsCertificate: String?
    @Option(name: .customLong("nats-tls-key"), help: "A PEM file.") var natsKey: String?
    @Option(name: .customLong("nats-inbox-prefix"), help: "The first tokens of inboxes (_INBOX.<subject prefix>).")
    var natsInboxPrefix: String?
    @Option(help: "The first token of all subjects (scheduler).") var subjectPrefix: String?

    /// The settings that a client looks at.
    private static let names: Set<SettingName> = [
        .natsURL, .natsContext, .natsCredentials, .natsNKey, .natsUser, .natsPassword, .natsToken, .natsAuthorities,
        .natsCertificate, .natsKey, .natsInboxPrefix, .subjectPrefix,
    ]

    private func settings() throws -> Settings {
        let flags: [SettingName: String?] = [
            .natsURL: natsURL, .natsContext: natsContext, .natsCredentials: natsCredentials, .natsUser: natsUser,
            .natsAuthorities: natsAuthorities, .natsCertificate: natsCertificate, .natsKey: natsKey,
            .natsInboxPrefix: natsInboxPrefix, .subjectPrefix: subjectPrefix,
        ]
        let given = flags.compactMap { name, text in text.map { (name.rawValue, $0) } }
        let all = try CommandLineEnvironment.values(
            config: config, flags: Dictionary(given, uniquingKeysWith: { $1 }))
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
