import JSONText
import LocalServers
import NATSClient
import ServiceFixture

/// A system of two instances for the suites about rules that change while it runs: started at its first use, ended with
/// the process.
struct RuleSystem {
    let fixture: ServiceFixture
    let instances: [ServiceInstance]

    static func targets(_ further: String) -> String {
        """
        targets:
          - namespace: "*"
            subject: demo.>
            delivery: [jetstream, core]
          - namespace: filed
            subject: \(further)
            delivery: [core]
        """
    }

    private static let starting = Task { () async throws -> RuleSystem in
        var options = ServiceFixture.Options()
        options.targets = targets("filed.a")
        options.environment["SCHEDULER_MAX_INSTANCES"] = "5"
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        return RuleSystem(
            fixture: fixture,
            instances: [try await fixture.startInstance("one"), try await fixture.startInstance("two")])
    }

    static var running: RuleSystem { get async throws { try await starting.value } }
}

extension ServiceFixture {
    /// Sends an administrator's command. - Returns: the reply, whether a success or an error.
    func ask(_ command: String, _ body: String) async throws -> JSONValue {
        let reply = try await client.request(
            try Subject("scheduler.admin.\(command)"), payload: Array(body.utf8), timeout: .seconds(5))
        return try JSONValue.parse(reply.payload)
    }

    /// Sends an administrator's command that must succeed.
    @discardableResult
    func administer(_ command: String, _ body: String) async throws -> JSONValue {
        let reply = try await ask(command, body)
        if let error = reply["error"] {
            throw FixtureError(description: "\(command) \(body): \(String(decoding: error.bytes, as: UTF8.self))")
        }
        return reply
    }

    /// Sends one command so often that each of two instances has answered it. - Returns: the different `err_code`s, 0 for
    /// success.
    func everywhere(_ command: String, _ body: String, in namespace: String) async throws -> Set<Int64> {
        var codes: Set<Int64> = []
        for _ in 0..<12 {
            codes.insert(try await self.command(command, body, namespace: namespace)["error"]?["err_code"]?.int64 ?? 0)
        }
        return codes
    }

    func count(of state: String, in namespace: String) async throws -> Int64 {
        try await count(
            "SELECT count(*) FROM scheduler.schedules WHERE namespace = '\(namespace)' AND state = '\(state)'")
    }
}
