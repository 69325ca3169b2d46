import LocalServers
import NATSClient
import TestSupport
import Testing

/// NKeys, and what becomes of a connection whose certificates and keys are renewed, run out or are taken away while it
/// stands.
@Suite(.serialized, .timeLimit(.minutes(1))) final class RotationTests {
    private let folder: String

    init() throws { folder = try Filesystem.makeTemporaryFolder() }

    deinit { Filesystem.remove(folder) }

    /// A connection that answers itself: what it asks goes out and comes in.
    private struct Echo {
        let connection: NATSConnection
        let subscription: NATSCallbackSubscription

        init(_ server: NATSServer, _ change: (inout NATSConfiguration) -> Void) async throws {
            let connection = try await server.connect(change)
            self.connection = connection
            subscription = try connection.subscribe(SubjectFilter("echo")) { message in
                guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)) else { return }
                _ = try? connection.publish(reply, payload: message.payload)
            }
        }

        /// Within ten seconds.
        func answers() async -> Bool {
            await waitUntil(.seconds(10)) {
                guard let subject = try? Subject("echo"),
                    let reply = try? await connection.request(subject, payload: [7], timeout: .milliseconds(500))
                else { return false }
                return reply.payload == [7]
            }
        }

        var fault: String? { connection.fault }

        func close() async {
            subscription.cancel()
            await connection.close()
        }
    }

    // MARK: NKeys

    @Test func anNKeyIsItsSeedOrAFileThatHasIt() async throws {
        let identities = try await NATSIdentities(in: folder)
        let server = try await NATSServer.running(configuration: identities.nkeyConfiguration)
        defer { withExtendedLifetime(server) {} }
        let text = try #require(identities.seed(in: identities.nkey))
        let seed = try #require(NKeySeed(text))
        #expect(identities.nkeyConfiguration.contains(seed.publicKey))
        for authentication in [NATSConfiguration.Authentication.nkey(seed), .nkeyFile(identities.nkey)] {
            let echo = try await Echo(server) { $0.authentication = authentication }
            #expect(await echo.answers())
            // libnats asks for a signature each time it comes back.
            await server.stop()
            try await server.start()
            #expect(await echo.answers())
            await echo.close()
        }
    }

    @Test func whatIsNoUsersSeedIsNone() async throws {
        let identities = try await NATSIdentities(in: folder)
        let seed = try #require(identities.seed(in: identities.nkey))
        // Of the last one's five bits the first three count: "A" and "B" would say the same.
        let last: Character = seed.last == "A" ? "E" : "A"
        #expect(NKeySeed(String(seed.dropLast()) + String(last)) == nil)
        #expect(NKeySeed(seed.lowercased()) == nil)
        #expect(NKeySeed(String(seed.dropLast())) == nil)
        #expect(NKeySeed(try #require(identities.seed(in: identities.accountKey))) == nil)
        #expect(NKeySeed(file: identities.accountKey) == nil)
        #expect(NKeySeed(file: folder + "/nowhere") == nil)
        // A credentials file has one too.
        #expect(NKeySeed(file: identities.known)?.publicKey.hasPrefix("U") == true)
    }

    @Test func aSeedIsNeverShown() async throws {
        let identities = try await NATSIdentities(in: folder)
        let text = try #require(identities.seed(in: identities.nkey))
        let seed = try #require(NKeySeed(text))
        var configuration = NATSConfiguration(servers: ["nats://127.0.0.1:1"], name: "test")
        configuration.authentication = .nkey(seed)
        var dumped = ""
        dump(configuration, to: &dumped)
        dumped += "\(configuration) \(seed) " + String(reflecting: configuration) + String(reflecting: seed)
        #expect(!dumped.contains(text))
        let error = await #expect(throws: NATSError.self) {
            try await NATSConnection.connect(configuration, within: .milliseconds(100))
        }
        #expect(error.map { !"\($0)".contains(text) } == true)
    }

    // MARK: Certificates

    /// Authority, server and client renewed: the old files let nobody in any more.
    @Test func aReconnectTakesTheFilesAsTheyAreThen() async throws {
        let certificates = try await TestCertificates(in: folder)
        let next = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(next) }
        let renewed = try await TestCertificates(in: next)
        let server = try await NATSServer.running(configuration: certificates.serverBlock(verifies: true))
        let client = certificates.client
        let echo = try await Echo(server) {
            $0.tls = .init(authorities: certificates.authority, certificate: client.certificate, key: client.key)
        }
        #expect(await echo.answers())
        await server.stop()
        try await certificates.renew(from: renewed)
        try await server.start()
        #expect(await echo.answers(), "\(echo.fault ?? "connected")")
        #expect(echo.connection.counters.rebuilds >= 1)
        await echo.close()
    }

    @Test func anExpiredCertificateIsRefusedInWords() async throws {
        let certificates = try await TestCertificates(in: folder)
        let server = try await NATSServer.running(configuration: certificates.serverBlock(name: "expired"))
        defer { withExtendedLifetime(server) {} }
        var configuration = NATSConfiguration(servers: [await server.url], name: "test")
        configuration.tls = .init(authorities: certificates.authority)
        let error = await #expect(throws: NATSError.self) {
            try await NATSConnection.connect(configuration, within: .milliseconds(500))
        }
        #expect(error?.code == .notTrusted)
        #expect(error?.message.contains("certificate has expired") == true, "\(error?.message ?? "")")
    }

    /// It says why, and goes on once the certificate is renewed.
    @Test func aServersCertificateThatRunsOutIsToldWhileThereIsNoConnection() async throws {
        let certificates = try await TestCertificates(in: folder)
        let server = try await NATSServer.running(configuration: certificates.serverBlock())
        let echo = try await Echo(server) { $0.tls = .init(authorities: certificates.authority) }
        #expect(echo.fault == nil)
        await server.stop()
        await server.reconfigure(certificates.serverBlock(name: "expired"))
        try await server.start()
        let isTold = await waitUntil(.seconds(10)) { echo.fault?.contains("certificate has expired") == true }
        #expect(isTold, "\(echo.fault ?? "connected")")
        try await server.reload(configuration: certificates.serverBlock())
        #expect(await echo.answers(), "\(echo.fault ?? "connected")")
        #expect(echo.fault == nil)
        await echo.close()
    }

    // MARK: Revoked

    @Test func whoIsShutOutWhileConnectedSaysSoAndComesBack() async throws {
        let allowed = #"authorization { users: [ { user: u, password: "right-one" } ] }"#
        let server = try await NATSServer.running(configuration: allowed)
        let echo = try await Echo(server) { $0.authentication = .user("u", password: "right-one") }
        let events = echo.connection.eventStream()
        try await server.reload(
            configuration: #"authorization { users: [ { user: u, password: "another-one" } ] }"#)
        let isTold = await waitUntil(.seconds(10)) {
            echo.fault?.contains("Authorization Violation") == true
        }
        #expect(isTold, "\(echo.fault ?? "connected")")
        try await server.reload(configuration: allowed)
        #expect(await echo.answers(), "\(echo.fault ?? "connected")")
        #expect(echo.fault == nil)
        await echo.close()
        var told: [ConnectionEvent] = []
        for await event in events { told.append(event) }
        #expect(told.contains { "\($0)".contains("Authorization Violation") })
        #expect(!told.contains { "\($0)".contains("right-one") })
    }
}
