import ArgumentParser
import SchedulerHTTP
import SchedulerWire
import SpanExport
import Telemetry
import Testing

@testable import carillon

@Suite struct SettingsTests {
    @Test func withoutAnyTheyAreTheContractsDefaults() throws {
        let settings = try Settings(values: [:])
        #expect(settings.natsURL == "nats://127.0.0.1:4222")
        #expect(settings.subjectPrefix == "scheduler")
        #expect(settings.leaseSeconds == 5)
        #expect(settings.mostSchedules == 1000)
        #expect(settings.historyRetentionDays == 30)
        #expect(settings.auditRetentionDays == 365)
        #expect(settings.misfiredPerSecond == 100)
        #expect(settings.latePerSecond == 2000)
        #expect(settings.logFormat == .json)
        #expect(settings.defaults.misfireGraceMilliseconds == 300_000)
    }

    @Test("Without tokens only this machine is served")
    func aHostOfOthersNeedsTokens() throws {
        for host in ["127.0.0.1", "127.3.2.1", "::1", "localhost"] {
            #expect(try Settings(values: ["API_HOST": host]).httpHost == host)
        }
        let open = try Settings(values: ["API_HOST": "0.0.0.0", "API_TOKENS_FILE": "/dev/null", "API_PORT": "0"])
        #expect(open.httpHost == "0.0.0.0" && open.http(instance: "a")?.port == 0)
        #expect(try Settings(values: ["API_PORT": "off"]).http(instance: "a") == nil)
        #expect(try Settings(values: [:]).http(instance: "a")?.port == 8008)
    }

    @Test func spansGoWhereOneOfTheCollectorsVariablesSays() throws {
        let common = "OTEL_EXPORTER_OTLP_ENDPOINT"
        #expect(try Settings(values: [:]).collector == nil)
        #expect(try Settings(values: ["OTEL_EXPORTER_OTLP_HEADERS": "a=b"]).collector == nil)
        let plain = try #require(try Settings(values: [common: "http://otel:4318"]).collector)
        #expect(plain.endpoint.path == "/v1/traces" && plain.endpoint.authority == "otel:4318")
        let values = [common: "http://otel:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:1/in"]
        let traces = try #require(try Settings(values: values).collector)
        #expect(traces.endpoint.path == "/in" && traces.endpoint.authority == "traces:1")
    }

    @Test func aReplicatedBucketHasALongerLease() throws {
        #expect(try Settings(values: ["STREAM_REPLICAS": "3"]).leaseSeconds == 20)
        #expect(try Settings(values: ["STREAM_REPLICAS": "3", "LOCK_TIMEOUT_SECONDS": "7"]).leaseSeconds == 7)
    }

