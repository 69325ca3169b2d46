import ArgumentParser

/// `carillon config`: the settings that are in effect, as a file of settings has them.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show the settings in effect, with secrets hidden.")

    @OptionGroup var options: SettingsOptions

    func run() throws {
        let settings = try CommandLineEnvironment.settings(options)
        _ = try AllowList(settings)
        _ = try TokenList.board(settings)
        for (name, text) in settings.shown { print("\(name.rawValue)=\(text)") }
    }
}

/// `carillon version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Show the version.")

    func run() { print("carillon \(Carillon.version)") }
}
