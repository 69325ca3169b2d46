import LocalServers
package import PostgresClient

/// A running PostgreSQL of a test's own, and how to reach it. Not durable.
package struct LocalPostgres: Sendable {
    private let server: PostgresServer
    package let port: UInt16
    /// The folder of its Unix socket.
    package let socketFolder: String

    /// One server for all tests of the process that do it no harm.
    package static let shared = Task { try await LocalPostgres.start() }

    package static func start() async throws -> LocalPostgres {
        let settings = ["max_connections=300", "shared_buffers=64MB", "deadlock_timeout=100ms"]
        let server = try PostgresServer(fsync: false, settings: settings)
        try await server.start()
        return LocalPostgres(server: server, port: await server.port, socketFolder: server.socketFolder ?? "127.0.0.1")
    }

    /// The process id of the postmaster; nil while it is stopped.
    package var pid: Int32? { get async { await server.pid } }

    /// Through the socket (the default) or TCP.
    package func configuration(tcp: Bool = false, port: UInt16? = nil) throws -> PostgresConfiguration {
        let host = tcp ? "127.0.0.1" : socketFolder
        var configuration = try PostgresConfiguration(
            "host=\(host) port=\(port ?? self.port) user=postgres dbname=postgres sslmode=disable")
        configuration.searchPath = "public"
        return configuration
    }

    package func stop() async { await server.stop() }

    /// As a crash would.
    package func kill() async { await server.kill() }

    /// Starts it after a stop, on the same port and data.
    package func start() async throws { try await server.start() }

    /// Stops it and deletes its data.
    package func remove() async { await server.remove() }
}
