import ArgumentParser
import Glibc
import SchedulerHTTP
import Telemetry
import UnixSignals

/// `carillon dev`: everything on one machine, with one command.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev", abstract: "Run with a private nats-server and PostgreSQL, and show what happens.",
        discussion: """
            Starts both servers on free ports of 127.0.0.1, brings the schema up, allows 'demo.>' for every namespace, \
            makes a demo schedule, and prints what is fired and told. Ctrl-C ends everything.
            """)

    @Option(
        help: ArgumentHelp("Keep the data in this folder; without it, it is deleted at the end.", valueName: "folder"))
    var dataDir: String?

    @Option(help: ArgumentHelp("The port of nats-server; a free one by default.", valueName: "port"))
    var natsPort: UInt16?

    @Option(help: ArgumentHelp("The port of PostgreSQL; a free one by default.", valueName: "port"))
    var postgresPort: UInt16?

    @Option(help: ArgumentHelp("The port of HTTP; a free one by default.", valueName: "port"))
    var httpPort: UInt16?

    @Flag(inversion: .prefixedNo, help: "Make a demo schedule that fires every second.")
    var demo = true

    func run() async throws {
        // The private database has nothing to do with the one that the environment may name.
        for name in CommandLineEnvironment.variables().keys where name.hasPrefix("PG") { unsetenv(name) }
        do {
            try await Termination.run(trapping: [.sigint, .sigterm, .sighup]) { stop in
                let servers = try DevServers(folder: dataDir, natsPort: natsPort, postgresPort: postgresPort)
                do {
                    try await DevSession(servers: servers, makesDemo: demo, httpPort: httpPort).run(stop)
                } catch {
                    await servers.stop()
                    throw error
                }
                await servers.stop()
            }
        } catch is StopRequest.Stopped {
            // Ended before it had begun.
        } catch let fault as HTTPFault {
            Console.error("\(fault.description), or leave --http-port out for a free one")
            throw ExitCode(EX_UNAVAILABLE)
        } catch let fault as DevFault {
            Console.error(fault.description)
            throw ExitCode(EX_UNAVAILABLE)
        }
    }
}
