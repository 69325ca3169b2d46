import ArgumentParser

/// The scheduler for NATS.
@main
struct Carillon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "carillon",
        abstract: "Sends commands over NATS at a time, on a rhythm, or when asked.",
        version: version,
        subcommands: [
            DevCommand.self, ServeCommand.self, MigrateCommand.self, NextCommand.self, ConfigCommand.self,
            ApplyCommand.self, ValidateCommand.self, ExportCommand.self, ImportCommand.self, VerifyCommand.self,
            DoctorCommand.self, HealthcheckCommand.self, TopCommand.self, VersionCommand.self,
        ])

    static let version = "0.1.0"
}
