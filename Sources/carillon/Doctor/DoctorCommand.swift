import ArgumentParser
import Glibc
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import ZoneData

/// `carillon doctor`: looks at everything that the service needs, and says what to do.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Look at everything that the service needs, and say what to do.",
        discussion: """
            A line for each check: ok, warn or fail, what was found, what was expected, what to do. It takes the settings \
            of 'carillon serve', changes nothing, and needs no instance that runs. Exit code 0: nothing is wrong; 1: \
            something is (with --strict a warning too); 78: a setting is wrong.
            """)

    @OptionGroup var options: SettingsOptions
    @Flag(help: "Warnings are failures.") var strict = false
    @Flag(help: "One JSON object instead of lines.") var json = false

    func run() async throws {
        CoreDumps.forbid()
        let settings = try CommandLineEnvironment.settings(options)
        let allowList = try AllowList(settings)
        _ = try TokenList.board(settings)
        let report = await Doctor(settings: settings, rules: allowList.rules).examine()
        if json { print(report.json) } else { for line in report.lines { print(line) } }
        let code = report.exitCode(isStrict: strict)
        if code != 0 { throw ExitCode(code) }
    }
}

/// Gathers the facts and puts the findings in their order.
struct Doctor: Sendable {
    let settings: Settings
    let rules: TargetRules

    func examine() async -> DoctorReport {
        let machine = Self.machine()
        let database = await DatabaseLook(settings: settings).look()
        let nats = await NATSLook(settings: settings, rules: rules, firedAt: database.streamTargets ?? []).look()
        return Self.report(machine, database, nats, settings)
    }

    static func report(
        _ machine: MachineFacts, _ database: DatabaseStanding, _ nats: NATSStanding, _ settings: Settings
    ) -> DoctorReport {
        DoctorReport(
            findings: MachineFindings.all(machine)
                + DatabaseFindings.all(database, settings: settings, machine: machine)
                + NATSFindings.all(nats, settings: settings))
    }

    private static func machine() -> MachineFacts {
        let zones = ZoneDatabase()
        _ = zones.look()
        var limit = rlimit()
        _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return MachineFacts(
            zoneFolder: zones.root, zoneCount: zones.names.count, zoneVersion: zones.version,
            fingerprint: zones.fingerprint ?? 0, openFiles: UInt64(limit.rlim_cur))
    }
}

/// What NATS must be and have.
enum NATSFindings {
    static func all(_ standing: NATSStanding, settings: Settings) -> [Finding] {
        guard standing.isConnected else {
            return [
                .fail(
                    "nats.connection", standing.fault ?? "no answer", expected: "\(standing.place) to answer",
                    "look at NATS_URL and the identity, and whether nats-server runs and lets this user in")
            ]
        }
        var findings = [Finding.ok("nats.connection", standing.place)]
        if standing.nodes.isEmpty {
            findings.append(
                .warn(
                    "nats.version", "nobody tells", expected: "the servers to tell their versions",
                    "let the service's user publish on $SYS.REQ.ACCOUNT.PING.CONNZ"))
        }
        findings += ServerFindings.nodes(standing.nodes, replicas: settings.streamReplicas)
        if let clock = standing.clock { findings.append(clock.finding("nats.clock", of: "NATS")) }
        if let fault = standing.jetStreamFault {
            findings.append(
                .fail(
                    "nats.jetstream", fault, expected: "JetStream to answer",
                    "turn it on in nats-server and for the account; in a cluster look for its leader"))
        } else {
            if let storage = standing.storage {
                findings.append(ServerFindings.storage(used: storage.used, limit: storage.limit))
            }
            let names = SubjectNames(prefix: settings.subjectPrefix)
            for need in StreamNeed.all(names, leaseSeconds: settings.leaseSeconds) {
                guard let look = standing.streams[need.name] else { continue }
                findings += StreamFindings.own(need, look, replicas: settings.streamReplicas)
            }
            findings += StreamFindings.foreign(standing.foreign) + StreamFindings.targets(standing.targets)
        }
        return findings + PermissionFindings.all(standing.trials)
    }
}
