import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

/// The suites that look at one shared system, one after the other: a look at the whole ledger is nobody else's business.
@Suite("On real servers", .serialized) enum Integration {}

/// One system for the suites that need no servers of their own: started at its first use, ended with the process.
struct SharedSystem {
    let fixture: ServiceFixture
    let instance: ServiceInstance
    /// Where its spans go.
    let collector: SpanCollector

    private static let starting = Task { () async throws -> SharedSystem in
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let collector = try await SpanCollector.start()
        var environment = try HTTPFace.environment(fixture)
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
        let instance = try await fixture.startInstance(environment: environment)
        try await fixture.listen(fired: "demo.js.>")
        return SharedSystem(fixture: fixture, instance: instance, collector: collector)
    }

    static var running: SharedSystem { get async throws { try await starting.value } }
}

extension ServiceFixture {
    /// Sends a command that must succeed.
    @discardableResult
    func done(_ command: String, _ body: String, in namespace: String = "test") async throws -> JSONValue {
        let reply = try await self.command(command, body, namespace: namespace)
        if let error = reply["error"] {
            throw FixtureError(description: "\(command) \(body): \(String(decoding: error.bytes, as: UTF8.self))")
        }
        return reply
    }

    /// Sends a command that must fail, and checks the shape of its reply (contract.md §2).
    /// - Returns: the `err_code`, then each pointer: `10423 /nonsense`.
    func refused(
        _ command: String, _ body: [UInt8], in namespace: String = "test", subject: String? = nil
    ) async throws -> String {
        let reply = try await client.request(
            try Subject(subject ?? "scheduler.cmd.\(namespace).\(command)"), payload: body, timeout: .seconds(5))
        let text = try JSONValue.parse(reply.payload)
        guard let error = text["error"] else { return "no error: \(String(decoding: reply.payload, as: UTF8.self))" }
        let type = command.split(separator: ".").joined(separator: "_")
        #expect(text["type"]?.string == "io.carillon.v1.\(type)_response")
        #expect(error["description"]?.string?.isEmpty == false)
        let code = error["code"]?.int64 ?? 0
        #expect(reply.header("Nats-Service-Error-Code") == String(code) && (400..<600).contains(code))
        let line = reply.header("Nats-Service-Error") ?? ""
        #expect(!line.isEmpty && line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        let pointers = error.items("details").map { $0["pointer"]?.string ?? "?" }
        return ([String(error["err_code"]?.int64 ?? 0)] + pointers).joined(separator: " ")
    }

    func refused(_ command: String, _ body: String, in namespace: String = "test") async throws -> String {
        try await refused(command, Array(body.utf8), in: namespace)
    }

    /// Waits until a query says so.
    func waits(_ limit: Duration = .seconds(10), until sql: String, is expected: Int64) async -> Bool {
        await waitUntil(limit) { (try? await self.count(sql)) == expected }
    }

    /// The ledger of a schedule: one line for each row, oldest first.
    func ledger(of id: String) async throws -> [String] {
        try await rows(
            """
            SELECT state || coalesce(' ' || reason, '') || ' ' || trigger || ' ' || range_count
            FROM scheduler.executions WHERE schedule_id = '\(id)' ORDER BY id
            """
        ).map { $0[0] ?? "" }
    }

    /// The types of a schedule's events in their order, without the common beginning.
    func events(of id: String) async throws -> [String] {
        var told: [(sequence: String, type: String)] = []
        for message in try await eventMessages(of: id) {
            let event = try JSONValue.parse(message.payload)
            let tokens = (event["type"]?.string ?? "?").split(separator: ".")
            told.append((event["sequence"]?.string ?? "", "\(tokens[2]) \(tokens.last ?? "")"))
        }
        return told.sorted { $0.sequence < $1.sequence }.map(\.type)
    }
}

extension JSONValue {
    var id: String { self["schedule"]?["id"]?.string ?? "no id" }
    var schedule: JSONValue { self["schedule"] ?? self }

    /// The elements of an array member; none where it is missing.
    func items(_ name: String) -> [JSONValue] { self[name].map { Array($0.elements) } ?? [] }
}
