import Glibc
import Logging
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerWire
import Telemetry
import ZoneData

/// The settings of the service, read and checked. A wrong one is a line; all wrong ones are told together.
struct Settings: Sendable {
    var natsURL = "nats://127.0.0.1:4222"
    /// What the user named; what it stands for is in the other settings.
    var natsContext: String?
    var natsCredentials: String?
    var natsNKey: NKeySetting?
    var natsUser: String?
    var natsPassword: String?
    var natsToken: String?
    var natsTLS: NATSConfiguration.TLS?
    var natsInboxPrefix: String?
    /// Nil: libpq's `PG*` variables alone say where the database is.
    var databaseURL: String?
    var serviceName = "carillon"
    var subjectPrefix = "scheduler"
    var targetsFile: String?
    var httpHost = "127.0.0.1"
    /// Nil: HTTP is not served. 0: on a free port.
    var httpPort: Int? = 8008
    var tokensFile: String?
    var logLevel = Logger.Level.info
    var logFormat = LogFormat.json
    /// Nil: no spans are made.
    var collector: CollectorSetting?
    var leaseSeconds: Double
    var streamReplicas = 1
    var mostSchedules: Int64 = 1000
    var historyRetentionDays = 30
    var auditRetentionDays = 365
    /// Executions that one instance holds at most, from claim to acknowledged event; beyond it claims stop.
    var executionsInFlight = 200_000
    /// The catch-up rates of a cluster (semantics.md §3), a second: beyond the grace, and within it.
    var misfiredPerSecond: Int64 = 100
    var latePerSecond: Int64 = 2000
    var defaults = DefinitionDefaults()

    /// What is wrong with the settings, a line each.
    struct Problems: Error, CustomStringConvertible {
        let lines: [String]
        var description: String { lines.joined(separator: "\n") }
    }

    /// - Parameter values: by the names of ``SettingName``; others are not looked at.
    init(values: [String: String]) throws(Problems) {
        var reader = SettingsReader(values)
        streamReplicas = Int(reader.integer(.streamReplicas, in: 1...5, otherwise: 1))
        leaseSeconds = reader.seconds(.lease, in: 2...3600, otherwise: streamReplicas > 1 ? 20 : 5)
        readNATS(&reader)
        readDatabase(&reader)
        readService(&reader)
        readHTTP(&reader)
        readCollector(&reader)
        readDefaults(&reader)
        if !reader.problems.isEmpty { throw Problems(lines: reader.problems) }
    }

    private mutating func readDatabase(_ reader: inout SettingsReader) {
        databaseURL = reader.text(.databaseURL)
        // Says nothing of the text, which may hold a password.
        do { _ = try PostgresConfiguration(databaseURL) } catch { reader.report(.databaseURL, error.message) }
    }

    private mutating func readService(_ reader: inout SettingsReader) {
        reader.read(.serviceName, &serviceName) { text in
            (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
                ? nil : "1 to 128 printable characters"
        }
        reader.read(.subjectPrefix, &subjectPrefix) { text in
            (1...32).contains(text.utf8.count) && text.utf8.allSatisfy(Self.isPrefixByte)
                ? nil : "one token [a-z0-9_-]{1,32}"
        }
        targetsFile = reader.file(.targetsFile)
        logLevel = reader.choice(.logLevel, otherwise: .info)
        logFormat = reader.choice(.logFormat, otherwise: .json)
        mostSchedules = reader.integer(.mostSchedules, in: 0...Int64.max, otherwise: 1000)
        historyRetentionDays = Int(reader.integer(.historyRetention, in: 1...3650, otherwise: 30))
        auditRetentionDays = Int(reader.integer(.auditRetention, in: 1...36500, otherwise: 365))
        executionsInFlight = Int(reader.integer(.executionsInFlight, in: 1...10_000_000, otherwise: 200_000))
        misfiredPerSecond = reader.integer(.misfiredPerSecond, in: 1...1_000_000, otherwise: 100)
        latePerSecond = reader.integer(.latePerSecond, in: 1...1_000_000, otherwise: 2000)
    }

    private mutating func readDefaults(_ reader: inout SettingsReader) {
        let longest = 31_622_400.0
        let zones = ZoneDatabase()
        reader.read(.timezone, &defaults.timezone) { text in
            (try? zones.rules(for: text)) == nil ? "an IANA time zone such as Europe/Paris" : nil
        }
        let grace = reader.seconds(.misfireGrace, in: 0...longest, otherwise: 300)
        defaults.misfireGraceMilliseconds = Int64(grace * 1000)
        defaults.mostInFlight = Int32(reader.integer(.mostInFlight, in: 1...1_000_000, otherwise: 3))
        defaults.mostLookaheadDays = reader.integer(.lookaheadDays, in: 1...36500, otherwise: 365)
        defaults.maxRetries = Int32(reader.integer(.maxRetries, in: 0...1000, otherwise: 3))
        defaults.retryDelaySeconds = reader.seconds(.retryDelay, in: 0...longest, otherwise: 300)
    }

    private static func isPrefixByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
}

// MARK: - What the parts of the service take from them

extension Settings {
    func logger(label: String) -> Logger { logFormat.logger(label, level: logLevel, provider: Self.correlation) }

    /// By what a line is found that was logged for a command: its request's id, and the trace it belongs to.
    private static let correlation = Logger.MetadataProvider {
        let current = Correlation.current
        var members: Logger.Metadata = [:]
        if let requestID = current.requestID { members["request_id"] = "\(requestID)" }
        if let trace = current.trace { members["trace_id"] = "\(trace.traceID)" }
        return members
    }

    func engine() throws -> EngineConfiguration {
        var engine = EngineConfiguration(
            nats: nats(name: "engine"), postgres: try PostgresConfiguration(databaseURL))
        engine.instanceName = serviceName
        engine.subjectPrefix = subjectPrefix
        engine.lease = .milliseconds(Int64(leaseSeconds * 1000))
        engine.streamReplicas = streamReplicas
        engine.historyRetentionDays = historyRetentionDays
        engine.auditRetentionDays = auditRetentionDays
        engine.mostInFlight = executionsInFlight
        engine.misfiredPerSecond = Double(misfiredPerSecond)
        engine.latePerSecond = Double(latePerSecond)
        return engine
    }
}
