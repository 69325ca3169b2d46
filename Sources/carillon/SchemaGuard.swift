import Logging
import Migrations
import PostgresClient
import SchedulerStore

/// Refuses to start on a schema that is not this program's: one that is behind, changed, or newer.
struct SchemaGuard: Sendable {
    let settings: Settings
    let logger: Logger

    /// Waits for PostgreSQL, then looks.
    func check(_ stop: StopRequest) async throws {
        let migrator = try Schema.migrator(PostgresConfiguration(settings.databaseURL))
        let wait = ServerWait(logger: logger, stop: stop)
        let status: [MigrationStatus]
        do {
            status = try await wait.until("PostgreSQL") {
                try await migrator.status()
            } retries: {
                ($0 as? MigrationError)?.underlying?.isConnectionLoss == true
            }
        } catch let error as MigrationError {
            throw CommandLineEnvironment.refusal(["DATABASE_URL: \(error.underlying.map { "\($0)" } ?? "\(error)")"])
        }
        let lines = status.compactMap { Self.problem($0) }
        if !lines.isEmpty { throw CommandLineEnvironment.refusal(lines) }
    }

    private static func problem(_ migration: MigrationStatus) -> String? {
        let name = "schema version \(migration.version) (\(migration.name))"
        return switch migration.state {
        case .applied: nil
        case .pending: "\(name) is not applied: run 'carillon migrate up'"
        case .drifted: "\(name) was applied with another text than this program's: this is not its database"
        case .newer: "\(name) is newer than this program: run a newer carillon"
        }
    }
}
