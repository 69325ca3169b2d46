import ArgumentParser
import Recurrence
import ScheduleFiles
import SchedulerCore
import Telemetry
import ZoneData

/// `carillon apply`: makes the service's schedules what files say.
struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Make the service's schedules what files say: a plan first, then the changes.",
        discussion: """
            A file holds 'schedules:' with a list, or one definition a document, in YAML or JSON. Exit code 0: nothing to \
            do, or done; 1: something is wrong, told line by line; 2: --dry-run, and there are changes.
            """)

    @Option(
        name: [.customShort("f"), .customLong("file")],
        help: ArgumentHelp(
            "A file, a folder of .yaml, .yml and .json files, or - for standard input.", valueName: "file"))
    var files: [String]
    @Option(help: "The namespace of definitions that name none; one that names another is refused.")
    var namespace: String?
    @Option(
        help: ArgumentHelp("Write this label into each schedule's metadata, as carillon-owner.", valueName: "label"))
    var owner: String?
    @Flag(help: "Delete the owner's schedules that are in no file; needs --owner.") var prune = false
    @Flag(help: "Show the plan and change nothing.") var dryRun = false
    @Option(help: "Why, for the audit log.") var reason: String?
    @OptionGroup var client: ClientOptions

    func validate() throws {
        if files.isEmpty { throw ValidationError("expected -f with a file, a folder, or -") }
        if prune, owner == nil { throw ValidationError("--prune needs --owner: whose schedules may go") }
    }

    func run() async throws {
        let namespace = try DefinitionFiles.namespace(self.namespace)
        let items = try DefinitionFiles.read(
            SourceFiles.read(files), DefinitionFile.Reading(namespace: namespace, owner: owner), needsNamespace: true)
        let wishes = Application.Wishes(
            isDryRun: dryRun, pruned: prune ? owner : nil, namespace: namespace, reason: reason)
        var isChanged = false
        try await client.withClient { client in
            isChanged = try await Application(client: client, wishes: wishes).run(items)
        }
        if dryRun, isChanged { throw ExitCode(2) }
    }
}

/// `carillon validate`: checks files without a server.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check files of definitions, as far as no server is needed.",
        discussion: "What only the service knows is not checked: allowed targets, calendars, limits, taken names.")

    @Argument(help: "Files, folders of .yaml, .yml and .json files, or - for standard input.") var files: [String]

    func run() throws {
        let files = try SourceFiles.read(files)
        let items = try DefinitionFiles.read(files, DefinitionFile.Reading(), needsNamespace: false)
        print(
            "\(items.count) definitions in \(files.count) \(files.count == 1 ? "file" : "files"): nothing is wrong "
                + "(targets, calendars and limits are the service's to check)")
    }
}

/// Files of definitions, read and checked.
enum DefinitionFiles {
    static func namespace(_ text: String?) throws -> Namespace? {
        guard let text else { return nil }
        do { return try Namespace(text) } catch { throw ValidationError("--namespace: \(error), got '\(text)'") }
    }

    /// - Throws: exit code 1, after a line for each problem.
    static func read(
        _ files: [SourceFiles.File], _ reading: DefinitionFile.Reading, needsNamespace: Bool
    ) throws -> [FileItem] {
        var reader = DefinitionFile(reading)
        for file in files { reader.read(file.text, file: file.name) }
        let check = check()
        var problems = reader.problems
        for item in reader.items {
            problems += check.problems(of: item)
            if needsNamespace, item.namespace == nil {
                problems.append(item.problem(item.pointer, "expected 'namespace' in the file, or --namespace"))
            }
        }
        if !problems.isEmpty {
            for problem in problems { Console.error(problem.description) }
            throw ExitCode(1)
        }
        return reader.items
    }

    static func check() -> DefinitionCheck {
        let zones = ZoneDatabase()
        return DefinitionCheck(
            zones: { name throws(ZoneError) in try zones.rules(for: name) }, now: WallClockText.instant())
    }
}
