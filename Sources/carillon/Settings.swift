import Glibc
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerWire

/// The settings of contract.md §6, read from the environment. A wrong one is a line; all wrong ones are told together.
struct Settings: Sendable {
    var natsURL = "nats://127.0.0.1:4222"
    var natsCredentials: String?
    var natsUser: String?
    var natsPassword: String?
    var natsToken: String?
    var natsTLS: NATSConfiguration.TLS?
    var databaseURL: String?
    var serviceName = "carillon"
    var subjectPrefix = "scheduler"
    var targetsFile: String?
    var logLevel = "info"
    var leaseSeconds: Double?
    var streamReplicas = 1
    var mostSchedules: Int64 = 1000
    var historyRetentionDays = 30
    var auditRetentionDays = 365
    /// Executions that one instance holds at most, from claim to acknowledged event; beyond it claims stop.
    var mostInFlight: Int?
    var defaults = DefinitionDefaults()

    /// What is wrong with the settings, a line each.
    struct Problems: Error, CustomStringConvertible {
        let lines: [String]
        var description: String { lines.joined(separator: "\n") }
    }

    init(environment: [String: String]) throws(Problems) {
        var reader = SettingsReader(environment)
        reader.read("NATS_URL", &natsURL)
        natsCredentials = reader.text("NATS_CREDS")
        natsUser = reader.text("NATS_USER")
        natsPassword = reader.text("NATS_PASSWORD")
        natsToken = reader.text("NATS_TOKEN")
        let authorities = reader.text("NATS_TLS_CA")
        let certificate = reader.text("NATS_TLS_CERT")
        let key = reader.text("NATS_TLS_KEY")
        if authorities != nil || certificate != nil || key != nil {
            natsTLS = NATSConfiguration.TLS(authorities: authorities, certificate: certificate, key: key)
        }
        databaseURL = reader.text("DATABASE_URL")
        reader.read("SERVICE_NAME", &serviceName)
        reader.read("SUBJECT_PREFIX", &subjectPrefix) { text in
            let isFine = (1...32).contains(text.utf8.count) && text.utf8.allSatisfy(Self.isPrefixByte)
            return isFine ? nil : "expected one token [a-z0-9_-]{1,32}"
        }
        targetsFile = reader.text("TARGETS_FILE")
        reader.read("LOG_LEVEL", &logLevel)
        leaseSeconds = reader.number("LOCK_TIMEOUT_SECONDS", in: 2...3600)
        streamReplicas = Int(reader.integer("STREAM_REPLICAS", in: 1...5) ?? 1)
        mostSchedules = reader.integer("MAX_SCHEDULES_PER_CREATOR", in: 0...Int64.max) ?? mostSchedules
        historyRetentionDays = Int(reader.integer("HISTORY_RETENTION_DAYS", in: 1...3650) ?? 30)
        auditRetentionDays = Int(reader.integer("AUDIT_RETENTION_DAYS", in: 1...36500) ?? 365)
        mostInFlight = reader.integer("MAX_EXECUTIONS_IN_FLIGHT", in: 1...10_000_000).map { Int($0) }
        reader.read("SCHEDULER_TIMEZONE", &defaults.timezone)
        if let grace = reader.number("SCHEDULER_MISFIRE_GRACE_TIME", in: 0...31_622_400) {
            defaults.misfireGraceMilliseconds = Int64(grace * 1000)
        }
        defaults.mostInFlight = Int32(reader.integer("SCHEDULER_MAX_INSTANCES", in: 1...1_000_000) ?? 3)
        defaults.mostLookaheadDays = reader.integer("MAX_SCHEDULE_LOOKAHEAD_DAYS", in: 1...36500) ?? 365
        defaults.maxRetries = Int32(reader.integer("DEFAULT_MAX_RETRIES", in: 0...1000) ?? 3)
        defaults.retryDelaySeconds = reader.number("DEFAULT_RETRY_DELAY", in: 0...31_622_400) ?? 300
        if !reader.problems.isEmpty { throw Problems(lines: reader.problems) }
    }

    private static func isPrefixByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    /// The lease: as set, else 5 s, or 20 s where the bucket is replicated.
    var lease: Duration { .milliseconds(Int64((leaseSeconds ?? (streamReplicas > 1 ? 20 : 5)) * 1000)) }

    func nats(name: String) -> NATSConfiguration {
        var configuration = NATSConfiguration(
            servers: natsURL.split(separator: ",").map(String.init), name: "\(serviceName) \(name)")
        if let natsCredentials {
            configuration.authentication = .credentials(file: natsCredentials)
        } else if let natsToken {
            configuration.authentication = .token(natsToken)
        } else if let natsUser {
            configuration.authentication = .user(natsUser, password: natsPassword ?? "")
        }
        configuration.tls = natsTLS
        configuration.inboxPrefix = "_INBOX.\(subjectPrefix)"
        return configuration
    }

    func engine() throws -> EngineConfiguration {
        var engine = EngineConfiguration(
            nats: nats(name: "engine"), postgres: try PostgresConfiguration(databaseURL))
        engine.instanceName = serviceName
        engine.subjectPrefix = subjectPrefix
        engine.lease = lease
        engine.streamReplicas = streamReplicas
        engine.historyRetentionDays = historyRetentionDays
        engine.auditRetentionDays = auditRetentionDays
        if let mostInFlight { engine.mostInFlight = mostInFlight }
        return engine
    }
}

/// Reads settings one by one and collects what is wrong.
private struct SettingsReader {
    private let environment: [String: String]
    private(set) var problems: [String] = []

    init(_ environment: [String: String]) { self.environment = environment }

    func text(_ name: String) -> String? {
        guard let text = environment[name], !text.isEmpty else { return nil }
        return text
    }

    mutating func read(_ name: String, _ value: inout String, check: (String) -> String? = { _ in nil }) {
        guard let text = text(name) else { return }
        if let problem = check(text) { problems.append("\(name): \(problem), got '\(text)'") } else { value = text }
    }

    mutating func integer(_ name: String, in range: ClosedRange<Int64>) -> Int64? {
        guard let text = text(name) else { return nil }
        guard let number = Int64(text), range.contains(number) else {
            problems.append(
                "\(name): expected a whole number from \(range.lowerBound) to \(range.upperBound), got '\(text)'")
            return nil
        }
        return number
    }

    mutating func number(_ name: String, in range: ClosedRange<Double>) -> Double? {
        guard let text = text(name) else { return nil }
        guard let number = Double(text), range.contains(number) else {
            problems.append(
                "\(name): expected a number from \(range.lowerBound) to \(range.upperBound), got '\(text)'")
            return nil
        }
        return number
    }
}