    @Test(arguments: [
        ("NATS_URL", "http://127.0.0.1"), ("NATS_URL", "nats://127.0.0.1:99999"), ("NATS_URL", "nats://a,,b"),
        ("NATS_URL", "nats://:4222"), ("NATS_CREDS", "/nowhere/x.creds"), ("NATS_TLS_CERT", "/dev/null"),
        ("NATS_PASSWORD", "s3cret"), ("NATS_CONTEXT", "prod"), ("NATS_NKEY_SEED", "SUAS3cret"),
        ("NATS_INBOX_PREFIX", "_INBOX.*"),
        ("DATABASE_URL", "mysql://u:s3cret@h/d"), ("SUBJECT_PREFIX", "a.b"), ("SUBJECT_PREFIX", "Upper"),
        ("SERVICE_NAME", "two\nlines"), ("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml"),
        ("SCHEDULER_TIMEZONE", "Mars/Olympus"), ("SCHEDULER_MISFIRE_GRACE_TIME", "-1"),
        ("SCHEDULER_MAX_INSTANCES", "0"), ("LOCK_TIMEOUT_SECONDS", "1"), ("STREAM_REPLICAS", "6"),
        ("MAX_SCHEDULE_LOOKAHEAD_DAYS", "0"), ("DEFAULT_MAX_RETRIES", "many"), ("DEFAULT_RETRY_DELAY", "nan"),
        ("MAX_SCHEDULES_PER_CREATOR", "-1"), ("HISTORY_RETENTION_DAYS", "0"), ("AUDIT_RETENTION_DAYS", "x"),
        ("API_PORT", "65536"), ("API_PORT", "none"), ("API_HOST", "0.0.0.0"), ("API_HOST", "example.com"),
        ("API_TOKENS_FILE", "/nowhere.yaml"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:s3cret@otel:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "otel:4318"), ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
        ("TARGETS_FILE", "/nowhere.yaml"), ("CATCHUP_MISFIRED_PER_SECOND", "0"), ("CATCHUP_LATE_PER_SECOND", "fast"),
    ]) func aWrongOneIsALineThatNamesItAndHidesSecrets(name: String, text: String) throws {
        let problems = #expect(throws: Settings.Problems.self) { try Settings(values: [name: text]) }
        let lines = try #require(problems?.lines)
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix(name == "NATS_TLS_CERT" ? "NATS_TLS_KEY: " : "\(name): ") == true)
        #expect(lines.first?.lowercased().contains("s3cret") == false)
    }

    @Test func allWrongOnesAreToldTogether() {
        let values = ["STREAM_REPLICAS": "x", "SUBJECT_PREFIX": "a.b", "LOG_FORMAT": "xml"]
        let problems = #expect(throws: Settings.Problems.self) { try Settings(values: values) }
        #expect(problems?.lines.count == 3)
    }

    @Test func whatIsShownHidesEverySecret() throws {
        let settings = try Settings(values: [
            "NATS_URL": "nats://user:s3cret@a:4222,tls://s3crettoken@b:4222", "NATS_USER": "u",
            "NATS_PASSWORD": "s3cret", "NATS_TOKEN": "s3cret", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret",
            "DATABASE_URL": "postgres://user:s3cret@h:5432/d?sslmode=disable",
        ])
        let shown = settings.shown.map { "\($0.name.rawValue)=\($0.text)" }.joined(separator: "\n")
        #expect(!shown.contains("s3cret"))
        #expect(!"\(settings)".contains("s3cret"))
        #expect(!String(reflecting: settings).contains("s3cret"))
        #expect(shown.contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://otel:4318\nOTEL_EXPORTER_OTLP_HEADERS=***"))
        #expect(shown.contains("NATS_URL=nats://user:***@a:4222,tls://***@b:4222"))
        #expect(shown.contains("DATABASE_URL=postgres://user:***@h:5432/d?sslmode=disable"))
    }

    @Test(arguments: [
        ("postgresql://u@h/d?password=x&sslmode=require", "postgresql://u@h/d?password=***&sslmode=require"),
        ("host=h password='a b' dbname=d", "host=h password=***"), ("host=h dbname=d", "host=h dbname=d"),
        ("postgres://u:p@ss@h/d", "postgres://u:***@h/d"),
    ]) func aConnectionStringLosesItsSecrets(text: String, shown: String) {
        #expect(Redaction.connectionString(text) == shown)
    }

    @Test func aFileGivesValuesAndTellsWhatIsWrongByItsLine() throws {
        let file = SettingsFile.read(
            "# ours\n\nNATS_URL = \"nats://a:1\"\nSERVICE_NAME='one'\r\nNO_SUCH=1\nnonsense\nSERVICE_NAME=two\n",
            path: "f.env")
        #expect(file.values == ["NATS_URL": "nats://a:1", "SERVICE_NAME": "one"])
        try #require(file.problems.count == 3)
        #expect(file.problems[0].hasPrefix("f.env:5: "))
        #expect(file.problems[1] == "f.env:6: expected NAME=value")
        #expect(file.problems[2].hasPrefix("f.env:7: "))
    }

    @Test func everyFlagIsASetting() throws {
        let names = SettingName.allCases.filter { !$0.isSecret }
        let arguments = names.flatMap { name in
            ["--" + name.rawValue.lowercased().replacing("_", with: "-"), "value of \(name.rawValue)"]
        }
        let values = try SettingsOptions.parse(arguments).values
        #expect(values.count == names.count)
        for name in names { #expect(values[name.rawValue] == "value of \(name.rawValue)") }
    }
}
