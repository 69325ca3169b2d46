import JSONText
import LocalServers
import Logging
import NATSClient
import SchedulerCore
import ServiceFixture
import Telemetry
import Testing

@testable import carillon

/// What is logged: by what a command is found again, and never a secret.
@Suite struct SecretsTests {
    /// Each secret is a word that stands nowhere else.
    private enum Word {
        static let password = "word-of-nats"
        static let wrongPassword = "word-that-is-wrong"
        static let database = "word-of-postgres"
        static let payload = "word-in-a-payload"
        static let header = "word-in-a-header"
        static let collector = "word-of-the-collector"
        static let all = [password, wrongPassword, database, payload, header, collector]
    }

    private func options(_ fixtureLevel: String) -> ServiceFixture.Options {
        var options = ServiceFixture.Options()
        options.natsConfiguration = #"authorization { user: u, password: "\#(Word.password)" }"#
        options.identify = { $0.authentication = .user("u", password: Word.password) }
        options.environment = [
            "NATS_USER": "u", "NATS_PASSWORD": Word.password, "LOG_LEVEL": fixtureLevel,
            // Nobody listens there.
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=\(Word.collector)",
        ]
        return options
    }

    /// All that an instance says at its most talkative, while commands come, servers go and secrets are wrong.
    @Test(.timeLimit(.minutes(1))) func noLineHoldsASecret() async throws {
        let fixture = try await ServiceFixture.start(options("trace"))
        try await fixture.makeStream()
        let url = await fixture.postgres.url(database: "carillon")
            .replacing("postgres@", with: "postgres:\(Word.database)@", maxReplacements: 1)
        try #require(url.contains(Word.database))
        let instance = try await fixture.startInstance(environment: ["DATABASE_URL": url])
        let stranger = try await fixture.startInstance(
            "stranger", environment: ["DATABASE_URL": url, "NATS_PASSWORD": Word.wrongPassword], waits: false)
        let fired = try FiredMessages("demo.js.secret", on: fixture.client)
        var headers = NATSHeaders()
        try headers.append("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        let definition = """
            {"name":"kept","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.secret",\
            "command_payload":{"key":"\(Word.payload)"},"command_headers":{"X-Key":"\(Word.header)"}}
            """
        for (command, body) in [
            ("schedule.create", definition), ("schedule.create", definition),
            ("schedule.trigger", #"{"name":"kept","request_id":"asked-once","payload":"\#(Word.payload)"}"#),
        ] {
            _ = try await fixture.client.request(
                try Subject("scheduler.cmd.test.\(command)"), headers: headers, payload: Array(body.utf8),
                timeout: .seconds(5))
        }
        #expect(await waitUntil(.seconds(10)) { fired.count == 1 })
        #expect(await waitUntil(.seconds(15)) { stranger.logTail.contains("Authorization Violation") })
        try await fixture.postgres.restart()
        try await fixture.nats.restart()
        try await fixture.waitUntilReady(instance)
        for event in try await fixture.messages(of: "SCHEDULER_EVENTS") {
            let text = String(decoding: event.payload, as: UTF8.self)
            for word in Word.all { #expect(!text.contains(word), "\(text)") }
        }
        #expect(await stranger.stop())
        #expect(await instance.stop())
        for path in [instance.logPath, stranger.logPath] {
            let lines = Filesystem.tail(path, bytes: 1 << 22).split(separator: "\n")
            #expect(lines.count >= 2)
            for word in Word.all { #expect(!lines.contains { $0.contains(word) }, "\(word)") }
        }
        #expect(Filesystem.tail(instance.logPath, bytes: 1 << 22).contains("the collector takes no spans"))
        try expectCorrelation(in: Filesystem.tail(instance.logPath, bytes: 1 << 22))
        await fixture.stop()
    }

    /// A trigger's line names the request, the execution and the trace.
    private func expectCorrelation(in log: String) throws {
        let lines = log.split(separator: "\n").compactMap { try? JSONValue.parse(String($0)) }
        let asked = try #require(lines.first { $0["execution_id"] != nil && $0["request_id"] != nil }, "\(log)")
        #expect(asked["request_id"]?.string == "asked-once")
        #expect(asked["trace_id"]?.string == "4bf92f3577b34da6a3ce929d0e0e4736")
        let answered = lines.filter { $0["command"]?.string == "schedule.create" }
        #expect(answered.map { $0["code"]?.string } == ["200", "409"])
        #expect(answered.allSatisfy { $0["trace_id"]?.string == "4bf92f3577b34da6a3ce929d0e0e4736" })
    }
}
