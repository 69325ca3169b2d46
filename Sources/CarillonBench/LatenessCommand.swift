import ArgumentParser
import Glibc
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
        for run in 1...runs {
            let fixture = try await benchFixture()
            let instance = try await fixture.startInstance()
            let plain = try Arrivals("plain", on: fixture.client, capacity: 1000)
            let arrivals = try Arrivals("bench.cmd.>", on: fixture.client, capacity: 1000)
            let start = (wallClock() / 1_000_000 + 3) * 1_000_000
            try await ScheduleSeed(fixture: fixture).steady(1, periodMilliseconds: 100, start: start)
            try await publishPlainly(from: start + 50_000, on: fixture)
            let end = start + Int64(seconds) * 1_000_000
            _ = await waitUntil(.seconds(5)) { wallClock() > end + 500_000 }
            let due = { (offset: Int64) in
                { (arrival: Arrivals.Arrival) -> Int64? in
                    let index = (arrival.at - start - offset) / 100_000
                    let instant = start + offset + index * 100_000
                    return instant < end ? instant : nil
                }
            }
            print(
                "run \(run), plain timed publisher: \(Tally(plain.all, expected: seconds * 10, due: due(50_000)).line)")
            print("run \(run), carillon:              \(Tally(arrivals.all, expected: seconds * 10, due: due(0)).line)")
            _ = await instance.stop()
            await fixture.stop()
        }
    }

    /// A thread that sleeps until each instant and publishes: what the machine itself gives.
    private func publishPlainly(from start: Int64, on fixture: ServiceFixture) async throws {
        var configuration = NATSConfiguration(servers: [await fixture.nats.url], name: "plain")
        configuration.sendAsap = true
        let connection = try await NATSConnection.connect(configuration, within: .seconds(5))
        let subject = try Subject("plain")
        let count = seconds * 10
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let thread = Thread {
                for index in 0..<count {
                    var time = timespec()
                    let at = start + Int64(index) * 100_000
                    time.tv_sec = Int(at / 1_000_000)
                    time.tv_nsec = Int(at % 1_000_000) * 1000
                    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, nil)
                    _ = try? connection.publish(subject, payload: Array("{}".utf8))
                }
                done.resume()
            }
            thread.start()
        }
        await connection.close()
    }
}

/// One thread for one job.
private final class Thread: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func start() {
        var handle = pthread_t()
        pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Thread>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        pthread_detach(handle)
    }
}
