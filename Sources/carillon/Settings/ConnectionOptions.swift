import ArgumentParser

/// The flags of the connection to NATS, which everything on the command line has that speaks to it, and of the file that
/// has the settings.
struct ConnectionOptions: ParsableArguments {
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

    /// The settings that flags name.
    var values: [SettingName: String] {
        let given: [SettingName: String?] = [
            .natsURL: natsURL, .natsContext: natsContext, .natsCredentials: natsCredentials, .natsUser: natsUser,
            .natsAuthorities: natsAuthorities, .natsCertificate: natsCertificate, .natsKey: natsKey,
            .natsInboxPrefix: natsInboxPrefix,
        ]
        return given.compactMapValues { $0 }
    }
}
