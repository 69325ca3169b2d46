import Logging
import Migrations
import PostgresClient
import SchedulerStore

/// Refuses to start on a schema that this program cannot work with: one that is behind, changed, or newer in a way that
/// older programs do not stand (docs/upgrade.md).
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
        let newer = status.filter { $0.state == .newer }.map { "\($0.version) (\($0.name))" }
        if !newer.isEmpty {
            logger.notice(
                "the schema is newer than this program, and compatible with it",
                metadata: ["versions": "\(newer.joined(separator: ", "))"])
        }
    }

    /// Why a program cannot start on it; nil where it can.
    static func problem(_ migration: MigrationStatus) -> String? {
        let name = "schema version \(migration.version) (\(migration.name))"
        return switch migration.state {
        case .applied: nil
        case .pending: "\(name) is not applied: run 'carillon migrate up'"
        case .drifted: "\(name) was applied with another text than this program's: this is not its database"
        // What it says of itself decides: this program does not know it.
        case .newer where !migration.isBreaking: nil
        case .newer: "\(name) is newer than this program, which cannot work with it: run a newer carillon"
        }
    }
}
