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

        @OptionGroup var database: DatabaseOptions
        @Option(help: "The last version to apply; all by default.") var to: Int?
        @Flag(help: "Apply what older programs do not stand, though instances run.") var withInstances = false

        func run() async throws {
            try await database.withMigrator { migrator in
                if !withInstances {
                    try await MigrateCommand.refuseBreaking(.pending, migrator) { $0 <= to ?? .max }
                }
                // To the end with the roles, where nothing is new too: they may have come since the last time.
                let (applied, denied) =
                    if let to { (try await migrator.up(to: to), []) } else { try await Schema.update(migrator) }
                print(applied.isEmpty ? "nothing to do: the schema is up to date" : "applied \(list(applied))")
                for line in denied { print("roles: \(line)") }
            }
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take versions back, down to the one named. Their data goes with them.")

        @OptionGroup var database: DatabaseOptions
        @Option(help: "The version to keep; 0 takes everything back.") var to: Int
        @Flag(help: "Take back what programs of either side do not stand, though instances run.")
        var withInstances = false

        func run() async throws {
            try await database.withMigrator { migrator in
                if !withInstances { try await MigrateCommand.refuseBreaking(.applied, migrator) { $0 > to } }
                let taken = try await migrator.down(to: to)
                print(taken.isEmpty ? "nothing to take back" : "took back \(list(taken))")
            }
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show each version: applied, pending, drifted or newer.")

        @OptionGroup var database: DatabaseOptions

        func run() async throws {
            try await database.withMigrator { migrator in
                for migration in try await migrator.status() {
                    print("\(migration.version)\t\(migration.state.rawValue)\t\(migration.name)")
                }
            }
        }
    }

    /// A breaking version and instances that run do not go together, whichever way: they would go on with statements that
    /// the schema does not stand any more, or misread what it holds.
    private static func refuseBreaking(
        _ state: MigrationStatus.State, _ migrator: Migrator, _ isConcerned: (Int) -> Bool
    ) async throws {
        let breaking = try await migrator.status().filter {
            $0.state == state && $0.isBreaking && isConcerned($0.version)
        }
        guard let first = breaking.first else { return }
        let running = try await migrator.lines(of: Schema.runningInstances).count
        guard running > 0 else { return }
        Console.error(
            "version \(first.version) (\(first.name)) is breaking, and \(running) "
                + (running == 1 ? "instance runs" : "instances run") + ": stop them first (docs/upgrade.md)")
        throw ExitCode(1)
    }

    private static func list(_ versions: [Int]) -> String {
        (versions.count == 1 ? "version " : "versions ") + versions.map { "\($0)" }.joined(separator: ", ")
    }
}

/// Where the database is.
struct DatabaseOptions: ParsableArguments {
    @Option(
        name: .customLong("database-url"), help: "postgres://user@host:port/database; DATABASE_URL and PG* count too.")
    var databaseURL: String?
    @Option(help: ArgumentHelp("A file of NAME=value lines; CARILLON_CONFIG names one too.", valueName: "file"))
    var config: String?

    func withMigrator(_ body: (Migrator) async throws -> Void) async throws {
        let name = SettingName.databaseURL.rawValue
        let flags = databaseURL.map { [name: $0] } ?? [:]
        let url = try CommandLineEnvironment.values(config: config, flags: flags)[name]
        try await CommandLineEnvironment.endingInOneLine {
            try await body(Schema.migrator(PostgresConfiguration(url)))
        }
    }
}
