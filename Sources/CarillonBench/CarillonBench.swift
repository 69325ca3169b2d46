import ArgumentParser
@preconcurrency import Glibc
import LocalServers
import NATSClient
import ServiceFixture

/// The workloads, seen by an independent subscriber, with the floor in the same call.
@main
struct CarillonBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "CarillonBench", abstract: "Measures firing against the floor; build with -c release.",
        subcommands: [
            HerdCommand.self, SteadyCommand.self, LatenessCommand.self, CommandsCommand.self,
            RecurrenceCommand.self, HistoryCommand.self, OutageCommand.self,
        ],
        defaultSubcommand: HerdCommand.self)
}

/// Microseconds since 1970 on the machine's wall clock.
func wallClock() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

func milliseconds(_ microseconds: Int64) -> String {
    let tenths = (Double(microseconds) / 100).rounded()
    return "\(Double(Int64(tenths)) / 10) ms"
}

func rounded(_ number: Double, _ digits: Int = 2) -> Double {
    let scale = digits == 2 ? 100.0 : 1.0
    return (number * scale).rounded() / scale
}

/// A system for one measurement: fsync and synchronous commit on, streams on file, and a stream that takes the commands.
/// `BENCH_POSTGRES_SETTINGS` holds further settings, separated by commas, for looking into the database.
func benchFixture() async throws -> ServiceFixture {
    setlinebuf(stdout)
    var options = ServiceFixture.Options()
    options.fsync = true
    options.leaseSeconds = 5
    if let settings = getenv("BENCH_POSTGRES_SETTINGS") {
        options.postgresSettings = String(cString: settings).split(separator: ",").map(String.init)
    }
    options.targets = "targets:\n  - {namespace: '*', subject: 'bench.>', delivery: [jetstream, core]}\n"
    let fixture = try await ServiceFixture.start(options)
    try await fixture.makeStream("BENCH", subjects: "bench.cmd.>")
    return fixture
}
