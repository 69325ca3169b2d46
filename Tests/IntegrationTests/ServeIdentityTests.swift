import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

/// An instance with each way to be let in by NATS: it becomes ready and fires. One with a wrong secret waits, says why,
/// and never says the secret.
@Suite(.serialized) final class ServeIdentityTests {
    private let folder: String

    init() throws { folder = try Filesystem.makeTemporaryFolder() }

    deinit { Filesystem.remove(folder) }

    private func run(
        _ options: ServiceFixture.Options, wrong: [String: String], says words: String, secrets: [String]
    ) async throws {
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let instance = try await fixture.startInstance()
        let fired = try FiredMessages("demo.js.identity", on: fixture.client)
        let reply = try await fixture.command(
            "schedule.create", #"{"schedule_type":"immediate","target_command":"demo.js.identity"}"#)
        #expect(reply["error"] == nil, "\(String(decoding: reply.bytes, as: UTF8.self))")
        #expect(await waitUntil(.seconds(10)) { fired.count == 1 })
        let stranger = try await fixture.startInstance("stranger", environment: wrong, waits: false)
        let isTold = await waitUntil(.seconds(15)) { stranger.logTail.contains(words) }
        let limits = Filesystem.tail("/proc/\(instance.process.pid)/limits").split(separator: "\n")
        let core = limits.first { $0.hasPrefix("Max core file size") }?.split(separator: " ").dropFirst(4).prefix(2)
        #expect(core?.allSatisfy { $0 == "1" || $0 == "0" } == true, "\(limits)")
        #expect(isTold, "\(stranger.logTail)")
        #expect(try await fixture.count("SELECT count(*) FROM scheduler.instances") == 1)
        #expect(await stranger.stop())
        #expect(await instance.stop())
        for log in [instance, stranger].map({ Filesystem.tail($0.logPath, bytes: 1 << 20) }) {
            #expect(log.contains("starting"))
            for secret in secrets { #expect(!log.contains(secret), "\(log)") }
        }
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(1))) func certificatesAndAPassword() async throws {
        let certificates = try await TestCertificates(in: folder)
        let client = certificates.client
        var options = ServiceFixture.Options()
        options.natsConfiguration =
            certificates.serverBlock(verifies: true) + "\n" + #"authorization { user: u, password: "right-one" }"#
        options.identify = {
            $0.authentication = .user("u", password: "right-one")
            $0.tls = .init(authorities: certificates.authority, certificate: client.certificate, key: client.key)
        }
        options.environment = [
            "NATS_USER": "u", "NATS_PASSWORD": "right-one", "NATS_TLS_CA": certificates.authority,
            "NATS_TLS_CERT": client.certificate, "NATS_TLS_KEY": client.key,
        ]
        try await run(
            options, wrong: ["NATS_TLS_CA": certificates.otherAuthority],
            says: "unable to get local issuer certificate",
            secrets: ["right-one"])
    }

    @Test(.timeLimit(.minutes(1))) func aToken() async throws {
        var options = ServiceFixture.Options()
        options.natsConfiguration = #"authorization { token: "right-one" }"#
        options.identify = { $0.authentication = .token("right-one") }
        options.environment = ["NATS_TOKEN": "right-one"]
        try await run(
            options, wrong: ["NATS_TOKEN": "wrong-one"], says: "Authorization Violation",
            secrets: ["right-one", "wrong-one"])
    }

    @Test(.timeLimit(.minutes(1))) func aCredentialsFile() async throws {
        let identities = try await NATSIdentities(in: folder)
        var options = ServiceFixture.Options()
        options.natsConfiguration = identities.configuration
        options.identify = { $0.authentication = .credentials(file: identities.known) }
        options.environment = ["NATS_CREDS": identities.known]
        try await run(
            options, wrong: ["NATS_CREDS": identities.stranger], says: "Authorization Violation",
            secrets: [identities.known, identities.stranger].compactMap { identities.seed(in: $0) })
    }
}
