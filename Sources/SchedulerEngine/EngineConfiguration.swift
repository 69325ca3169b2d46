package import NATSClient
package import PostgresClient
package import SchedulerCore

/// What an engine is told at its start.
package struct EngineConfiguration: Sendable {
    /// What logs, lease keys and `system.status` call this process.
    package var instanceName = "carillon"
    package var subjectPrefix = "scheduler"
    /// The lease: 5 s on one server, 20 s where the bucket is replicated; at least 2 s.
    package var lease = Duration.seconds(5)
    package var streamReplicas = 1
    package var historyRetentionDays = 30
    package var auditRetentionDays = 365

    /// How often due timers are looked for. A hint comes sooner.
    package var tick = Duration.milliseconds(100)
    /// Occurrences in one claim, and executions in one record.
    package var batch = 1000
    /// Claimed and not yet terminal, or terminal and not yet told: beyond it claims stop, and the instance is not ready.
    package var mostInFlight = 200_000
    /// A stream acknowledgement is awaited this long; then the publish is tried again.
    package var acknowledgementTimeout = Duration.seconds(5)
    /// The catch-up rates of a cluster, a second (semantics.md §3).
    package var misfiredPerSecond = 100.0
    package var latePerSecond = 2000.0

    package var nats: NATSConfiguration
    package var postgres: PostgresConfiguration

    package init(nats: NATSConfiguration, postgres: PostgresConfiguration) {
        self.nats = nats
        self.postgres = postgres
    }

    package var names: SubjectNames { SubjectNames(prefix: subjectPrefix) }
}

/// The subjects, streams and bucket that follow the prefix (contract.md §1).
package struct SubjectNames: Hashable, Sendable {
    package let prefix: String

    package init(prefix: String) { self.prefix = prefix }

    /// The CloudEvents attribute `source`.
    package var source: String { "/carillon/\(prefix)" }

    private var upperPrefix: String { prefix.uppercased() }

    package var eventsStream: String { "\(upperPrefix)_EVENTS" }
    package var deadLetterStream: String { "\(upperPrefix)_DLQ" }
    package var commandsStream: String { "\(upperPrefix)_COMMANDS" }
    package var lockBucket: String { "\(upperPrefix)_LOCKS" }
    package var commands: String { "\(prefix).cmd.>" }
    /// Durable commands.
    package var submitted: String { "\(prefix).submit.>" }
    /// Workers' reports on tracked executions, but for heartbeats: what is kept of them while no scheduler runs.
    package var reports: [String] { ["started", "succeeded", "failed"].map { "\(prefix).run.*.*.\($0)" } }
    /// All reports, as a consumer of the commands stream asks for them.
    package var anyReport: String { "\(prefix).run.>" }
    package var heartbeats: String { "\(prefix).run.*.*.heartbeat" }
    /// The consumer of reports: one for all instances.
    package static let reportConsumer = "carillon-reports"
    package var administration: String { "\(prefix).admin.>" }
    package var deadLetters: String { "\(prefix).dlq.>" }
    package var events: String { "\(prefix).evt.>" }
    /// Where a command that made something due soon tells all instances to look.
    package var hint: String { "\(prefix).sys.hint" }

    /// Where an instance takes recalls.
    package func recall(of instance: InstanceID) -> String { "\(prefix).sys.member.\(instance).recall" }
}
