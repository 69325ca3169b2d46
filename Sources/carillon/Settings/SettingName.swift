/// The settings by their names in the environment and the file (contract.md §6), in the order of the documentation.
enum SettingName: String, CaseIterable, Sendable {
    case natsURL = "NATS_URL"
    case natsCredentials = "NATS_CREDS"
    case natsUser = "NATS_USER"
    case natsPassword = "NATS_PASSWORD"
    case natsToken = "NATS_TOKEN"
    case natsAuthorities = "NATS_TLS_CA"
    case natsCertificate = "NATS_TLS_CERT"
    case natsKey = "NATS_TLS_KEY"
    case databaseURL = "DATABASE_URL"
    case serviceName = "SERVICE_NAME"
    case subjectPrefix = "SUBJECT_PREFIX"
    case targetsFile = "TARGETS_FILE"
    case logLevel = "LOG_LEVEL"
    case logFormat = "LOG_FORMAT"
    case timezone = "SCHEDULER_TIMEZONE"
    case misfireGrace = "SCHEDULER_MISFIRE_GRACE_TIME"
    case mostInFlight = "SCHEDULER_MAX_INSTANCES"
    case lease = "LOCK_TIMEOUT_SECONDS"
    case streamReplicas = "STREAM_REPLICAS"
    case lookaheadDays = "MAX_SCHEDULE_LOOKAHEAD_DAYS"
    case maxRetries = "DEFAULT_MAX_RETRIES"
    case retryDelay = "DEFAULT_RETRY_DELAY"
    case mostSchedules = "MAX_SCHEDULES_PER_CREATOR"
    case historyRetention = "HISTORY_RETENTION_DAYS"
    case auditRetention = "AUDIT_RETENTION_DAYS"
    case executionsInFlight = "MAX_EXECUTIONS_IN_FLIGHT"
    case misfiredPerSecond = "CATCHUP_MISFIRED_PER_SECOND"
    case latePerSecond = "CATCHUP_LATE_PER_SECOND"

    /// Names of the contract that a later version takes. Ignoring one that chooses a server or an identity would be
    /// worse than refusing it.
    static let comingLater = ["NATS_NKEY_SEED", "NATS_CONTEXT"]

    /// Never shown.
    var isSecret: Bool { self == .natsPassword || self == .natsToken }
}
