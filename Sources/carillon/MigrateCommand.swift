import ArgumentParser
import Migrations
import PostgresClient
import SchedulerStore

/// `carillon migrate up|down|status`.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring the database's schema up or down, or show where it stands.",
        subcommands: [Up.self, Down.self, Status.self])

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Apply what is missing.")

        @Option(help: "The last version to apply.") var to: Int?

        func run() async throws {
            let applied = try await MigrateCommand.migrator().up(to: to)
            print(applied.isEmpty ? "the schema is up to date" : "applied \(applied)")
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take versions back, down to the one named.")

        @Option(help: "The version to keep; 0 takes everything back, with its data.") var to: Int

        func run() async throws {
            let taken = try await MigrateCommand.migrator().down(to: to)
            print(taken.isEmpty ? "nothing to take back" : "took back \(taken)")
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show where the schema stands.")

        func run() async throws {
            for migration in try await MigrateCommand.migrator().status() {
                print("\(migration.version)\t\(migration.state.rawValue)\t\(migration.name)")
            }
        }
    }

    private static func migrator() throws -> Migrator {
        try Schema.migrator(PostgresConfiguration(CommandLineEnvironment.settings().databaseURL))
    }
}

/// Refuses to start on a schema that is not this program's.
struct SchemaGuard: Sendable {
    let settings: Settings

    func check() async throws {
        let status = try await Schema.migrator(PostgresConfiguration(settings.databaseURL)).status()
        let unsound = status.filter { $0.state != .applied }
        guard unsound.isEmpty else {
            throw CommandLineEnvironment.refusal(
                unsound.map { "schema version \($0.version) (\($0.name)) is \($0.state.rawValue)" }
                    + ["run 'carillon migrate up', or a newer carillon"])
        }
    }
}
