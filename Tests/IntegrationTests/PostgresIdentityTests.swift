import Glibc
import LocalServers
import PostgresClient
import TestSupport
import Testing

extension Integration {
    /// Whom a connection to PostgreSQL trusts, and who it is there: `sslmode=verify-full` and client certificates.
    @Suite("PostgreSQL by certificates", .serialized, .timeLimit(.minutes(1))) struct PostgresIdentityTests {
        /// A server that takes the user `client` with a certificate alone; the superuser, for the test itself, without.
        private struct Guarded {
            let server: PostgresServer
            let certificates: TestCertificates
            /// The certificates' folder, and the server's own files.
            let folders: (String, String)

            static func start() async throws -> Guarded {
                let folders = (try Filesystem.makeTemporaryFolder(), try Filesystem.makeTemporaryFolder())
                let certificates = try await TestCertificates(in: folders.0)
                let files = folders.1
                chmod(files, 0o755)
                let rules = "host all postgres 127.0.0.1/32 trust\nhostssl all client 127.0.0.1/32 cert\n"
                try Filesystem.write(rules, to: files + "/hba.conf")
                chmod(files + "/hba.conf", 0o644)
                let server = try PostgresServer(
                    fsync: false,
                    settings: [
                        "ssl=on", "ssl_cert_file=\(files)/own.pem", "ssl_key_file=\(files)/own.key",
                        "ssl_ca_file=\(files)/ca.pem", "hba_file=\(files)/hba.conf",
                    ])
                let guarded = Guarded(server: server, certificates: certificates, folders: folders)
                try await guarded.install("server")
                try await server.start()
                return guarded
            }

            /// Gives the server its files as they are now; PostgreSQL wants its key to be its own and nobody else's. One
            /// that runs takes them up some time after the signal.
            func install(_ name: String) async throws {
                let own = certificates.server(name)
                let script = """
                    set -e; cd "$1"
                    [ "$(id -u)" != 0 ] || owner='-o postgres'
                    install $owner -m 644 "$2" own.pem; install $owner -m 600 "$3" own.key
                    install $owner -m 644 "$4" ca.pem
                    """
                let files = [folders.1, own.certificate, own.key, certificates.authority]
                try await Tool.run("sh", ["-c", script, "install"] + files, in: folders.0)
                if let pid = await server.pid { kill(pid, SIGHUP) }
            }

            func configuration(
                authority: String? = nil, host: String = "127.0.0.1", certificate: Bool = true
            ) async throws -> PostgresConfiguration {
                let client = certificates.client
                chmod(client.key, 0o600)
                let own = certificate ? "sslcert=\(client.certificate) sslkey=\(client.key)" : "sslcert=/nowhere/x"
                return try PostgresConfiguration(
                    """
                    host=\(host) hostaddr=127.0.0.1 port=\(await server.port) user=client dbname=postgres \
                    sslmode=verify-full sslrootcert=\(authority ?? certificates.authority) \(own)
                    """)
            }

            func remove() async {
                await server.remove()
                Filesystem.remove(folders.0)
                Filesystem.remove(folders.1)
            }
        }

        private static let who = Statement(
            "who", "SELECT current_user::text FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl", isReadOnly: true)

        private static func refusal(_ configuration: PostgresConfiguration) async throws -> PostgresError? {
            let connection = try PostgresConnection(configuration)
            var refusal: PostgresError?
            do { _ = try await connection.query(who) } catch { refusal = error }
            await connection.close()
            return refusal
        }

        @Test(
            "Authority, host and certificate are looked at, refusals say which; renewed files are taken at a reconnect")
        func certificates() async throws {
            let guarded = try await Guarded.start()
            let root = try PostgresConnection(PostgresConfiguration(await guarded.server.url() + "?sslmode=disable"))
            try await root.execute(script: "CREATE ROLE client LOGIN")
            let connection = try PostgresConnection(try await guarded.configuration(), reopens: true)
            #expect(try await connection.query(Self.who).first?.text(0) == "client")

            let other = try await Self.refusal(
                guarded.configuration(authority: guarded.certificates.otherAuthority))
            #expect(other?.message.contains("certificate verify failed") == true, "\(other?.message ?? "")")
            let elsewhere = try await Self.refusal(guarded.configuration(host: "db.example"))
            #expect(elsewhere?.message.contains("does not match host name") == true, "\(elsewhere?.message ?? "")")
            let without = try await Self.refusal(guarded.configuration(certificate: false))
            #expect(without?.code == .authenticationFailed, "\(without?.message ?? "")")

            try await guarded.install("expired")
            let isExpired = await waitUntil(.seconds(10)) {
                let refusal = try? await Self.refusal(guarded.configuration())
                return refusal?.message.contains("certificate verify failed") == true
            }
            #expect(isExpired)

            // Another authority, which signed server and client anew; the session goes on until somebody ends it.
            let next = try Filesystem.makeTemporaryFolder()
            try await guarded.certificates.renew(from: TestCertificates(in: next))
            try await guarded.install("server")
            try await root.execute(
                script: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'client'")
            let isBack = await waitUntil(.seconds(10)) {
                (try? await connection.query(Self.who).first?.text(0)) == "client"
            }
            #expect(isBack)
            for session in [connection, root] { await session.close() }
            Filesystem.remove(next)
            await guarded.remove()
        }
    }
}
