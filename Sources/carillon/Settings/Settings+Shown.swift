import Logging
import NATSClient
import PostgresClient
import SchedulerWire
import Telemetry

extension Settings {
    /// Every setting that has a value, with secrets hidden.
    var shown: [(name: SettingName, text: String)] {
        SettingName.allCases.compactMap { name in text(of: name).map { (name, $0) } }
    }

    private func text(of name: SettingName) -> String? {
        switch name {
        case .natsURL: Redaction.urls(natsURL)
        case .natsContext: natsContext
        case .natsCredentials: natsCredentials
        case .natsNKey:
            switch natsNKey {
            case .file(let path): path
            case .seed: Redaction.mark
            case nil: nil
            }
        case .natsUser: natsUser
        case .natsPassword: natsPassword.map { _ in Redaction.mark }
        case .natsToken: natsToken.map { _ in Redaction.mark }
        case .natsAuthorities: natsTLS?.authorities
        case .natsCertificate: natsTLS?.certificate
        case .natsKey: natsTLS?.key
        case .natsInboxPrefix: inboxPrefix
        case .databaseURL: databaseURL.map(Redaction.connectionString)
        case .serviceName: serviceName
        case .subjectPrefix: subjectPrefix
        case .targetsFile: targetsFile
        case .httpHost: httpHost
        case .httpPort: httpPort.map { "\($0)" } ?? Self.noHTTP
        case .tokensFile: tokensFile
        case .logLevel: logLevel.rawValue
        case .logFormat: logFormat.rawValue
        case .collector: collector?.common
        case .traceCollector: collector?.traces
        case .collectorHeaders: collector.flatMap { $0.headers.isEmpty ? nil : Redaction.mark }
        case .timezone: defaults.timezone
        case .misfireGrace: SettingsReader.plain(Double(defaults.misfireGraceMilliseconds) / 1000)
        case .mostInFlight: "\(defaults.mostInFlight)"
        case .lease: SettingsReader.plain(leaseSeconds)
        case .streamReplicas: "\(streamReplicas)"
        case .lookaheadDays: "\(defaults.mostLookaheadDays)"
        case .maxRetries: "\(defaults.maxRetries)"
        case .retryDelay: SettingsReader.plain(defaults.retryDelaySeconds)
        case .mostSchedules: "\(mostSchedules)"
        case .historyRetention: "\(historyRetentionDays)"
        case .auditRetention: "\(auditRetentionDays)"
        case .executionsInFlight: "\(executionsInFlight)"
        case .misfiredPerSecond: "\(misfiredPerSecond)"
        case .latePerSecond: "\(latePerSecond)"
        }
    }
}

/// For logs: where the servers are, and nothing secret.
extension Settings: CustomStringConvertible, CustomReflectable {
    var description: String {
        let database = (try? PostgresConfiguration(databaseURL)).map { "\($0)" } ?? "PostgreSQL"
        return "\(serviceName): \(nats(name: "nats")), \(database), prefix \(subjectPrefix)"
    }

    /// Without children: `dump` must not find the secrets either.
    var customMirror: Mirror { Mirror(self, children: []) }
}
