import ArgumentParser

/// The flags of the settings: each is a setting's name in lower case with dashes. Secrets have none, for a command line
/// is everybody's to read.
struct SettingsOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions
    @Option(name: .customLong("database-url"), help: "postgres://user@host:port/database; PG* count too.")
    var databaseURL: String?
    @Option(help: "What logs and leases call this instance (carillon).") var serviceName: String?
    @Option(help: "The first token of all subjects (scheduler).") var subjectPrefix: String?
    @Option(help: "The allow-list, YAML; without one nothing may be fired.") var targetsFile: String?
    @Option(name: .customLong("api-host"), help: "Where HTTP is served (127.0.0.1); another needs --api-tokens-file.")
    var httpHost: String?
    @Option(name: .customLong("api-port"), help: "The port of HTTP (8008); 0 for a free one, 'off' for none.")
    var httpPort: String?
    @Option(name: .customLong("api-tokens-file"), help: "Who may come in over HTTP, YAML.") var tokensFile: String?
    @Option(help: "trace, debug, info, notice, warning, error, critical (info).") var logLevel: String?
    @Option(help: "json or text (json).") var logFormat: String?
    @Option(
        name: .customLong("otel-exporter-otlp-endpoint"),
        help: "Spans go to this collector by OTLP over HTTP, http://host:4318; without one none are made.")
    var collector: String?
    @Option(
        name: .customLong("otel-exporter-otlp-traces-endpoint"), help: "The same, with the whole path.")
    var traceCollector: String?
    @Option(name: .customLong("scheduler-timezone"), help: "The zone of schedules that name none (UTC).")
    var timezone: String?
    @Option(name: .customLong("scheduler-misfire-grace-time"), help: "Seconds (300).") var misfireGrace: String?
    @Option(name: .customLong("scheduler-max-instances"), help: "The ceiling of max_in_flight (3).")
    var mostInFlight: String?
    @Option(name: .customLong("lock-timeout-seconds"), help: "The lease (5, or 20 on a replicated bucket).")
    var lease: String?
    @Option(help: "Replicas of the streams and the bucket (1).") var streamReplicas: String?
    @Option(name: .customLong("max-schedule-lookahead-days"), help: "How far ahead a 'once' may lie (365).")
    var lookaheadDays: String?
    @Option(name: .customLong("default-max-retries"), help: "max_retries where a schedule names none (3).")
    var maxRetries: String?
    @Option(name: .customLong("default-retry-delay"), help: "Seconds (300).") var retryDelay: String?
    @Option(name: .customLong("max-schedules-per-creator"), help: "Schedules a namespace may have (1000).")
    var mostSchedules: String?
    @Option(name: .customLong("history-retention-days"), help: "Executions are kept so long (30).")
    var historyRetention: String?
    @Option(name: .customLong("audit-retention-days"), help: "The audit log is kept so long (365).")
    var auditRetention: String?
    @Option(name: .customLong("max-executions-in-flight"), help: "Executions one instance holds (200000).")
    var executionsInFlight: String?
    @Option(
        name: .customLong("catchup-misfired-per-second"),
        help: "After an outage, so many a second are fired of what is later than its grace (100).")
    var misfiredPerSecond: String?
    @Option(
        name: .customLong("catchup-late-per-second"),
        help: "The same of what is later than a second, within its grace (2000).")
    var latePerSecond: String?

    /// The settings that flags name.
    var values: [String: String] {
        let given: [SettingName: String?] = [
            .databaseURL: databaseURL, .serviceName: serviceName, .subjectPrefix: subjectPrefix,
            .targetsFile: targetsFile, .httpHost: httpHost, .httpPort: httpPort, .tokensFile: tokensFile,
            .logLevel: logLevel, .logFormat: logFormat, .collector: collector, .traceCollector: traceCollector,
            .timezone: timezone,
            .misfireGrace: misfireGrace, .mostInFlight: mostInFlight, .lease: lease,
            .streamReplicas: streamReplicas, .lookaheadDays: lookaheadDays, .maxRetries: maxRetries,
            .retryDelay: retryDelay, .mostSchedules: mostSchedules, .historyRetention: historyRetention,
            .auditRetention: auditRetention, .executionsInFlight: executionsInFlight,
            .misfiredPerSecond: misfiredPerSecond, .latePerSecond: latePerSecond,
        ]
        let all = connection.values.merging(given.compactMapValues { $0 }) { $1 }
        return Dictionary(uniqueKeysWithValues: all.map { ($0.rawValue, $1) })
    }
}
