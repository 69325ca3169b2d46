import ArgumentParser
import LocalServers
import NATSClient
import ServiceFixture

/// Lateness of one schedule every 100 ms on an idle machine, beside a plain timed publisher on the same servers.
struct LatenessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lateness", abstract: "One schedule every 100 ms, beside a plain timed publisher.")

    @Option(help: "Seconds measured.") var seconds = 30
    @Option(help: "Runs.") var runs = 3

    func run() async throws {
        var medians = Medians()
        for run in 1...runs {
            let fixture = try await benchFixture()
            let instance = try await fixture.startInstance()
            let plainArrivals = try Arrivals("plain", on: fixture.client, capacity: 1000)
            let arrivals = try Arrivals("bench.cmd.>", on: fixture.client, capacity: 1000)
            let start = (wallClock() / 1_000_000 + 3) * 1_000_000
            try await ScheduleSeed(fixture: fixture).steady(1, periodMilliseconds: 100, start: start)
            try await PlainPublisher(start: start + 50_000, count: seconds * 10).run(on: fixture)
            let end = start + Int64(seconds) * 1_000_000
            _ = await waitUntil(.seconds(5)) { wallClock() > end + 500_000 }
            let plain = PlainPublisher.tally(plainArrivals.all, start: start + 50_000, count: seconds * 10)
            let load = SteadyLoad(count: 1, period: 100_000, seconds: seconds)
            let tally = Tally(load.lateness(of: arrivals.all, start: start), expected: load.expected)
            print("run \(run), plain timed publisher: \(plain.line)")
            print("run \(run), carillon:              \(tally.line)")
            medians.add(plain, of: "plain timed publisher")
            medians.add(tally, of: "carillon")
            _ = await instance.stop()
            await fixture.stop()
        }
        medians.report()
    }
}
