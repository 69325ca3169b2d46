import ArgumentParser
import Glibc
import LocalServers
import NATSClient
import ServiceFixture

/// *herd*: N one-shot schedules due at one instant, created well before.
struct HerdCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "herd", abstract: "N one-shot schedules, all due at one instant.")

    @Option(help: "How many.") var n = 100_000
    @Option(help: "Seconds from the end of the creation to the instant.") var lead = 12
    @Option(help: "Runs; each with the floor before it.") var runs = 3

    func run() async throws {
        var shares: [Double] = []
        for run in 1...runs {
            let fixture = try await benchFixture()
            let floorSubscriber = try Arrivals("floor.cmd.>", on: fixture.client, capacity: n)
            let floor = try await Floor(fixture: fixture).firesPerSecond(
                ["--nats-only", "--no-events", "--n", String(n)])
            floorSubscriber.cancel()
            let floorSeconds = Double(n) / floor
            let arrivals = try Arrivals("bench.cmd.>", on: fixture.client, capacity: n)
            let instance = try await fixture.startInstance()
            let due = (wallClock() / 1_000_000 + Int64(lead) + Int64(n / 25_000)) * 1_000_000
            try await ScheduleSeed(fixture: fixture).herd(n, at: due)
            print("run \(run): seeded \(milliseconds(due - wallClock())) before the instant")
            let limit = Duration.microseconds(due - wallClock()) + .seconds(120)
            _ = await waitUntil(limit) { arrivals.count >= n }
            let recorded = await waitUntil(.seconds(60)) {
                (try? await fixture.count("SELECT count(*) FROM scheduler.executions WHERE state = 'delivered'"))
                    == Int64(n)
            }
            let recordedAt = wallClock() - due
            let settled = await waitUntil(.seconds(60)) {
                (try? await fixture.count("SELECT count(*) FROM scheduler.claims")) == 0
            }
            let settledAt = wallClock() - due
            let tally = Tally(arrivals.all.map { $0.at - due }, expected: n)
            let last = Double(tally.lateness.most) / 1e6
            shares.append(last / floorSeconds)
            print("  floor: \(rounded(floorSeconds)) s (\(Int(floor))/s)")
            print(
                "  carillon: last after \(rounded(last)) s = \(rounded(last / floorSeconds)) × the floor; \(tally.line)"
            )
            print("  \(inversions(arrivals.all)) of \(n) came behind a lower priority")
            print(
                "  recorded \(recorded) after \(milliseconds(recordedAt)), told and settled \(settled) after \(milliseconds(settledAt))"
            )
            if let keep = getenv("BENCH_KEEP_LOG") {
                try Filesystem.write(
                    Filesystem.tail(fixture.postgres.logPath, bytes: 4 << 20), to: String(cString: keep))
            }
            _ = await instance.stop()
            await fixture.stop()
        }
        print("median of \(runs) runs: \(rounded(shares.sorted()[runs / 2])) × the floor")
    }

    /// Arrivals that a lower priority was ahead of; the priority is the number's last digit.
    private func inversions(_ arrivals: [Arrivals.Arrival]) -> Int {
        var lowest: Int64 = 9
        var count = 0
        for arrival in arrivals {
            let priority = arrival.number % 10
            if priority > lowest { count += 1 }
            lowest = min(lowest, priority)
        }
        return count
    }
}
