import Glibc
import LocalServers
import NATSClient
import ServiceFixture

/// A thread that sleeps until each instant, 100 ms apart, and publishes: what the machine itself gives.
struct PlainPublisher {
    private static let period: Int64 = 100_000

    /// Microseconds since 1970.
    let start: Int64
    let count: Int

    /// Returns when the last one is out.
    func run(on fixture: ServiceFixture) async throws {
        var configuration = NATSConfiguration(servers: [await fixture.nats.url], name: "plain")
        configuration.sendAsap = true
        let connection = try await NATSConnection.connect(configuration, within: .seconds(5))
        let subject = try Subject("plain")
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let thread = Thread {
                for index in 0..<count {
                    var time = timespec()
                    let at = start + Int64(index) * Self.period
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

    static func tally(_ arrivals: [Arrivals.Arrival], start: Int64, count: Int) -> Tally {
        let lateness = arrivals.enumerated().map { $0.element.at - start - Int64($0.offset) * period }
        return Tally(lateness, expected: count)
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
