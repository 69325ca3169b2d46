import Migrations
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore

/// What the doctor's session asks PostgreSQL for at its start, as every session of the service does.
enum DoctorSession {
    static let searchPath = "pg_catalog, pg_temp"
    /// Milliseconds.
    static let timeout = "2000"

    static func configuration(_ settings: Settings) throws -> PostgresConfiguration {
        var configuration = try PostgresConfiguration(settings.databaseURL)
        configuration.applicationName = "carillon-doctor"
        configuration.connectTimeout = .milliseconds(1500)
        configuration.statementTimeout = .seconds(2)
        configuration.lockTimeout = .seconds(1)
        configuration.callTimeout = .seconds(3)
        configuration.searchPath = searchPath
        // A standby is told of as such.
        configuration.requiresWritableServer = false
        return configuration
    }
}

/// Asks PostgreSQL, each question for two seconds at most.
struct DatabaseLook: Sendable {
    let settings: Settings

    func look() async -> DatabaseStanding {
        var standing = DatabaseStanding()
        do {
            let configuration = try DoctorSession.configuration(settings)
            standing.place = "\(configuration)"
            let connection = try PostgresConnection(configuration)
            do {
                try await ask(connection, &standing)
            } catch {
                standing.fault = "\(error)"
            }
            await connection.close()
            if standing.facts?.hasSchema != nil { await askMigrator(configuration, &standing) }
        } catch {
            standing.fault = "\(error)"
        }
        return standing
    }

    private func ask(_ connection: PostgresConnection, _ standing: inout DatabaseStanding) async throws {
        standing.facts = try await DatabaseFacts.read(on: connection)
        for _ in 0..<3 {
            let asked = PostgresClock.machineNow().milliseconds
            let server = try await InstanceTable.clock(on: connection) / 1000
            let half = (PostgresClock.machineNow().milliseconds - asked) / 2
            let offset = ClockOffset(milliseconds: asked + half - server, uncertainty: half + 1)
            if offset.uncertainty < standing.clock?.uncertainty ?? .max { standing.clock = offset }
        }
        guard standing.facts?.hasSchema == true else { return }
        // On a schema of another version some of it is not there.
        let now = PostgresClock.machineNow()
        standing.daysAhead = try? await PartitionTable.daysReady(now: now, on: connection)
        let days = try? await PartitionTable.days(on: connection)
        standing.oldestDay = days?.first.flatMap { PartitionTable.age(ofDay: $0, at: now) }
        standing.floors = (try? await StandingFacts.floors(on: connection)) ?? nil
        standing.zones = (try? await ZoneDataTable.fetch(on: connection)) ?? nil
        standing.members = (try? await InstanceTable.members(on: connection))?.map { $0.name }
        standing.streamTargets = try? await StandingFacts.streamTargets(limit: 100, on: connection)
    }

    private func askMigrator(_ configuration: PostgresConfiguration, _ standing: inout DatabaseStanding) async {
        var limits = Migrator.Limits()
        limits.statement = .seconds(2)
        limits.tableLock = .seconds(1)
        guard let migrator = try? Schema.migrator(configuration, limits: limits) else { return }
        standing.migrations = try? await migrator.status()
    }
}
