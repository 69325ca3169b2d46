import LocalServers
import NATSClient
import TestSupport
import Testing

/// Who a connection is, and whom it trusts, on real servers. What is refused is told in words that help, and never with
/// a secret in them.
@Suite(.serialized, .timeLimit(.minutes(1))) final class IdentityTests {
    private let folder: String

    init() throws { folder = try Filesystem.makeTemporaryFolder() }

    deinit { Filesystem.remove(folder) }

    /// Connects, and asks itself something: reads and writes pass.
    private func talks(_ server: NATSServer, _ change: (inout NATSConfiguration) -> Void) async throws {
        let connection = try await server.connect(change)
        let echo = try connection.subscribe(SubjectFilter("echo")) { message in
            guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)) else { return }
            _ = try? connection.publish(reply, payload: message.payload)
        }
        let reply = try await connection.request(Subject("echo"), payload: [1, 2, 3], timeout: .seconds(5))
        #expect(reply.payload == [1, 2, 3])
        echo.cancel()
        await connection.close()
    }

    /// What a connection says that is refused.
    private func refusal(
        _ server: NATSServer, _ change: (inout NATSConfiguration) -> Void
    ) async throws -> (code: NATSError.Code, text: String) {
        var configuration = NATSConfiguration(servers: [await server.url], name: "test")
        change(&configuration)
        do {
            let connection = try await NATSConnection.connect(configuration, within: .milliseconds(500))
            await connection.close()
            throw TestSupportError(description: "expected a refusal, was let in")
        } catch let error as NATSError {
            return (error.code, error.description)
        }
    }

    // MARK: TLS

    @Test func theAuthorityOfTheServersCertificateIsTrusted() async throws {
        let certificates = try await TestCertificates(in: folder)
        let server = try await NATSServer.running(configuration: certificates.serverBlock())
        defer { withExtendedLifetime(server) {} }
        try await talks(server) { $0.tls = .init(authorities: certificates.authority) }
        let other = try await refusal(server) { $0.tls = .init(authorities: certificates.otherAuthority) }
        #expect(other.code == .notTrusted)
        #expect(other.text.contains("unable to get local issuer certificate"), "\(other.text)")
        // Without a file of its own the machine's authorities count, and ours is none of them.
        let machine = try await refusal(server) { $0.tls = .init() }
        #expect(machine.code == .notTrusted, "\(machine.text)")
    }

    @Test func aCertificateForAnotherHostIsRefused() async throws {
        let certificates = try await TestCertificates(in: folder)
        let server = try await NATSServer.running(configuration: certificates.serverBlock(name: "elsewhere"))
        defer { withExtendedLifetime(server) {} }
        let other = try await refusal(server) { $0.tls = .init(authorities: certificates.authority) }
        #expect(other.code == .notTrusted)
        #expect(other.text.contains("mismatch"), "\(other.text)")
        try await talks(server) {
            $0.tls = .init(authorities: certificates.authority, expectedHostName: "elsewhere.example")
        }
    }

    @Test func aConnectionThatWantsTLSGetsItOrNone() async throws {
        let certificates = try await TestCertificates(in: folder)
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let plain = try await refusal(server) { $0.tls = .init(authorities: certificates.authority) }
        #expect(plain.code == .notTrusted)
        #expect(plain.text.contains("Secure Connection not available"), "\(plain.text)")
    }

    @Test func aServerThatWantsACertificateIsShownOne() async throws {
        let certificates = try await TestCertificates(in: folder)
        let server = try await NATSServer.running(configuration: certificates.serverBlock(verifies: true))
        defer { withExtendedLifetime(server) {} }
        let client = certificates.client
        try await talks(server) {
            $0.tls = .init(authorities: certificates.authority, certificate: client.certificate, key: client.key)
        }
        let without = try await refusal(server) { $0.tls = .init(authorities: certificates.authority) }
        #expect(without.text.contains("client certificate"), "\(without.text)")
    }

    @Test(arguments: ["ca.pem", "client.pem", "client.key"])
    func aFileThatIsNoCertificateIsToldAtOnce(_ name: String) async throws {
        let certificates = try await TestCertificates(in: folder)
        try Filesystem.write("no certificate", to: folder + "/" + name)
        let client = certificates.client
        let code = await errorCode {
            var configuration = NATSConfiguration(servers: ["nats://127.0.0.1:1"], name: "test")
            configuration.tls = .init(
                authorities: certificates.authority, certificate: client.certificate, key: client.key)
            return try await NATSConnection.connect(configuration)
        }
        #expect(code == .invalidConfiguration)
    }

    // MARK: Users

    @Test func credentialsOpenTheirAccount() async throws {
        let identities = try await NATSIdentities(in: folder)
        let server = try await NATSServer.running(configuration: identities.configuration)
        defer { withExtendedLifetime(server) {} }
        try await talks(server) { $0.authentication = .credentials(file: identities.known) }
        let stranger = try await refusal(server) { $0.authentication = .credentials(file: identities.stranger) }
        #expect(stranger.code == .notAuthorized)
        #expect(stranger.text.contains("Authorization Violation"), "\(stranger.text)")
        let seed = try #require(identities.seed(in: identities.stranger))
        #expect(!stranger.text.contains(seed))
        let nobody = try await refusal(server) { _ in }
        #expect(nobody.code == .notAuthorized, "\(nobody.text)")
    }

    /// A file that is no credentials file, though it was there when the settings were read.
    @Test(arguments: ["", "SUANXWNSUPKJCQJSUJVIB4S27CRJYENGMZ3DBJZFDWWEZQZKCJPXKK3K5Y"])
    func aCredentialsFileWithoutAnIdentityIsTold(_ content: String) async throws {
        let identities = try await NATSIdentities(in: folder)
        let server = try await NATSServer.running(configuration: identities.configuration)
        defer { withExtendedLifetime(server) {} }
        try Filesystem.write(content, to: folder + "/broken.creds")
        let broken = try await refusal(server) { $0.authentication = .credentials(file: folder + "/broken.creds") }
        #expect(content.isEmpty || !broken.text.contains(content))
        #expect(broken.text.contains("credentials"), "\(broken.text)")
    }

    struct Word: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let configuration: String
        let authentication: @Sendable (_ secret: String) -> NATSConfiguration.Authentication
        /// What stands before the host in a URL.
        let user: @Sendable (_ secret: String) -> String
    }

    static let words = [
        Word(
            testDescription: "password", configuration: #"authorization { user: u, password: "right-one" }"#,
            authentication: { .user("u", password: $0) }, user: { "u:\($0)" }),
        Word(
            testDescription: "token", configuration: #"authorization { token: "right-one" }"#,
            authentication: { .token($0) }, user: { $0 }),
    ]

    @Test(arguments: words) func theRightWordOpensAndAWrongOneIsNeverShown(_ word: Word) async throws {
        let server = try await NATSServer.running(configuration: word.configuration)
        defer { withExtendedLifetime(server) {} }
        let port = await server.port
        for isInURL in [false, true] {
            let identify = { (secret: String, configuration: inout NATSConfiguration) in
                if isInURL {
                    configuration.servers = ["nats://\(word.user(secret))@127.0.0.1:\(port)"]
                } else {
                    configuration.authentication = word.authentication(secret)
                }
            }
            try await talks(server) { identify("right-one", &$0) }
            let wrong = try await refusal(server) { identify("wrong-one", &$0) }
            #expect(wrong.code == .notAuthorized)
            #expect(wrong.text.contains("Authorization Violation"), "\(wrong.text)")
            #expect(!wrong.text.contains("wrong-one"), "\(wrong.text)")
        }
    }
}
