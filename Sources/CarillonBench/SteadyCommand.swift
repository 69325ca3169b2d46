import ArgumentParser
import JSONText
import LocalServers
import NATSClient
import ServiceFixture

/// *steady*: recurring schedules with staggered phases that give R fires a second.
struct SteadyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "steady", abstract: "Recurring schedules that give R fires a second.")

    @Option(help: "Fires a second.") var rate = 1000
    @Option(help: "The schedules' period in milliseconds.") var period = 1000
    @Option(help: "Mostly idle schedules stored besides.") var stored = 0
    @Option(help: "Seconds measured.") var seconds = 30
    @Option(help: "Runs.") var runs = 1
    @Flag(help: "Run the floor with 4 in flight too.") var floor = false

    func run() async throws {
        for run in 1...runs {
            let fixture = try await benchFixture()
            if floor {
                let program = Floor(fixture: fixture)
                try await program.setUp()
                let subscriber = try Arrivals("floor.cmd.>", on: fixture.client, capacity: 300_000)
                let speed = try await program.firesPerSecond(["--inflight", "4"])
                subscriber.cancel()
                print(
                    "run \(run): floor --inflight 4: \(Int(speed)) fires/s; \(rate)/s is \(rounded(Double(rate) / speed)) of it"
                )
            }
            let seed = ScheduleSeed(fixture: fixture)
            if stored > 0 { try await seed.idle(stored) }
            let count = rate * period / 1000
            let expected = rate * seconds
            let arrivals = try Arrivals("bench.cmd.>", on: fixture.client, capacity: 2 * expected)
            let instance = try await fixture.startInstance()
            let start = (wallClock() / 1_000_000 + 4 + Int64(count / 20_000)) * 1_000_000
            try await seed.steady(count, periodMilliseconds: Int64(period), start: start)
            let end = start + Int64(seconds) * 1_000_000
            try await Task.sleep(for: .microseconds(max(0, end - wallClock()) + 3_000_000))
            let due = { (arrival: Arrivals.Arrival) -> Int64? in
                let phase = arrival.number * Int64(period) / Int64(count) * 1000
                let elapsed = arrival.at - start - phase
                let index = elapsed / (Int64(period) * 1000)
                let instant = start + phase + index * Int64(period) * 1000
                return instant < end ? instant : nil
            }
            print(
                "run \(run): \(rate)/s for \(seconds) s, \(stored) stored: \(Tally(arrivals.all, expected: expected, due: due).line)"
            )
            let backlog = try await fixture.statuses().first
            print(
                "  status: in flight \(backlog?["in_flight"]?.int64 ?? -1), overdue \(backlog?["overdue"]?.int64 ?? -1), events owed \(backlog?["events_owed"]?.int64 ?? -1)"
            )
            _ = await instance.stop()
            await fixture.stop()
        }
    }
}
