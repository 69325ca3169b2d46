import ArgumentParser
import ScheduleFiles
import SchedulerCore

/// `carillon import`: a backup, or the files of other schedulers.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Put a backup back, or take over a crontab or the CronJobs of Kubernetes.",
        subcommands: [RestoreCommand.self, CrontabCommand.self, KubernetesCommand.self],
        defaultSubcommand: RestoreCommand.self)
}

/// What the imports of other schedulers' files have in common.
struct ConversionArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The subject that the schedules publish on.", valueName: "subject")) var target: String
    @Option(help: "The namespace of the schedules.") var namespace: String?
    @Option(help: "The time zone where the file says none; UTC by default.") var timezone: String?
    @Option(help: "Stands in front of each name.") var namePrefix = ""
    @Flag(help: "Have them in shadow: everything but the publish, beside the scheduler that they come from.")
    var shadow = false
    @Option(
        name: [.customShort("o"), .customLong("output-file")],
        help: ArgumentHelp(
            "Write the definitions as YAML, to be reviewed and applied; - is standard output.", valueName: "file"))
    var output: String?
    @Flag(help: "Apply the definitions; without it they are shown only.") var apply = false
    @OptionGroup var client: ClientOptions

    func validate() throws {
        do { _ = try TargetSubject(target) } catch { throw ValidationError("--target: \(error)") }
    }

    /// Shows what the conversion made, writes it, applies it.
    func run(_ path: String, _ convert: (SourceFiles.File, ConversionOptions) -> Conversion) async throws {
        let namespace = try DefinitionFiles.namespace(self.namespace)
        let options = ConversionOptions(
            target: target, namespace: namespace, timezone: timezone, prefix: namePrefix)
        guard let file = try SourceFiles.read([path]).first else { return }
        var conversion = convert(file, options)
        if shadow { conversion.putInShadow() }
        conversion.check(DefinitionFiles.check(), file: file.name)
        // Where the definitions go to standard output, the talk does not.
        let say: (String) -> Void = output == "-" ? { Console.error($0) } : { print($0) }
        for schedule in conversion.schedules {
            say(schedule.summary)
            for note in schedule.notes { say("  note: \(note)") }
        }
        for note in conversion.notes { say("note: \(note)") }
        say("\(conversion.schedules.count) schedules, \(conversion.problems.count) left out")
        for problem in conversion.problems { Console.error(problem.description) }
        let yaml = conversion.yaml(from: file.name)
        if output == "-" {
            try StandardOutput.write(Array(yaml.utf8))
        } else if let output {
            try SourceFiles.write(yaml, to: output)
        }
        if apply { try await apply(yaml, of: file.name, in: namespace) }
        if !conversion.problems.isEmpty { throw ExitCode(1) }
    }

    private func apply(_ yaml: String, of name: String, in namespace: Namespace?) async throws {
        let items = try DefinitionFiles.read(
            [SourceFiles.File(name: name, text: yaml)], DefinitionFile.Reading(namespace: namespace),
            needsNamespace: true)
        let wishes = Application.Wishes(reason: "imported from \(name)")
        try await client.withClient { client in _ = try await Application(client: client, wishes: wishes).run(items) }
    }
}

struct CrontabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crontab", abstract: "Make schedules of the lines of a crontab.",
        discussion: "The payload holds the command line; whoever consumes the target runs it.")

    @Argument(help: "A crontab, or - for standard input: crontab -l | carillon import crontab - …") var file: String
    @Flag(help: "A user's name stands in front of each command, as in /etc/crontab.") var userField = false
    @OptionGroup var conversion: ConversionArguments

    func run() async throws {
        try await conversion.run(file) { file, options in
            Crontab.read(file.text, file: file.name, hasUsers: userField, options)
        }
    }
}

struct KubernetesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kubernetes", abstract: "Make schedules of the CronJobs in Kubernetes manifests.",
        discussion: "The payload names the CronJob and holds its job template; the scheduler starts no pod.")

    @Argument(
        help: "YAML or JSON, or - for standard input: kubectl get cronjobs -A -o yaml | carillon import kubernetes - …")
    var file: String
    @OptionGroup var conversion: ConversionArguments

    func run() async throws {
        try await conversion.run(file) { file, options in
            KubernetesCronJobs.read(file.text, file: file.name, options)
        }
    }
}
