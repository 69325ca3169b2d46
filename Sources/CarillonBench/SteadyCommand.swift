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
    @Option(help: "Fires a second as a share of what the floor reaches in the same run; in place of --rate.")
    var ofFloor: Double?
    @Option(help: "The schedules' period in milliseconds.") var period = 1000
    @Option(help: "Mostly idle schedules stored besides.") var stored = 0
    @Option(help: "Seconds measured.") var seconds = 30
    @Option(help: "Runs; with more than one the medians are printed too.") var runs = 1
    @Flag(help: "Run a plain timed publisher at once with it, one message each 100 ms.") var plain = false

    func run() async throws {
        var medians = Medians()
        for run in 1...runs {
            // On servers of its own: both begin with empty streams, cold buffers and nothing to write back.
            let floor = try await floor(of: run)
            let fixture = try await benchFixture()
            let rate = floor.map { Int($0 * (ofFloor ?? 0)) } ?? rate
            try await measure(run, rate: rate, floor: floor, on: fixture, medians: &medians)
            await fixture.stop()
        }
        if runs > 1 { medians.report() }
    }

    /// Fires a second of the floor, where the rate is a share of it.
    private func floor(of run: Int) async throws -> Double? {
        guard ofFloor != nil else { return nil }
        let fixture = try await benchFixture()
        let program = Floor(fixture: fixture)
        try await program.setUp()
        let subscriber = try Arrivals("floor.cmd.>", on: fixture.client, capacity: 1_000_000)
        let speed = try await program.firesPerSecond(["--inflight", "4"])
        subscriber.cancel()
        await fixture.stop()
        print("run \(run): floor --inflight 4: \(Int(speed)) fires/s")
        return speed
    }

    private func measure(
        _ run: Int, rate: Int, floor: Double?, on fixture: ServiceFixture, medians: inout Medians
    ) async throws {
        let seed = ScheduleSeed(fixture: fixture)
        if stored > 0 { try await seed.idle(stored) }
        let load = SteadyLoad(count: rate * period / 1000, period: Int64(period) * 1000, seconds: seconds)
        let arrivals = try Arrivals("bench.cmd.>", on: fixture.client, capacity: 2 * load.expected)
        let plainArrivals = try Arrivals("plain", on: fixture.client, capacity: 20 * seconds)
        let instance = try await fixture.startInstance()
        let start = (wallClock() / 1_000_000 + 4 + Int64(load.count / 20_000)) * 1_000_000
        try await seed.steady(load.count, periodMilliseconds: Int64(period), start: start)
        let end = start + Int64(seconds) * 1_000_000
        if plain { try await PlainPublisher(start: start + 50_000, count: seconds * 10).run(on: fixture) }
        _ = await waitUntil(.microseconds(end - wallClock())) { false }
        let told = await eventsTold(load.expected, on: fixture)
        let toldAfter = wallClock() - end
        _ = await waitUntil(.seconds(3)) { false }
        let tally = Tally(load.lateness(of: arrivals.all, start: start), expected: load.expected)
        print("run \(run): \(rate)/s for \(seconds) s, \(stored) stored: \(tally.line)")
        medians.add(tally, of: "\(stored) stored, carillon")
        if plain {
            let tally = PlainPublisher.tally(plainArrivals.all, start: start + 50_000, count: seconds * 10)
            print("run \(run): plain timed publisher: \(tally.line)")
            medians.add(tally, of: "plain timed publisher")
        }
        print(
            "  events: \(told.atEnd) of \(load.expected) stored at the end, "
                + (told.all ? "all \(milliseconds(toldAfter)) after it" : "not all within 30 s"))
        let speed = Double(load.expected) / (Double(seconds) + Double(toldAfter) / 1e6)
        let share = floor.map { " = \(rounded(speed / $0)) of the floor" } ?? ""
        print("  fires with their events: \(Int(speed))/s\(share)")
        if let status = try await fixture.statuses().first {
            print(
                "  status 3 s later: in flight \(status["in_flight"]?.int64 ?? -1), overdue "
                    + "\(status["overdue"]?.int64 ?? -1), events owed \(status["events_owed"]?.int64 ?? -1)")
        }
        _ = await instance.stop()
    }

    /// Waits until the stream holds as many execution events as there were fires: they come about in the order of the
    /// fires, and the load goes on meanwhile.
    private func eventsTold(_ count: Int, on fixture: ServiceFixture) async -> (atEnd: Int, all: Bool) {
        let administration = JetStreamAPI(fixture.client)
        func stored() async -> Int {
            let messages = try? await administration.streamInfo("SCHEDULER_EVENTS")?.messages
            return Int(messages ?? 0)
        }
        let atEnd = await stored()
        let all = await waitUntil(.seconds(30)) { await stored() >= count }
        return (min(count, atEnd), all)
    }
}

/// Schedules of one period with phases spread evenly over it, and what they owe within a time.
struct SteadyLoad {
    let count: Int
    /// Microseconds.
    let period: Int64
    let seconds: Int

    var expected: Int { count * Int(Int64(seconds) * 1_000_000 / period) }

    /// Arrival minus due time of all that was due in the measured time, in microseconds.
    func lateness(of arrivals: [Arrivals.Arrival], start: Int64) -> [Int64] {
        timed(arrivals, start: start).map(\.lateness)
    }

    /// The same, each with its due time. The k-th arrival of a schedule is its k-th occurrence: one that came twice
    /// shows as the next one, early.
    func timed(_ arrivals: [Arrivals.Arrival], start: Int64) -> [(due: Int64, lateness: Int64)] {
        var seen = [Int64](repeating: 0, count: count)
        let each = Int64(seconds) * 1_000_000 / period
        var timed: [(due: Int64, lateness: Int64)] = []
        timed.reserveCapacity(expected)
        for arrival in arrivals where arrival.number >= 0 && arrival.number < count {
            let number = Int(arrival.number)
            guard seen[number] < each else { continue }
            // The seed rounds phases as PostgreSQL's integer division does.
            let phase = arrival.number * (period / 1000) / Int64(count) * 1000
            let due = start + phase + seen[number] * period
            timed.append((due, arrival.at - due))
            seen[number] += 1
        }
        return timed
    }
}
